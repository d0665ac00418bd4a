// One picture, large: its classes, the slider, and what is drawn.
// As written or judged, until a slider or the choice of a segment is touched.
const asDrawn = () => ({ moved: [null, null], peak: null });
const look = { ...asDrawn(), colours: "jet", opacity: 0.5, box: true, segments: false, truth: true, grid: false };
const SLIDERS = [["threshold", "t"], ["threshold2", "t2"]].slice(0, Math.max(1, report.runs.length));
let current = null, tab = 0, beside = -1;
const dialog = element("view");

function prepareView() {
  for (const name of Object.keys(palettes)) element("colours").append(make("option", { value: name, text: name }));
  const bind = (id, event, change) => element(id).addEventListener(event, () => { change(element(id)); show(); });
  SLIDERS.forEach(([id], number) => {
    element(id).max = steps - 1;
    element(id).closest("label").hidden = false;
    if (report.runs.length) element(id).closest("label").querySelector(".slider").textContent = `Threshold ${report.runs[number]}`;
    bind(id, "input", input => { look.moved[number] = Number(input.value); });
  });
  bind("reset", "click", () => Object.assign(look, asDrawn()));
  bind("colours", "input", input => { look.colours = input.value; });
  bind("opacity", "input", input => { look.opacity = input.value / 100; });
  bind("beside", "input", input => { beside = Number(input.value); });
  for (const id of ["box", "segments", "peak", "truth", "grid"]) bind(id, "change", input => { look[id] = input.checked; });
  element("previous").addEventListener("click", () => step(-1));
  element("next").addEventListener("click", () => step(1));
  element("close").addEventListener("click", () => dialog.close());
  element("export").addEventListener("click", save);
  dialog.addEventListener("close", () => { current = null; history.replaceState(null, "", location.pathname + location.search); layOut(); });
  document.addEventListener("keydown", key);
  window.addEventListener("hashchange", followLink);
}

function open(number) {
  current = load(number);
  tab = Math.min(tab, Math.max(0, current.views.length - 1));
  if (report.runs.length) beside = current.views.length > 1 ? 1 : -1;
  else if (beside >= current.views.length) beside = -1;
  if (!dialog.open) dialog.showModal();
  show();
  const opened = current;
  opened.ready.then(() => { if (current === opened) show(); });
}

const titleOf = view => `${view.run ? view.run + ": " : ""}${label(view.c)}${view.p === null ? "" : " " + percent(view.p)}`;

// A name as an address can hold it: what is no letter becomes one.
const linked = name => name.replace(/\p{Surrogate}/gu, "\ufffd");

const untouched = () => look.peak === null && look.moved.every(step => step === null);

// What the page says of the threshold of a view.
function thresholdOf(view) {
  const moved = look.moved[sliderOf(view)];
  if (moved !== null) return (moved / steps).toFixed(2);
  return report.rules[sliderOf(view)] === "authors" && look.peak === null ? "the authors' own" : view.t.toFixed(Math.abs(view.t * steps - Math.round(view.t * steps)) < 1e-6 ? 2 : 4);
}

function show() {
  if (!current) return;
  const { views } = current;
  element("name").textContent = current.name;
  element("tabs").replaceChildren(...views.map((view, number) => make("button", {
    type: "button", "aria-pressed": String(number === tab), text: `${number + 1} ${titleOf(view)}`, onclick: () => { tab = number; show(); } })));
  const others = [[-1, "nothing"], ...views.map((view, number) => [number, titleOf(view)])];
  element("beside").replaceChildren(...others.map(([number, text]) => make("option", { value: number, text, selected: number === beside })));
  SLIDERS.forEach(([id, output], number) => {
    const view = [views[tab], views[beside], ...views].find(one => one && sliderOf(one) === number);
    element(id).disabled = !view;
    element(id).value = view ? stepOf(view, look) : 0;
    element(output).textContent = view ? thresholdOf(view) : "";
  });
  element("peak").checked = look.peak ?? (views.length > 0 && report.rules[sliderOf(views[tab])] === "peak");
  element("reset").disabled = untouched();
  const width = Math.max(160, Math.round(Math.min(640, 520 * current.w / current.h)));
  panel("stage", "caption", views[tab], width);
  element("second").hidden = beside < 0;
  if (beside >= 0) panel("stage2", "caption2", views[beside], width);
  const moved = SLIDERS.map((_, number) => look.moved[number] === null ? "" : (look.moved[number] / steps).toFixed(2)).join(",");
  history.replaceState(null, "", `#id=${encodeURIComponent(linked(current.name))}${/\d/.test(moved) ? "&t=" + moved : ""}&c=${tab + 1}`);
}

function panel(stage, caption, view, width) {
  const box = draw(element(stage), current, view, look, width);
  const parts = current.error ? [current.error] : [];
  if (view) parts.push(titleOf(view));
  if (box) parts.push(`box ${box.join(", ")}`);
  if (box && current.truth.length) parts.push(`IoU ${bestIou(box, current.truth).toFixed(3)}`);
  if (current.true !== null && view && view.c !== current.true) parts.push(`true class: ${label(current.true)}`);
  element(caption).textContent = parts.join("   ");
  element(stage).setAttribute("aria-label", `${current.name}, ${parts.join(", ")}`);
}

function step(by) {
  const place = chosen.indexOf(current.number), next = chosen[place + by];
  if (next !== undefined) open(next);
}

function toggle(id) {
  element(id).checked = look[id] = !element(id).checked;
  show();
}

function key(event) {
  if (!current || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("select, input:not([type=checkbox])");
  if (event.key === "ArrowRight" && !typing) step(1);
  else if (event.key === "ArrowLeft" && !typing) step(-1);
  else if (event.key >= "1" && event.key <= "9" && Number(event.key) <= current.views.length) { tab = Number(event.key) - 1; show(); }
  else if (event.key === "t" && current.truth.length) toggle("truth");
  else if (event.key === "s") toggle("segments");
  else if (event.key === "g") toggle("grid");
  else return;
  event.preventDefault();
}

function followLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  const number = items.findIndex(item => linked(item.name) === link.get("id"));
  if (number < 0) return;
  if (link.has("t")) look.moved = look.moved.map((_, slider) => {
    const text = link.get("t").split(",")[slider] ?? "", share = Number(text);
    return text !== "" && share >= 0 && share < 1 ? Math.min(steps - 1, Math.round(share * steps)) : null;
  });
  if (link.has("c")) tab = Math.max(0, Number(link.get("c")) - 1 || 0);
  open(number);
}

// The view as it is, with its caption.
function save() {
  const stages = ["stage", ...(beside >= 0 ? ["stage2"] : [])].map(element), line = 26;
  const whole = make("canvas", { width: stages.reduce((sum, one) => sum + one.width + 8, -8), height: stages[0].height + line });
  const pen = whole.getContext("2d");
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, whole.width, whole.height);
  pen.fillStyle = "#141414";
  pen.font = "14px system-ui, sans-serif";
  stages.reduce((left, stage, number) => {
    pen.drawImage(stage, left, 0);
    pen.fillText(element(number ? "caption2" : "caption").textContent, left + 3, stage.height + 18, stage.width - 6);
    return left + stage.width + 8;
  }, 0);
  try {
    const link = make("a", { href: whole.toDataURL("image/png"), download: current.name.replace(/[^\w.-]+/g, "_") + ".png" });
    link.click();
  } catch {
    element("caption").textContent = "This browser lets no page save a picture that lies in another file; make the report with pictures inside.";
  }
}
