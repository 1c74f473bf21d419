// Absolute differences of two pictures, times a gain, drawn on a canvas.
"use strict";

const Difference = {
  GAINS: [1, 2, 4, 8, 16],

  // Four bytes per pixel of an image element, resized if its own size differs.
  pixels(image, { width, height }) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  },

  // A canvas of |a - b| * gain, and the mean of |a - b| over pixels and colours, 0 to 255.
  between(a, b, gain) {
    const { width, height } = a;
    const drawn = new ImageData(width, height);
    let total = 0;
    for (let i = 0; i < drawn.data.length; i += 4) {
      for (let channel = i; channel < i + 3; channel++) {
        const distance = Math.abs(a.data[channel] - b.data[channel]);
        drawn.data[channel] = distance * gain; // the array clamps to 255
        total += distance;
      }
      drawn.data[i + 3] = 255;
    }
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").putImageData(drawn, 0, 0);
    return { canvas, mean: total / (3 * width * height) };
  },
};
