// The pictures that are asked for, as a list of which only what can be seen is there.
const element = id => document.getElementById(id);
const filters = ["search", "class", "right", "low", "high", "order"];
const CELL = { width: 250, height: 220 };
let chosen = [];

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const label = number => number === null || number === undefined ? "" : names[number][0];
const percent = share => share === null ? "" : (100 * share).toFixed(share < 0.1 ? 1 : 0) + " %";

function prepareTools() {
  const used = [...new Set(items.flatMap(item => [item.true, item.guess]).filter(one => one !== null))];
  used.sort((a, b) => label(a).localeCompare(label(b)));
  for (const number of used) element("class").append(make("option", { value: number, text: label(number) }));
  const hide = (name, absent) => { if (absent) for (const one of document.querySelectorAll("." + name)) one.hidden = true; };
  hide("judged", items.every(item => item.right === null));
  hide("boxed", items.every(item => item.iou === null));
  hide("compared", items.every(item => item.change === null));
  for (const id of filters) element(id).addEventListener("input", choose);
  element("tools").addEventListener("submit", event => event.preventDefault());
}

function choose() {
  const words = element("search").value.trim().toLowerCase(), wanted = element("class").value, right = element("right").value;
  const [low, high] = [Number(element("low").value || 0), Number(element("high").value || 1)];
  chosen = items.map((_, number) => number).filter(number => {
    const item = items[number];
    const text = [item.name, names[item.true], names[item.guess]].flat().join(" ").toLowerCase();
    return text.includes(words) && (wanted === "" || [item.true, item.guess].includes(Number(wanted)))
      && (right === "" || item.right === (right === "1")) && (item.iou === null || (item.iou >= low && item.iou <= high));
  });
  const orders = {
    worst: item => item.iou ?? 2, sure: item => -(item.p ?? -1), unsure: item => item.p ?? 2, changed: item => item.change === null ? 1 : -Math.abs(item.change),
  };
  const order = element("order").value;
  if (order === "name") chosen.sort((a, b) => items[a].name.localeCompare(items[b].name) || a - b);
  else if (orders[order]) chosen.sort((a, b) => orders[order](items[a]) - orders[order](items[b]) || a - b);
  element("count").textContent = `${chosen.length} of ${items.length}`;
  element("gallery").scrollTop = 0;
  layOut();
}

const cells = new Map();

function layOut() {
  const gallery = element("gallery"), columns = Math.max(1, Math.floor(gallery.clientWidth / CELL.width));
  const width = gallery.clientWidth / columns;
  element("rows").style.height = Math.ceil(chosen.length / columns) * CELL.height + "px";
  const first = Math.max(0, Math.floor(gallery.scrollTop / CELL.height) - 1) * columns;
  const last = Math.min(chosen.length, (Math.ceil((gallery.scrollTop + gallery.clientHeight) / CELL.height) + 1) * columns);
  const seen = new Set();
  for (let place = first; place < last; place++) {
    const number = chosen[place];
    seen.add(number);
    if (!cells.has(number)) cells.set(number, cellOf(number));
    const cell = cells.get(number);
    cell.style.cssText = `left:${(place % columns) * width}px;top:${Math.floor(place / columns) * CELL.height}px;width:${width - 6}px;height:${CELL.height - 6}px`;
  }
  for (const [number, cell] of cells) if (!seen.has(number)) { cell.remove(); cells.delete(number); }
  // In the order of the list, for those who go through it by keyboard.
  element("rows").replaceChildren(...chosen.slice(first, last).map(number => cells.get(number)));
}

function cellOf(number) {
  const item = items[number], canvas = make("canvas", { "aria-hidden": "true" });
  const iouText = item.iou === null ? "" : `, IoU ${item.iou.toFixed(2)}`;
  const words = item.error ? item.error : `${label(item.true ?? item.guess)}${item.p === null ? "" : " " + percent(item.p)}${iouText}`;
  const cell = make("button", { type: "button", class: "cell" + (item.right === null ? "" : item.right ? " right" : " wrong"),
    "aria-label": `${item.name}: ${words}${item.right === null ? "" : item.right ? ", guessed right" : ", guessed wrong"}`, onclick: () => open(number) },
  make("span", { class: "shown" }, canvas), make("span", { class: "words", text: words }), make("span", { class: "words", text: item.name }));
  const held = load(number);
  held.ready.then(() => draw(canvas, held, held.views[0], { ...look, ...asDrawn(), box: true, segments: false, truth: true, grid: false }, 240));
  return cell;
}
