// The selected picture: its progress, then before and after, or why there is nothing to see.
// make and Viewer are the viewer's, a classic script.

import { address, result } from "./server.js";
import { keep, settings } from "./settings.js";
import * as words from "./words.js";

export class Stage extends EventTarget {
  // element: where it is shown; pictures: a Pictures. Sends a "strength" event when it changes.
  constructor(element, pictures) {
    super();
    Object.assign(this, { element, pictures, picture: null, shown: "", strength: 1 });
    this.title = make("h2");
    this.facts = make("p", { class: "facts" });
    this.download = make("a", { class: "button main" }, "Download");
    this.cancel = make("button", { type: "button" }, "Cancel");
    this.cancel.addEventListener("click", () => pictures.cancel(this.picture));
    const head = make("div", { class: "head" }, make("div", {}, this.title, this.facts));
    head.append(this.cancel, this.download);
    this.range = make("input", { type: "range", min: 0, max: 100, step: 1 });
    this.amount = make("output");
    this.control = make("label", { class: "strength" }, "Strength ", this.range, this.amount);
    this.range.addEventListener("input", () => this.setStrength(this.range.value / 100));
    this.range.addEventListener("change", () => keep({ strength: this.strength }));
    this.viewer = make("div", { class: "comparison" });
    this.backdrop = make("img", { alt: "" });
    this.sentence = make("p", { class: "sentence" });
    this.progress = make("progress", { max: "1", "aria-label": "Progress" });
    this.left = make("p", { class: "left" });
    const box = make("div", { class: "words" }, this.sentence, this.progress, this.left);
    this.pending = make("div", { class: "pending" }, this.backdrop, box);
    element.append(head, this.control, this.viewer, this.pending);
  }

  // Use the server's choices.
  start({ networks, strength }) {
    this.networks = networks;
    this.setStrength(settings.strength ?? strength);
  }

  // Show restored pictures as blends with the plain enlargement, without restoring again.
  setStrength(strength) {
    this.strength = strength;
    this.range.value = Math.round(100 * strength);
    this.amount.value = words.percent(strength);
    this.viewer.style.setProperty("--strength", strength);
    if (this.picture?.state === "done") this.link(this.picture);
    this.dispatchEvent(new Event("strength"));
  }

  link(picture) {
    this.download.href = picture.shown ? result(picture, this.strength) : address(picture, "result");
    this.download.download = picture.result;
  }

  // Show a picture's current state; undefined hides the stage.
  render(picture) {
    this.element.hidden = !picture;
    if (!picture) return;
    this.picture = picture;
    const done = picture.state === "done" && picture.files.includes("result");
    const film = done && !picture.shown;
    words.put(this.title, picture.name);
    words.put(this.facts, this.describe(picture));
    this.cancel.hidden = !["sending", "waiting", "running"].includes(picture.state);
    this.download.hidden = !done;
    this.viewer.hidden = this.control.hidden = !done || film;
    this.pending.hidden = done && !film;
    if (done) this.link(picture);
    if (done && !film) this.compare(picture);
    else this.wait(picture);
  }

  // The networks of a picture, in sequence.
  called({ networks }) {
    return networks.map((key) => this.networks[key].label).join(", then ");
  }

  describe(picture) {
    const facts = [];
    if (picture.before) facts.push(words.size(picture.before));
    if (picture.after) facts[0] += ` to ${words.size(picture.after)} pixels`;
    if (picture.state === "done") facts.push(words.seconds(picture.seconds));
    facts.push(...(picture.warnings ?? []));
    if (picture.networks) facts.push(this.called(picture));
    if (picture.shown && picture.shown[0] < picture.after[0]) {
      facts.push(`shown at ${words.percent(picture.shown[0] / picture.after[0])} of its size`);
    }
    return facts.join(" · ");
  }

  // Show a picture before and after, with the results of all networks that restored it.
  compare(picture) {
    const enlarged = picture.after[0] !== picture.before[0];
    const group = this.pictures.all.filter(
      ({ state, source, shown }) => state === "done" && source === picture.source && shown,
    );
    const shown = [picture, ...group].map(({ key }) => key).join();
    if (shown === this.shown) return;
    this.shown = shown;
    const single = group.length === 1;
    const images = [
      { label: enlarged ? "Bicubic" : "Input", src: address(picture, "before") },
      ...group.map((one) => ({
        label: single ? "Restored" : this.called(one),
        src: address(one, "after"),
        over: address(one, "before"),
      })),
    ];
    const right = 1 + group.findIndex(({ key }) => key === picture.key);
    this.viewer.style.setProperty("--viewer-aspect", `${picture.shown[1]} / ${picture.shown[0]}`);
    if (this.slider) this.slider.setImages({ images, right });
    else this.slider = new Viewer(this.viewer, { images, right });
  }

  wait(picture) {
    const failed = ["failed", "refused"].includes(picture.state);
    const done = picture.state === "done";
    const film = done && picture.files.includes("result");
    const active = !this.cancel.hidden;
    this.pending.classList.toggle("is-failed", failed);
    let sentence = words.state(picture, this.pictures.before(picture));
    if (failed) sentence = picture.failure;
    if (film) sentence = "The film is restored; download it";
    else if (done) sentence = "It is no longer kept, to save space; restore it again";
    if (!film) this.shown = "";
    words.put(this.sentence, sentence);
    this.progress.hidden = !active;
    this.progress.value = picture.share;
    words.put(this.left, picture.state === "running" ? words.left(picture) : "");
    const preview = active && picture.files?.includes("preview");
    this.backdrop.hidden = !preview;
    const source = preview ? address(picture, "preview") : "";
    if (preview && this.backdrop.getAttribute("src") !== source) this.backdrop.src = source;
  }
}
