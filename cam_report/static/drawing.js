// A picture with a map over it and boxes around what it shows.
const palettes = Object.fromEntries(Object.entries(report.palettes).map(([name, text]) => [name, bytes(text)]));

// A grid of 8 bits as an image as large as is asked for: bilinear between the middles of its cells, or the cells themselves.
function heatImage(view, width, height, palette, opacity, ownGrid) {
  const image = new ImageData(width, height), { grid, gh, gw } = view, alpha = Math.round(255 * opacity);
  const places = (size, cells) => Array.from({ length: size }, (_, pixel) => {
    const at = Math.min(Math.max((pixel + 0.5) * cells / size - 0.5, 0), cells - 1), low = Math.floor(at);
    if (ownGrid) { const cell = Math.min(Math.floor((pixel + 0.5) * cells / size), cells - 1); return [cell, cell, 0]; }
    return [low, Math.min(low + 1, cells - 1), at - low];
  });
  const columns = places(width, gw);
  let place = 0;
  for (const [top, bottom, down] of places(height, gh)) {
    for (const [left, right, over] of columns) {
      const above = grid[top * gw + left] * (1 - over) + grid[top * gw + right] * over;
      const below = grid[bottom * gw + left] * (1 - over) + grid[bottom * gw + right] * over;
      const colour = 3 * Math.round(above * (1 - down) + below * down);
      image.data[place++] = palette[colour];
      image.data[place++] = palette[colour + 1];
      image.data[place++] = palette[colour + 2];
      image.data[place++] = alpha;
    }
  }
  return image;
}

function frame(pen, box, scaleX, scaleY, colour, width, dashed = false) {
  const [x0, y0, x1, y1] = [box[0] * scaleX, box[1] * scaleY, box[2] * scaleX, box[3] * scaleY];
  for (const [style, thick, dash] of [["#141414", width + 2, []], [colour, width, dashed ? [10, 10] : []]]) {
    pen.strokeStyle = style;
    pen.lineWidth = thick;
    pen.setLineDash(dash);
    pen.strokeRect(x0 + thick / 2, y0 + thick / 2, Math.max(1, x1 - x0 - thick), Math.max(1, y1 - y0 - thick));
  }
  pen.setLineDash([]);
}

const overlayCanvas = document.createElement("canvas");

// look: {moved: the step of each slider or null, peak: or null, colours, opacity, box, segments, truth, grid}. Returns the box that is drawn, or null.
function draw(canvas, item, view, look, width) {
  const height = Math.max(1, Math.round(width * item.h / item.w));
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d");
  if (item.image.naturalWidth) pen.drawImage(item.image, 0, 0, width, height);
  if (view && look.opacity > 0) {
    const mapWidth = Math.min(width, 400), mapHeight = Math.max(1, Math.round(mapWidth * height / width));
    overlayCanvas.width = mapWidth;
    overlayCanvas.height = mapHeight;
    overlayCanvas.getContext("2d").putImageData(
      heatImage(view, mapWidth, mapHeight, palettes[look.colours], look.opacity, look.grid), 0, 0);
    pen.imageSmoothingEnabled = !look.grid;
    pen.drawImage(overlayCanvas, 0, 0, width, height);
    pen.imageSmoothingEnabled = true;
  }
  const x = width / item.w, y = height / item.h;
  if (look.truth) for (const box of item.truth) frame(pen, box, x, y, "#00e640", 3);
  if (!view) return null;
  const drawn = boxOf(view, item, look);
  if (look.segments) for (const box of boxesAt(view, item, stepOf(view, look)).slice(1)) frame(pen, box, x, y, "#ffffff", 1);
  const whole = drawn[0] === 0 && drawn[1] === 0 && drawn[2] === item.w && drawn[3] === item.h;
  if (look.box) frame(pen, drawn, x, y, "#ffffff", 2, whole);
  return drawn;
}
