// The list of pictures: a line for each, to select, cancel or remove it.
// make is the viewer's, a classic script.

import { address } from "./server.js";
import { isOver } from "./pictures.js";
import * as words from "./words.js";

export class List {
  // element: the <ul>; pictures: a Pictures; choose(key) is called when a picture is clicked.
  constructor(element, pictures, choose) {
    Object.assign(this, { element, pictures, choose });
    this.entries = new Map(); // by key
  }

  // Show the pictures as they are now.
  render(chosen) {
    const keys = new Set(this.pictures.all.map(({ key }) => key));
    for (const [key, entry] of this.entries) {
      if (keys.has(key)) continue;
      entry.element.remove();
      this.entries.delete(key);
    }
    for (const picture of this.pictures.all) {
      if (!this.entries.has(picture.key)) this.append(picture);
      this.entries.get(picture.key).update(picture, picture.key === chosen);
    }
  }

  append(picture) {
    const entry = new Entry(this, picture);
    this.entries.set(picture.key, entry);
    this.element.prepend(entry.element); // the newest first
  }

  // Once uploaded, a picture becomes a job with another key; it keeps its line.
  rename(key, id) {
    const entry = this.entries.get(key);
    if (!entry || this.entries.has(id)) return;
    this.entries.delete(key);
    this.entries.set(id, entry);
  }
}

class Entry {
  constructor(list, picture) {
    this.list = list;
    this.thumbnail = make("span", { class: "thumbnail" });
    this.words = make("span", { class: "state" });
    this.lost = make("span", { class: "lost" });
    const name = make("span", { class: "name", title: picture.name }, picture.name);
    this.select = make("button", { class: "select", type: "button" }, this.thumbnail, name, this.words, this.lost);
    this.select.addEventListener("click", () => list.choose(this.picture.key));
    this.end = make("button", { class: "end", type: "button" }, "×");
    this.end.addEventListener("click", () => this.endIt());
    this.progress = make("progress", { max: "1", "aria-label": `Progress of ${picture.name}` });
    this.element = make("li", {}, this.select, this.end, this.progress);
  }

  update(picture, chosen) {
    this.picture = picture;
    const over = isOver(picture);
    this.element.className = `picture is-${picture.state}`;
    this.select.setAttribute("aria-current", chosen);
    words.put(this.words, words.state(picture, this.list.pictures.before(picture)));
    words.put(this.lost, (picture.warnings ?? []).join("; "));
    const label = `${over ? "Remove" : "Cancel"} ${picture.name}`;
    this.end.setAttribute("aria-label", label);
    this.end.title = over ? "Remove" : "Cancel";
    this.progress.hidden = over;
    this.progress.value = picture.share;
    const preview = picture.files?.includes("preview");
    if (preview && !this.thumbnail.firstChild) {
      this.thumbnail.append(make("img", { src: address(picture, "preview"), alt: "" }));
    }
  }

  endIt() {
    const { pictures } = this.list;
    if (!isOver(this.picture)) return pictures.cancel(this.picture);
    const next = this.element.nextElementSibling ?? this.element.previousElementSibling;
    next?.querySelector(".select").focus(); // the focused element is removed
    pictures.remove(this.picture);
  }
}
