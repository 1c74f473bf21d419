// A row of close-ups: the place under the pointer in every image, enlarged beyond the stage.
"use strict";

const CLOSER = 3; // times the stage's scale

class Closeups {
  // `choose` is called with the index of an image clicked in the row.
  constructor(choose) {
    this.choose = choose;
    this.element = make("div", { class: "viewer-closeups", role: "group", "aria-label": "Close-ups" });
  }

  // Two images are both on the stage already, so the row needs three or more.
  setImages(images) {
    this.focus = null; // the centre, in the picture's pixels
    const shown = images.length > 2 ? images : [];
    this.element.replaceChildren(...shown.map((image, index) => this.tile(image, index)));
  }

  tile({ label, note = "", src }, index) {
    const image = make("img", { alt: "", src, draggable: false });
    const window = make("span", { class: "viewer-window" }, image);
    const title = `${label}: put it on the right`;
    const caption = [make("b", {}, label), make("small", {}, note)];
    const tile = make("button", { type: "button", title }, window, ...caption);
    tile.addEventListener("click", () => this.choose(index));
    return tile;
  }

  // Show the surroundings of a pixel.
  look(pixel, view, picture) {
    this.focus = { x: pixel.x + 0.5, y: pixel.y + 0.5 };
    this.render(view, picture);
  }

  render(view, picture) {
    const [first] = this.element.children;
    if (!first) return;
    const window = first.firstChild;
    const space = { width: window.clientWidth, height: window.clientHeight };
    const most = Math.max(Geometry.MOST / devicePixelRatio, view.scale);
    const scale = Math.min(CLOSER * view.scale, most);
    const focus = this.focus ?? { x: picture.width / 2, y: picture.height / 2 };
    const corner = { x: space.width / 2 - focus.x * scale, y: space.height / 2 - focus.y * scale };
    const placed = Geometry.confine({ scale, ...corner }, space, picture);
    for (const image of this.element.querySelectorAll("img")) place(image, placed, picture);
  }
}
