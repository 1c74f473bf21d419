// Translates pointers, wheel and double clicks on the stage into calls of the viewer.
"use strict";

// Follow mouse, pen and fingers: drag the divider or the picture, pinch to zoom.
function followPointers(stage, viewer) {
  const pointers = new Map(); // last position of each pointer, by id
  let offset = null; // of the divider from the pointer dragging it; null: the picture is dragged
  let start = null; // where a finger touched down, while it may still scroll the page

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !viewer.picture) return;
    const point = pointOn(stage, event);
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, point);
    const grabbed = event.target.closest(".viewer-divider") !== null;
    if (pointers.size > 1 || (!grabbed && viewer.canPan)) offset = null;
    else offset = grabbed ? viewer.divider - point.x : 0;
    start = event.pointerType === "touch" && pointers.size === 1 ? point : null;
    if (offset !== null && !start) viewer.divide(point.x + offset);
    stage.classList.toggle("is-panning", offset === null);
  });

  stage.addEventListener("pointermove", (event) => {
    const point = pointOn(stage, event);
    viewer.read(point);
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const fixed = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, point);
    // The divider only follows once the finger moves sideways; vertically, the page scrolls.
    if (start && Math.abs(point.x - start.x) > Math.abs(point.y - start.y)) start = null;
    if (fixed) pinch(viewer, fixed, before, point);
    else if (offset === null) viewer.pan(point.x - before.x, point.y - before.y);
    else if (!start) viewer.divide(point.x + offset);
  });

  const release = (event) => {
    pointers.delete(event.pointerId);
    offset = null; // the remaining one of two fingers pans
    if (!pointers.size) stage.classList.remove("is-panning");
  };
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
  stage.addEventListener("pointerleave", () => viewer.read(null));
  stage.addEventListener("dblclick", (event) => viewer.toggleZoom(pointOn(stage, event)));
  // Two fingers never scroll the page.
  const keep = (event) => event.touches.length > 1 && event.preventDefault();
  stage.addEventListener("touchmove", keep, { passive: false });
}

// One of two fingers has moved: zoom about their centre, and pan with it.
function pinch(viewer, fixed, before, now) {
  const distance = (point) => Math.max(Math.hypot(point.x - fixed.x, point.y - fixed.y), 1);
  const middle = { x: (fixed.x + now.x) / 2, y: (fixed.y + now.y) / 2 };
  viewer.zoomBy(distance(now) / distance(before), middle);
  viewer.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
}

// Zoom with the wheel, but let the page scroll if it is already scrolling, or at the zoom limit.
function followWheel(stage, viewer) {
  const PAUSE = 200; // milliseconds after which a turn of the wheel counts as new
  let scrolled = -PAUSE;
  let zoomed = -PAUSE;
  document.addEventListener("scroll", () => (scrolled = performance.now()), { passive: true });
  const zoom = (event) => {
    const now = performance.now();
    const pinched = event.ctrlKey; // how browsers report a trackpad's pinch
    if (!pinched && now - scrolled < PAUSE) return;
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const amount = Geometry.clamp(event.deltaY * lines, -200, 200) * (pinched ? 0.01 : 0.002);
    const changed = viewer.zoomBy(Math.exp(-amount), pointOn(stage, event));
    if (changed || amount < 0 || pinched) zoomed = now;
    if (now - zoomed < PAUSE) event.preventDefault();
  };
  stage.addEventListener("wheel", zoom, { passive: false });
}

function pointOn(stage, event) {
  const box = stage.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}
