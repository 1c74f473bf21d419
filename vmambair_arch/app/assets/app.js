// The page: what comes in, the list, the picture that is chosen, and what is said aloud.

import { takeIn } from "./intake.js";
import { List } from "./list.js";
import { isOver, Pictures } from "./pictures.js";
import * as server from "./server.js";
import { Stage } from "./stage.js";
import * as words from "./words.js";

const find = (id) => document.getElementById(id);
const pictures = new Pictures();
const list = new List(find("pictures"), pictures, choose);
const stage = new Stage(find("stage"), pictures);
const said = new Map(); // the state of each picture, as it was said
let chosen = null;

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
  const running = all.find(({ state }) => state === "running");
  document.title = running ? `${words.percent(running.share)} ${running.name}` : "VmambaIR";
  all.forEach(say);
}

// Tell a screen reader what ended; the rest it finds on the page.
function say(picture) {
  const before = said.get(picture.key);
  said.set(picture.key, picture.state);
  if (before === undefined || before === picture.state || !isOver(picture)) return;
  const failure = picture.failure || `${picture.name}: ${words.state(picture)}`;
  const success = [`${picture.name}: restored`, ...picture.warnings].join("; ");
  find("status").textContent = picture.state === "done" ? success : failure;
}

function offer({ networks, formats }) {
  const origins = { given: "", bundled: " (bundled)", cache: " (from the cache folder)" };
  stage.networks = networks;
  find("network").append(
    ...networks.map(({ key, label, origin }) => new Option(label + origins[origin], key)),
  );
  const purpose = () => words.put(find("purpose"), networks[find("network").value].purpose);
  find("network").addEventListener("change", purpose);
  purpose();
  find("format").append(...formats.map((format) => new Option(format, format)));
}

history.replaceState(null, "", "/"); // the address has the token, which the cookie now has
Theme.follow(find("theme"));
offer(await server.choices());
pictures.addEventListener("change", render);
pictures.addEventListener("sent", ({ detail: [key, id] }) => {
  list.rename(key, id);
  said.set(id, "waiting");
  if (chosen === key) chosen = id;
});
takeIn({ drop: find("drop"), chooser: find("choose"), input: find("files") }, (files) => {
  const options = { network: find("network").value, format: find("format").value };
  const keys = pictures.add(files, options);
  if (keys.length) choose(keys[0]);
});
render();
