// The picture that is chosen: how far it is, before and after, or why there is nothing to see.
// make and Viewer are the viewer's, a classic script.

import { address } from "./server.js";
import * as words from "./words.js";

export class Stage {
  // element: where it is shown; pictures: a Pictures.
  constructor(element, pictures) {
    Object.assign(this, { element, pictures, picture: null });
    this.title = make("h2");
    this.facts = make("p", { class: "facts" });
    this.download = make("a", { class: "button main" }, "Download");
    this.cancel = make("button", { type: "button" }, "Cancel");
    this.cancel.addEventListener("click", () => pictures.cancel(this.picture));
    const head = make("div", { class: "head" }, make("div", {}, this.title, this.facts));
    head.append(this.cancel, this.download);
    this.viewer = make("div", { class: "comparison" });
    this.backdrop = make("img", { alt: "" });
    this.sentence = make("p", { class: "sentence" });
    this.progress = make("progress", { max: "1", "aria-label": "Progress" });
    this.left = make("p", { class: "left" });
    const box = make("div", { class: "words" }, this.sentence, this.progress, this.left);
    this.pending = make("div", { class: "pending" }, this.backdrop, box);
    element.append(head, this.viewer, this.pending);
  }

  // Show a picture as it is now; undefined: none.
  render(picture) {
    this.element.hidden = !picture;
    if (!picture) return;
    const changed = picture.key !== this.picture?.key || picture.state !== this.picture.state;
    this.picture = picture;
    const done = picture.state === "done" && picture.files.includes("result");
    words.put(this.title, picture.name);
    words.put(this.facts, this.describe(picture));
    this.cancel.hidden = !["sending", "waiting", "running"].includes(picture.state);
    this.download.hidden = this.viewer.hidden = !done;
    this.pending.hidden = done;
    if (done && changed) this.compare(picture);
    if (!done) this.wait(picture);
  }

  describe(picture) {
    const facts = [];
    if (picture.before) facts.push(words.size(picture.before));
    if (picture.after) facts[0] += ` to ${words.size(picture.after)} pixels`;
    if (picture.state === "done") facts.push(words.seconds(picture.seconds));
    facts.push(...(picture.warnings ?? []));
    if (picture.network !== undefined) facts.push(this.networks[picture.network].label);
    if (picture.shown && picture.shown[0] < picture.after[0]) {
      facts.push(`shown at ${words.percent(picture.shown[0] / picture.after[0])} of its size`);
    }
    return facts.join(" · ");
  }

  compare(picture) {
    this.download.href = address(picture, "result");
    this.download.download = picture.result;
    const enlarged = picture.after[0] !== picture.before[0];
    const images = [
      { label: enlarged ? "Bicubic" : "Input", src: address(picture, "before") },
      { label: "Restored", src: address(picture, "after") },
    ];
    this.viewer.style.setProperty("--viewer-aspect", `${picture.shown[1]} / ${picture.shown[0]}`);
    if (this.slider) this.slider.setImages({ images });
    else this.slider = new Viewer(this.viewer, { images });
  }

  wait(picture) {
    const failed = ["failed", "refused"].includes(picture.state);
    const lost = picture.state === "done";
    const active = !this.cancel.hidden;
    this.pending.classList.toggle("is-failed", failed);
    let sentence = words.state(picture, this.pictures.before(picture));
    if (failed) sentence = picture.failure;
    if (lost) sentence = "It is no longer kept, to save space; restore it again";
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
