// What the page holds: a summary of every picture at once, the rest of each when it is looked at.
const report = JSON.parse(document.getElementById("report").textContent);
const { steps, names, items } = report;
const loaded = new Map();
const MOST_LOADED = 300;

const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));

function decodeView(view) {
  const count = bytes(view.n), box = new Uint16Array(bytes(view.b).buffer);
  const first = new Uint32Array(steps + 1);
  for (let step = 0; step < steps; step++) first[step + 1] = first[step] + count[step];
  return { ...view, grid: bytes(view.g), box, first, peakAt: bytes(view.k) };
}

// Pictures, maps and boxes of an item.
function load(number) {
  if (loaded.has(number)) return loaded.get(number);
  const held = JSON.parse(document.getElementById("item-" + number).textContent);
  const item = { ...items[number], number, truth: held.truth, views: held.views.map(decodeView), image: new Image() };
  item.ready = new Promise(done => { item.image.onload = item.image.onerror = done; });
  item.image.alt = "";
  item.image.src = held.picture;
  if (loaded.size > MOST_LOADED) loaded.delete(loaded.keys().next().value);
  loaded.set(number, item);
  return item;
}

// To the nearest, halves to the even one, as NumPy rounds.
function rint(value) {
  const low = Math.floor(value), rest = value - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

// A box of a map in pixels of the picture: localization.to_picture.
function toPicture(box, view, item) {
  const [h, w] = view.s, x = item.w / w, y = item.h / h;
  const x0 = Math.min(rint(box[0] * x), item.w - 1), y0 = Math.min(rint(box[1] * y), item.h - 1);
  return [x0, y0, Math.max(rint(box[2] * x), x0 + 1), Math.max(rint(box[3] * y), y0 + 1)];
}

// Every segment's box at a step of the slider, largest first.
function boxesAt(view, item, step) {
  const found = [];
  for (let number = view.first[step]; number < view.first[step + 1]; number++)
    found.push(toPicture(view.box.subarray(4 * number, 4 * number + 4), view, item));
  return found;
}

function iou(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const both = Math.max(0, width) * Math.max(0, height);
  const all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both;
  return all > 0 ? both / all : 0;
}

// Which slider moves a view: that of its run, or the only one.
const sliderOf = view => Math.max(0, report.runs.indexOf(view.run));

// The step of a view: where its slider was moved to, else the nearest to the threshold of its box.
const stepOf = (view, look) => look.moved[sliderOf(view)] ?? Math.min(steps - 1, Math.round(view.t * steps));

// The box of a view: the very one that was written or judged, or, where something else was asked for, that of the step.
function boxOf(view, item, look) {
  if (view.drawn && look.moved[sliderOf(view)] === null && look.peak === null) return view.drawn;
  const step = stepOf(view, look), peak = look.peak ?? report.rules[sliderOf(view)] === "peak";
  return boxesAt(view, item, step)[peak ? view.peakAt[step] : 0];
}

const bestIou = (box, truth) => truth.reduce((best, one) => Math.max(best, iou(box, one)), 0);
