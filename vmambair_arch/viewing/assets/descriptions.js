// A viewer's texts: in its controls, for screen readers, and on the pixel under the pointer.
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
  slider.hidden = false;
}

// A pixel's position and its values on the two sides; without a pixel, hints on the controls.
function describePixel({ readout, picture, layers, sources }, pixel) {
  if (!pixel) {
    const hints = Object.entries(HINTS);
    readout.replaceChildren(...hints.map(([on, hint]) => make("span", { class: `on-${on}` }, hint)));
    return;
  }
  const start = 4 * (pixel.y * picture.width + pixel.x);
  const values = sources.map((source) => {
    return layers.pixels(source, picture).data.slice(start, start + 3).join(" ");
  });
  const texts = [`x ${pixel.x}, y ${pixel.y}`, ...values];
  readout.replaceChildren(...texts.map((text) => make("span", {}, text)));
}
