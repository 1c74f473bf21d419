// Numbers and states as text, and setting the text of elements.

// Unchanged text is left alone: it may be selected, and a screen reader would repeat it.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// 100 % only when all is done; 100 * 0.29 is slightly less than 29.
export const percent = (share) => `${Math.floor(100 * share + 1e-9)} %`;

export const size = ([height, width]) => `${width} × ${height}`;

export function seconds(value) {
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 60) return `${Math.round(value)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

// A picture's state in a few words; `before` is how many are restored first.
export function state(picture, before) {
  switch (picture.state) {
    case "sending":
      return picture.share ? `Sending, ${percent(picture.share)}` : "Waiting to be sent";
    case "waiting":
      return before > 0 ? `Waiting, ${before} before it` : "Waiting";
    case "running":
      if (picture.seconds === null) return "Preparing";
      return picture.share < 1 ? `Restoring, ${percent(picture.share)}` : "Writing";
    case "done":
      return `${size(picture.after)}, ${seconds(picture.seconds)}`;
    case "cancelled":
      return "Cancelled";
    default:
      return "Could not be restored";
  }
}

// The time a running picture still needs, once it can be estimated.
export function left({ share, seconds: passed }) {
  if (passed === null || share < 0.05) return "";
  return `about ${seconds(Math.ceil((passed * (1 - share)) / share))} left`;
}
