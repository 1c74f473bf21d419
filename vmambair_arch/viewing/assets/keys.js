// Key bindings of a focused viewer.
"use strict";

const VIEWER_KEYS = {
  "+": (viewer) => viewer.zoomBy(1.5),
  "=": (viewer) => viewer.zoomBy(1.5), // the + key without Shift
  "-": (viewer) => viewer.zoomBy(1 / 1.5),
  0: (viewer) => viewer.fit(),
  1: (viewer) => viewer.actualSize(),
  d: (viewer) => viewer.nextView(),
  x: (viewer) => viewer.swap(),
  f: (viewer) => viewer.toggleFullScreen(),
};

// Only on the stage; elsewhere these keys scroll the page. They follow ARIA's slider pattern.
const STAGE_KEYS = {
  ArrowLeft: (viewer) => viewer.step(-0.02),
  ArrowDown: (viewer) => viewer.step(-0.02),
  ArrowRight: (viewer) => viewer.step(0.02),
  ArrowUp: (viewer) => viewer.step(0.02),
  PageDown: (viewer) => viewer.step(-0.1),
  PageUp: (viewer) => viewer.step(0.1),
  Home: (viewer) => viewer.step(-1),
  End: (viewer) => viewer.step(1),
};

const PAN = 48; // CSS pixels
const SHIFTED_KEYS = {
  ArrowLeft: (viewer) => viewer.pan(PAN, 0),
  ArrowRight: (viewer) => viewer.pan(-PAN, 0),
  ArrowUp: (viewer) => viewer.pan(0, PAN),
  ArrowDown: (viewer) => viewer.pan(0, -PAN),
};

// Whether a key belongs to a list, a text field or the browser.
function isTaken(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input");
}

function pressKey(viewer, event) {
  if (isTaken(event)) return;
  const onStage = viewer.stage.contains(event.target);
  const keys = onStage ? (event.shiftKey ? SHIFTED_KEYS : STAGE_KEYS) : {};
  const act = keys[event.key] ?? VIEWER_KEYS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act(viewer);
}
