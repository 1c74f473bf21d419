// Two of several images on the two sides of a divider, zoomed and panned together.
//
//   new Viewer(element, {images: [{label, src, note}, ...], left: 0, right: 1, truth: null})
//
// `images` show the same subject; if two differ in size, the smaller is enlarged to the other's.
// `note` (optional) is shown next to the label; `over` (optional) is the address of an image of the
// same size, over which this one is blended with the opacity of the style's --strength; `truth` is
// the index of the ground truth.
"use strict";

class Viewer {
  constructor(element, options) {
    const { stage, left, right, slider, message } = makeStage();
    const { bar, choices, views, zoom } = makeBar(this);
    Object.assign(this, { element, stage, slider, message, choices, views, zoom });
    this.sides = { left, right };
    this.readout = make("p", { class: "viewer-readout" });
    this.closeups = new Closeups((index) => this.choose({ right: index }));
    this.split = 0.5; // position of the divider, as a fraction of the stage's width
    this.state = { left: 0, right: 0, shown: "images", gain: 4 };
    this.turn = 0; // number of the latest choice; older ones still loading are ignored
    element.classList.add("viewer");
    element.replaceChildren(bar, stage, this.readout, this.closeups.element);
    element.addEventListener("keydown", (event) => pressKey(this, event));
    followPointers(stage, this);
    followWheel(stage, this);
    new ResizeObserver(() => this.resize()).observe(stage);
    this.read(null);
    this.setImages(options);
  }

  // Show other images; arguments as in the constructor. The promise resolves when they are shown.
  setImages({ images, left = 0, right = 1, truth = null }) {
    this.layers = new Layers(images, truth);
    this.closeups.setImages(images);
    this.picture = null;
    for (const { select } of [this.choices.left, this.choices.right]) {
      select.replaceChildren(...images.map(({ label }) => make("option", {}, label)));
    }
    const shown = truth === null && this.state.shown === "errors" ? "images" : this.state.shown;
    return this.choose({ left, right: Math.min(right, images.length - 1), shown });
  }

  // Apply a choice of left and right (indices), shown (a name in VIEWS) and gain.
  async choose(choice) {
    Object.assign(this.state, choice);
    describeChoices(this);
    const turn = ++this.turn;
    try {
      const made = await this.layers.make(this.state);
      if (turn === this.turn) this.show(made);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error; // from an unreadable image
      if (turn === this.turn) this.message.textContent = error.message;
    }
  }

  show({ left, right, size, sources }) {
    for (const [side, layer] of Object.entries({ left, right })) {
      const { picture, badge } = this.sides[side];
      picture.replaceChildren(layer.element);
      badge.replaceChildren(make("b", {}, layer.label), make("span", {}, layer.note));
    }
    this.message.textContent = "";
    const same = this.picture?.width === size.width && this.picture.height === size.height;
    Object.assign(this, { sources, picture: size });
    this.measure();
    if (!same) this.view = Geometry.fit(this.space, size);
    this.render();
  }

  measure() {
    this.space = { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  // A fitted picture is fitted again; otherwise the centre stays in place.
  resize() {
    if (!this.picture) return;
    const { space: before, view, picture } = this;
    this.measure();
    if (view.scale === Geometry.fittingScale(before, picture)) return this.fit(false);
    this.pan((this.space.width - before.width) / 2, (this.space.height - before.height) / 2);
  }

  get canPan() {
    return this.picture !== null && Geometry.overflows(this.view, this.space, this.picture);
  }

  // The part of the stage that the picture covers; the divider always stays within it.
  get covered() {
    return Geometry.covered(this.view, this.space, this.picture);
  }

  get divider() {
    const { left, right } = this.covered;
    return Geometry.clamp(this.split * this.space.width, left, right);
  }

  divide(x) {
    if (!this.picture) return;
    const { left, right } = this.covered;
    this.split = Geometry.clamp(x, left, right) / this.space.width;
    this.render();
  }

  // Move the divider by a fraction of its range.
  step(part) {
    if (!this.picture) return;
    const { left, right } = this.covered;
    this.divide(this.divider + part * (right - left));
  }

  pan(dx, dy) {
    if (!this.picture) return;
    const moved = { ...this.view, x: this.view.x + dx, y: this.view.y + dy };
    this.view = Geometry.confine(moved, this.space, this.picture);
    this.render();
  }

  // Zoom about a point of the stage, or, animated, about the pointer or the centre.
  // Returns whether the scale changed.
  zoomTo(scale, point, gliding = point === undefined) {
    if (!this.picture) return false;
    const before = this.view.scale;
    const middle = { x: this.space.width / 2, y: this.space.height / 2 };
    const about = point ?? this.pointer ?? middle;
    this.view = Geometry.zoom(this.view, scale, about, this.space, this.picture);
    this.render(gliding);
    return this.view.scale !== before;
  }

  zoomBy(factor, point) {
    return this.picture !== null && this.zoomTo(this.view.scale * factor, point);
  }

  // Toggle between the whole picture and its pixels around a point.
  toggleZoom(point) {
    if (!this.picture) return;
    const fitting = Geometry.fittingScale(this.space, this.picture);
    if (this.view.scale > fitting * 1.01) this.fit();
    else this.zoomTo(Math.max(4 * fitting, 1 / devicePixelRatio), point, true);
  }

  actualSize() {
    this.zoomTo(1 / devicePixelRatio);
  }

  fit(gliding = true) {
    if (!this.picture) return;
    this.view = Geometry.fit(this.space, this.picture);
    this.render(gliding);
  }

  swap() {
    return this.choose({ left: this.state.right, right: this.state.left });
  }

  // Switch to the next available view.
  nextView() {
    const names = VIEWS.filter((_, i) => !this.views[i].hidden).map(({ name }) => name);
    return this.choose({ shown: names[(names.indexOf(this.state.shown) + 1) % names.length] });
  }

  toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.element.requestFullscreen();
  }

  // Describe the pixel under a point of the stage, and show close-ups; null: the pointer has left.
  read(point) {
    this.pointer = point;
    const pixel = point && this.picture && Geometry.pixel(this.view, this.picture, point);
    describePixel(this, pixel);
    if (pixel) this.closeups.look(pixel, this.view, this.picture);
  }

  render(gliding = false) {
    const { stage, space, view, picture, covered } = this;
    const enlarged = view.scale * devicePixelRatio;
    stage.classList.toggle("is-gliding", gliding);
    stage.classList.toggle("is-movable", this.canPan);
    stage.classList.toggle("is-pixelated", enlarged >= 2);
    const right = space.width - covered.right;
    const lengths = { ...covered, right, bottom: space.height - covered.bottom };
    for (const [name, length] of Object.entries({ ...lengths, divider: this.divider })) {
      stage.style.setProperty(`--${name}`, `${length}px`);
    }
    for (const side of Object.values(this.sides)) place(side.picture, view, picture);
    this.closeups.render(view, picture);
    this.zoom.value = `${Math.round(100 * enlarged)}%`;
    describeDivider(this);
  }
}

// Position an element of the picture's size according to a view.
function place(element, view, picture) {
  element.style.width = `${picture.width}px`;
  element.style.height = `${picture.height}px`;
  element.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
}
