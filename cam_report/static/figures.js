// What was measured: tables, each with lines below it that say what is not plain, and curves that can be asked for their values.
const noted = (made, lines) => make("div", {}, made, ...lines.map(text => make("p", { class: "hint", text })));

function table(caption, columns, rows, onRow = null) {
  const body = rows.map(row => make("tr", {}, ...row.map((cell, place) => {
    const text = typeof cell === "number" && !Number.isInteger(cell) ? cell.toFixed(4) : String(cell ?? "");
    const content = onRow && place === 0 ? make("button", { type: "button", text, onclick: () => onRow(row) }) : text;
    return make("td", { class: typeof cell === "number" ? "number" : "" }, content);
  })));
  return make("table", {}, make("caption", { text: caption }),
    make("thead", {}, make("tr", {}, ...columns.map(name => make("th", { scope: "col", text: name })))), make("tbody", {}, ...body));
}

const scrolled = made => make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": made.querySelector("caption").textContent }, made);

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

const STROKES = ["#2a78d0", "#d9541e", "#2f9e44", "#a33ea1", "#b08900", "#7a7f87"];

// {title, axis, x: [...], lines: {name: [...]}, slider: whether a click on it sets the threshold}
function curve({ title, axis, x, lines, slider }) {
  const [W, H, left, bottom, top, right] = [480, 280, 46, 36, 12, 12];
  const values = Object.values(lines).flat().filter(Number.isFinite);
  const inUnit = values.every(value => value >= 0 && value <= 1);
  const [low, high] = inUnit ? [0, 1] : [Math.min(...values, 0), Math.max(...values)];
  const [from, to] = [Math.min(...x), Math.max(...x)];
  const px = value => left + (W - left - right) * (to > from ? (value - from) / (to - from) : 0.5);
  const py = value => H - bottom - (H - top - bottom) * (high > low ? (value - low) / (high - low) : 0.5);
  const drawing = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${title} by ${axis}: ${Object.keys(lines).join(", ")}` });
  for (let part = 0; part <= 4; part++) {
    const value = low + (high - low) * part / 4, at = from + (to - from) * part / 4;
    drawing.append(svg("line", { x1: left, x2: W - right, y1: py(value), y2: py(value), stroke: "#8884" }),
      svg("text", { x: left - 5, y: py(value) + 4, "text-anchor": "end" }, Number(value.toPrecision(3))),
      svg("text", { x: px(at), y: H - bottom + 15, "text-anchor": "middle" }, Number(at.toPrecision(3))));
  }
  drawing.append(svg("text", { x: (left + W) / 2, y: H - 4, "text-anchor": "middle" }, axis));
  Object.entries(lines).forEach(([name, line], number) => {
    const points = line.map((value, place) => `${px(x[place]).toFixed(1)},${py(value).toFixed(1)}`).join(" ");
    drawing.append(svg("polyline", { points, fill: "none", stroke: STROKES[number % STROKES.length], "stroke-width": 2 }),
      svg("text", { x: W - right - 4, y: top + 14 * (number + 1), "text-anchor": "end", style: `fill:${STROKES[number % STROKES.length]}` }, name));
  });
  const marker = svg("line", { y1: top, y2: H - bottom, stroke: "currentColor", visibility: "hidden" }), said = make("output");
  drawing.append(marker);
  const nearest = event => {
    const at = drawing.getBoundingClientRect(), wanted = from + ((event.clientX - at.left) * W / at.width - left) / (W - left - right) * (to - from);
    return x.reduce((best, value, place) => Math.abs(value - wanted) < Math.abs(x[best] - wanted) ? place : best, 0);
  };
  drawing.addEventListener("pointermove", event => {
    const place = nearest(event);
    for (const end of ["x1", "x2"]) marker.setAttribute(end, px(x[place]));
    marker.setAttribute("visibility", "visible");
    said.textContent = `${axis} ${Number(x[place].toFixed(4))}: ` + Object.entries(lines).map(([name, line]) => `${name} ${line[place].toFixed(4)}`).join(", ");
  });
  if (slider) drawing.addEventListener("click", event => {
    const step = Math.min(steps - 1, Math.round(x[nearest(event)] * steps));
    look.moved = [step, step];
    said.textContent = `the slider is at ${(step / steps).toFixed(2)}`;
  });
  return make("div", { class: "curve" }, make("h2", { text: title }), drawing, said);
}

function prepareFigures() {
  const place = element("figures"), { figures, curves, tables } = report;
  if (figures.length) {
    const columns = report.figure_columns;
    place.append(noted(table(report.figures_title, columns, figures), report.figure_notes));
  }
  for (const one of curves) place.append(curve(one));
  for (const one of tables) {
    const onRow = one.filter ? row => { filterBy(one, row); } : null;
    place.append(noted(scrolled(table(one.title, one.columns, one.rows, onRow)), [one.note]));
  }
  element("settings").append(
    ...(report.commands.length ? [make("h2", { text: "Made by" }), make("pre", { text: report.commands.join("\n") })] : []),
    noted(table("Settings", ["setting", "value"], report.settings), ["Options that are at their defaults are not listed."]));
}

// A row of a table as a choice of pictures: {filter: "class" or "search", place of the value}.
function filterBy(one, row) {
  for (const id of filters) element(id).value = { low: "0", high: "1", order: "given" }[id] ?? "";
  if (one.filter === "picture") { turnTo("pictures"); choose(); location.hash = "id=" + encodeURIComponent(row[0]); return; }
  element("search").value = row[0];
  turnTo("pictures");
  choose();
}

function turnTo(part) {
  for (const id of ["pictures", "figures", "settings"]) element(id).hidden = id !== part;
  for (const button of element("parts").children) button.setAttribute("aria-current", String(button.dataset.part === part));
  if (part === "pictures") layOut();
}

function prepareParts() {
  const parts = [["pictures", "Pictures"], ["figures", "Figures"], ["settings", "Settings"]];
  const shown = parts.filter(([id]) => id !== "figures" || report.figures.length || report.curves.length || report.tables.length);
  element("parts").append(...shown.map(([id, text]) => make("button", { type: "button", "data-part": id, text, onclick: () => turnTo(id) })));
}

prepareTools();
prepareView();
prepareFigures();
prepareParts();
turnTo("pictures");
choose();
element("gallery").addEventListener("scroll", layOut, { passive: true });
window.addEventListener("resize", layOut);
followLink();
