// How pictures come in: dropped anywhere on the page, chosen, or pasted.

// Calls take(files) for each; `chooser` is the button, `input` the file input behind it.
export function takeIn({ drop, chooser, input }, take) {
  chooser.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) take(files);
  });
  followDrags(drop, take);
}

function followDrags(drop, take) {
  let depth = 0; // of the elements that the pointer has entered
  const mark = (change) => {
    depth = Math.max(depth + change, 0);
    drop.classList.toggle("is-over", depth > 0);
  };
  const withFiles = (handle) => (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // or the browser opens the picture in place of the page
    handle(event);
  };
  document.addEventListener("dragenter", withFiles(() => mark(1)));
  document.addEventListener("dragleave", withFiles(() => mark(-1)));
  document.addEventListener("dragover", withFiles((event) => (event.dataTransfer.dropEffect = "copy")));
  document.addEventListener("drop", withFiles((event) => {
    depth = 0;
    mark(0);
    take([...event.dataTransfer.files]);
  }));
}
