// The page: uploads, the list, the selected picture, and announcements for screen readers.

import { Choices } from "./choices.js";
import { takeIn } from "./intake.js";
import { List } from "./list.js";
import { isOver, Pictures } from "./pictures.js";
import * as server from "./server.js";
import * as settings from "./settings.js";
import { Stage } from "./stage.js";
import * as words from "./words.js";

const find = (id) => document.getElementById(id);
const pictures = new Pictures();
const list = new List(find("pictures"), pictures, choose);
const stage = new Stage(find("stage"), pictures);
const said = new Map(); // the last announced state of each picture
let chosen = null;
settings.restore();

function choose(key) {
  chosen = key;
  render();
}

function render() {
  const all = pictures.all;
  if (!pictures.find(chosen)) chosen = all.at(-1)?.key ?? null;
  document.body.classList.toggle("is-empty", all.length === 0);
  list.render(chosen);
  stage.render(pictures.find(chosen));
  find("gone").hidden = pictures.gone !== "silent";
  find("refused").hidden = ["", "silent"].includes(pictures.gone);
  words.put(find("refused"), pictures.gone);
  renderAll(all);
  const running = all.find(({ state }) => state === "running");
  document.title = running ? `${words.percent(running.share)} ${running.name}` : "VmambaIR";
  all.forEach(say);
}

// Announce finished pictures to screen readers; everything else is on the page.
function say(picture) {
  const before = said.get(picture.key);
  said.set(picture.key, picture.state);
  if (before === undefined || before === picture.state || !isOver(picture)) return;
  const failure = picture.failure || `${picture.name}: ${words.state(picture)}`;
  const success = [`${picture.name}: restored`, ...picture.warnings].join("; ");
  find("status").textContent = picture.state === "done" ? success : failure;
}

// The line about all pictures together.
function renderAll(all) {
  const done = all.filter(({ state, files }) => state === "done" && files.includes("result"));
  find("all").hidden = all.length < 2;
  words.put(find("progress"), `${done.length} of ${all.length} done`);
  find("download-all").hidden = done.length === 0;
  find("download-all").href = server.results(stage.strength);
}

history.replaceState(null, "", "/"); // removes the token from the address; the cookie has it now
Theme.follow(find("theme"));
const offered = await server.choices();
const choices = new Choices(find, offered);
stage.start(offered);
stage.addEventListener("strength", render);
pictures.addEventListener("change", render);
pictures.addEventListener("sent", ({ detail: [key, id] }) => {
  list.rename(key, id);
  said.set(id, "waiting");
  if (chosen === key) chosen = id;
});
const intake = {
  drop: find("drop"),
  chooser: find("choose"),
  input: find("files"),
  folderChooser: find("choose-folder"),
  folder: find("folder"),
};
const take = (files) => {
  const added = choices.jobs().map((options) => pictures.add(files, options));
  if (added[0].length) choose(added[0][0]);
};
takeIn(intake, offered.suffixes, take, (number) => {
  find("status").textContent = `${number} other files in the folder were left out`;
});
render();
