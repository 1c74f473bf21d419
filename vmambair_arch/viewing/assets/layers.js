// The contents of the two sides: two images, or differences; each is made only once.
"use strict";

class Layers {
  constructor(images, truth) {
    Object.assign(this, { images, truth, loaded: new Map(), read: new WeakMap() });
  }

  // Left and right, each {element, label, note}, and their size, for the indices of two images.
  // shown: "images", "errors" (of each against the truth) or "difference" (of both, on the left).
  async make({ left, right, shown, gain }) {
    const loading = [this.load("left", left), this.load("right", right)];
    const sources = await Promise.all(loading);
    const size = {
      width: Math.max(...sources.map((source) => source.naturalWidth)),
      height: Math.max(...sources.map((source) => source.naturalHeight)),
    };
    const [one, other] = [this.images[left], this.images[right]];
    const compare = (label, image, second) => {
      const drawn = Difference.between(this.pixels(image, size), this.pixels(second, size), gain);
      return { element: drawn.canvas, label, note: `mean ${drawn.mean.toFixed(2)} of 255` };
    };
    const made = { sources, size };
    if (shown === "difference") {
      const layer = compare(`|${one.label} \u2212 ${other.label}|`, ...sources);
      return { ...made, left: layer, right: { element: "", label: "", note: "" } };
    }
    if (shown === "errors") {
      const truth = await this.load("truth", this.truth);
      const error = ({ label }, source) => compare(`Errors of ${label}`, source, truth);
      return { ...made, left: error(one, sources[0]), right: error(other, sources[1]) };
    }
    const blends = await Promise.all([this.blend("left", left), this.blend("right", right)]);
    const plain = ({ label, note = "" }, element) => ({ element, label, note });
    return { ...made, left: plain(one, blends[0]), right: plain(other, blends[1]) };
  }

  // An image alone, or over another (its `over`) with the opacity of the style's --strength.
  async blend(side, index) {
    const image = await this.load(side, index);
    if (!this.images[index].over) return image;
    const below = await this.load(`below ${side}`, index, this.images[index].over);
    return make("div", { class: "viewer-blend" }, below, image);
  }

  // The decoded image; one element per use, since an element can only be in one place.
  load(use, index, src = this.images[index].src) {
    const key = `${use} ${index}`;
    if (!this.loaded.has(key)) {
      const { label } = this.images[index];
      const image = make("img", { alt: label, draggable: false });
      image.src = src;
      const failed = () => {
        throw new DOMException(`${label} cannot be shown`, "EncodingError");
      };
      this.loaded.set(key, image.decode().then(() => image, failed));
    }
    return this.loaded.get(key);
  }

  pixels(image, size) {
    const known = this.read.get(image);
    if (known?.width === size.width && known.height === size.height) return known;
    const pixels = Difference.pixels(image, size);
    this.read.set(image, pixels);
    return pixels;
  }
}
