// The elements of a viewer: the stage with its two sides, and the bar of controls.
"use strict";

const VIEWS = [
  { name: "images", label: "Images", title: "the images themselves" },
  { name: "errors", label: "Errors", title: "|image \u2212 ground truth|, on each side" },
  { name: "difference", label: "Difference", title: "|left \u2212 right|" },
];

// An element with attributes and children; strings among the children are text, never markup.
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function makeButton(text, label, act) {
  const button = make("button", { type: "button", title: label, "aria-label": label }, text);
  button.addEventListener("click", act);
  return button;
}

function makeSide(side) {
  const picture = make("div", { class: "viewer-picture" });
  const badge = make("div", { class: "viewer-badge" });
  return { element: make("div", { class: `viewer-side is-${side}` }, picture, badge), picture, badge };
}

function makeStage() {
  const left = makeSide("left");
  const right = makeSide("right");
  const slider = make("div", {
    class: "viewer-divider",
    role: "slider",
    tabindex: 0,
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    hidden: "", // until images are shown
  });
  const message = make("p", { class: "viewer-message", role: "status" });
  const stage = make("div", { class: "viewer-stage", tabindex: -1 });
  stage.append(left.element, right.element, slider, message);
  return { stage, left, right, slider, message };
}

// A labelled list of choices; `choose` is called with the selected index.
function makeChoice(label, choose) {
  const select = make("select");
  select.addEventListener("change", () => choose(select.selectedIndex));
  const element = make("label", { class: "viewer-choice" }, make("span", {}, label), select);
  return { select, element };
}

// The bar of controls, which call the viewer's methods.
function makeBar(viewer) {
  const left = makeChoice("Left", (index) => viewer.choose({ left: index }));
  const right = makeChoice("Right", (index) => viewer.choose({ right: index }));
  const swap = makeButton("\u21c4", "Swap the sides (X)", () => viewer.swap());
  const gain = makeChoice("Gain", (index) => viewer.choose({ gain: Difference.GAINS[index] }));
  gain.select.append(...Difference.GAINS.map((value) => make("option", {}, `\u00d7${value}`)));
  const views = VIEWS.map(({ name, label, title }) => {
    const button = makeButton(label, title, () => viewer.choose({ shown: name }));
    button.removeAttribute("aria-label"); // the text suffices
    return button;
  });
  const zoom = make("output", { class: "viewer-zoom", "aria-label": "Zoom" });
  const zooming = [
    makeButton("\u2212", "Zoom out (\u2212)", () => viewer.zoomBy(1 / 1.5)),
    zoom,
    makeButton("+", "Zoom in (+)", () => viewer.zoomBy(1.5)),
    makeButton("Fit", "Fit the stage (0)", () => viewer.fit()),
    makeButton("1:1", "One screen pixel per pixel (1)", () => viewer.actualSize()),
  ];
  if (document.fullscreenEnabled) {
    zooming.push(makeButton("Full", "Full screen (F)", () => viewer.toggleFullScreen()));
  }
  const group = (label, ...children) =>
    make("div", { class: "viewer-group", role: "group", "aria-label": label }, ...children);
  const bar = make("div", { class: "viewer-bar" });
  const sides = make("div", { class: "viewer-sides" }, left.element, swap, right.element);
  bar.append(sides, group("View", ...views), gain.element, group("Zoom", ...zooming));
  return { bar, choices: { left, right, gain }, views, zoom };
}
