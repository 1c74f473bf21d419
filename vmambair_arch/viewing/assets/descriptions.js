// What a viewer says of itself: in its controls, to screen readers, and of the pixel pointed at.
"use strict";

const HINTS = {
  mouse: "Drag to compare \u00b7 wheel or double click to zoom \u00b7 keys: \u2190 \u2192 divider, + \u2212 zoom, 0 fit, 1 pixels, D differences, X swap",
  touch: "Drag to compare \u00b7 pinch or double tap to zoom",
};

function describeChoices({ element, choices, views, layers, state }) {
  choices.left.select.selectedIndex = state.left;
  choices.right.select.selectedIndex = state.right;
  choices.gain.select.selectedIndex = Difference.GAINS.indexOf(state.gain);
  choices.gain.element.hidden = state.shown === "images";
  views.forEach((button, index) => {
    button.setAttribute("aria-pressed", VIEWS[index].name === state.shown);
    button.hidden = VIEWS[index].name === "errors" && layers.truth === null;
  });
  element.dataset.shown = state.shown;
}

function describeDivider({ slider, covered, divider, layers, state }) {
  const part = (divider - covered.left) / (covered.right - covered.left);
  const [left, right] = [state.left, state.right].map((index) => layers.images[index].label);
  slider.setAttribute("aria-label", `Divider between ${left} and ${right}`);
  slider.setAttribute("aria-valuenow", Math.round(100 * part));
  slider.setAttribute("aria-valuetext", `${Math.round(100 * part)}% ${left}`);
}

function describePixel(viewer, point) {
  const { readout, view, picture, layers, sources } = viewer;
  const x = point && picture ? Math.floor((point.x - view.x) / view.scale) : -1;
  const y = point && picture ? Math.floor((point.y - view.y) / view.scale) : -1;
  if (x < 0 || y < 0 || x >= picture.width || y >= picture.height) {
    const hints = Object.entries(HINTS);
    readout.replaceChildren(...hints.map(([kind, hint]) => make("span", { class: `on-${kind}` }, hint)));
    return;
  }
  const values = sources.map((source) => {
    const start = 4 * (y * picture.width + x);
    return layers.pixels(source, picture).data.slice(start, start + 3).join(" ");
  });
  const place = make("span", {}, `x ${x}  y ${y}`);
  readout.replaceChildren(place, ...values.map((value) => make("span", {}, value)));
}
