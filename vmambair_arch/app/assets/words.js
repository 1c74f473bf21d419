// Numbers and states in words, and words put into elements.

// Text that is there already stays: a reader may have marked it, a screen reader told it.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const percent = (share) => `${Math.floor(100 * share)} %`;

export const size = ([height, width]) => `${width} × ${height}`;

export function seconds(value) {
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 60) return `${Math.round(value)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

// What happens to a picture, in a few words; `before` is how many are restored first.
export function state(picture, before) {
  switch (picture.state) {
    case "sending":
      return picture.share ? `Sending, ${percent(picture.share)}` : "Waits to be sent";
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

// How long a running picture will still take, once that can be told.
export function left({ share, seconds: passed }) {
  if (passed === null || share < 0.05) return "";
  return `about ${seconds(Math.ceil((passed * (1 - share)) / share))} left`;
}
