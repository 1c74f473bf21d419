// How pictures are added: dropped anywhere on the page, also as folders, chosen, or pasted.

// Calls take(files) with added files, and leave(number) with the number left out of folders, which
// are those without one of the suffixes.
// `chooser` and `folderChooser` are buttons, `input` and `folder` the file inputs they open.
export function takeIn({ drop, chooser, input, folderChooser, folder }, suffixes, take, leave) {
  const takeFolder = (files) => {
    const shown = files.filter(({ name }) => !name.startsWith("."));
    const found = shown.filter(({ name }) => suffixes.includes(suffix(name)));
    if (shown.length > found.length) leave(shown.length - found.length);
    if (found.length) take(found);
  };
  follow(chooser, input, take);
  follow(folderChooser, folder, takeFolder);
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) take(files);
  });
  followDrags(drop, async (items) => {
    const entries = [...items].map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
    const files = entries.filter((entry) => entry && !entry.isDirectory);
    const folders = entries.filter((entry) => entry?.isDirectory);
    const dropped = await Promise.all(files.map(asFile));
    if (dropped.length) take(dropped);
    if (folders.length) takeFolder((await Promise.all(folders.map(filesIn))).flat());
  });
}

const suffix = (name) => name.slice(name.lastIndexOf(".")).toLowerCase();

function follow(button, input, take) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // so that the same files can be chosen again
  });
}

const asFile = (entry) =>
  entry.isFile ? new Promise((found, failed) => entry.file(found, failed)) : entry;

// The files of a folder and its subfolders, sorted by name.
async function filesIn(folder) {
  const reader = folder.createReader();
  const entries = [];
  let more;
  do {
    more = await new Promise((found, failed) => reader.readEntries(found, failed)); // at most a hundred
    entries.push(...more);
  } while (more.length);
  entries.sort((one, other) => one.name.localeCompare(other.name));
  const seen = entries.filter(({ name }) => !name.startsWith("."));
  return (await Promise.all(seen.map((entry) => (entry.isFile ? asFile(entry) : filesIn(entry))))).flat();
}

function followDrags(drop, take) {
  let depth = 0; // how many nested elements the pointer has entered
  const mark = (change) => {
    depth = Math.max(depth + change, 0);
    drop.classList.toggle("is-over", depth > 0);
  };
  const withFiles = (handle) => (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // or the browser would replace the page with the picture
    handle(event);
  };
  document.addEventListener("dragenter", withFiles(() => mark(1)));
  document.addEventListener("dragleave", withFiles(() => mark(-1)));
  document.addEventListener("dragover", withFiles((event) => (event.dataTransfer.dropEffect = "copy")));
  document.addEventListener("drop", withFiles((event) => {
    depth = 0;
    mark(0);
    take(event.dataTransfer.items);
  }));
}
