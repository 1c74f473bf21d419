// The position of a picture on the stage: functions of a view, the stage's size and the picture's.
//
// A view is {scale, x, y}: CSS pixels per pixel of the picture, and the position of the picture's
// upper left corner on the stage, in CSS pixels. Sizes are {width, height}.
"use strict";

const Geometry = {
  MOST: 32, // screen pixels per pixel of the picture

  clamp: (value, least, most) => Math.min(Math.max(value, least), most),

  // The view of the whole picture, as large as the stage allows.
  fit(stage, picture) {
    const scale = Geometry.fittingScale(stage, picture);
    return Geometry.confine({ scale, x: 0, y: 0 }, stage, picture);
  },

  fittingScale: (stage, picture) =>
    Math.min(stage.width / picture.width, stage.height / picture.height),

  // The view moved so that the picture is on the stage: without a gap along a side that is larger
  // than the stage; otherwise inside it, covering the fitted picture's area, so that zooming out
  // ends there.
  confine(view, stage, picture) {
    const fitting = Geometry.fittingScale(stage, picture);
    const place = (offset, side, length) => {
      const [size, fitted] = [length * view.scale, length * fitting];
      if (size <= fitted) return (side - size) / 2;
      if (size >= side) return Geometry.clamp(offset, side - size, 0);
      const start = (side - fitted) / 2;
      const least = Math.max(start + fitted - size, 0);
      return Geometry.clamp(offset, least, Math.min(start, side - size));
    };
    return {
      scale: view.scale,
      x: place(view.x, stage.width, picture.width),
      y: place(view.y, stage.height, picture.height),
    };
  },

  // The view at another scale, with a point of the stage fixed.
  zoom(view, scale, point, stage, picture) {
    const actual = 1 / devicePixelRatio;
    const fitting = Geometry.fittingScale(stage, picture);
    const least = Math.min(fitting, actual);
    const most = Math.max(fitting, Geometry.MOST * actual);
    const bounded = Geometry.clamp(scale, least, most);
    const ratio = bounded / view.scale;
    const x = point.x - (point.x - view.x) * ratio;
    const y = point.y - (point.y - view.y) * ratio;
    return Geometry.confine({ scale: bounded, x, y }, stage, picture);
  },

  // The picture's pixel under a point of the stage, or null.
  pixel(view, picture, point) {
    const x = Math.floor((point.x - view.x) / view.scale);
    const y = Math.floor((point.y - view.y) / view.scale);
    return x >= 0 && y >= 0 && x < picture.width && y < picture.height ? { x, y } : null;
  },

  // The part of the stage that the picture covers.
  covered(view, stage, picture) {
    return {
      left: Math.max(view.x, 0),
      right: Math.min(view.x + picture.width * view.scale, stage.width),
      top: Math.max(view.y, 0),
      bottom: Math.min(view.y + picture.height * view.scale, stage.height),
    };
  },

  // Whether part of the picture is outside the stage, beyond rounding.
  overflows(view, stage, picture) {
    const width = picture.width * view.scale - stage.width;
    const height = picture.height * view.scale - stage.height;
    return Math.max(width, height) > 0.5;
  },
};
