// A page that asks the program behind it about pictures.
let waiting = Promise.resolve(), latest = [], refused = [];

function tell(text) {
  element("dropped").textContent = [...refused, text].join("\n");
}

// One after the other, in the order in which they came; of several none is opened.
function askAll(pictures) {
  if (!pictures.length) return;
  latest = pictures;
  refused = [];
  const asked = element("asked").value.trim();
  pictures.forEach((picture, place) => {
    const left = pictures.length - 1 - place;
    waiting = waiting.then(() => ask(picture, asked, pictures.length === 1, left));
  });
}

async function ask(picture, asked, alone, left) {
  // A server that refuses what it has not read is not always heard.
  if (picture.size > report.serve) {
    refuse(picture, `${picture.size.toLocaleString("en")} bytes; at most ${report.serve.toLocaleString("en")} are read`);
    return;
  }
  tell(`looking at ${picture.name} ...` + (left ? ` (${left} more)` : ""));
  try {
    const answer = await fetch(asked ? "look?class=" + encodeURIComponent(asked) : "look",
      { method: "POST", body: picture, headers: { "X-Picture-Name": encodeURIComponent(picture.name || "pasted") } });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    tell(`${picture.name}: ${told.seconds.toFixed(2)} s`);
    addItem(told, alone);
  } catch (error) {
    refuse(picture, error.message);
  }
}

function refuse(picture, why) {
  refused.push(`${picture.name}: ${why}`);
  tell("");
}

function addItem({ item, held, names: classes }, alone) {
  const shifted = classes.map(name => {
    const known = names.findIndex(one => one.every((part, place) => part === name[place]));
    return known >= 0 ? known : names.push(name) - 1;
  });
  const number = items.length;
  for (const view of held.views) view.c = shifted[view.c];
  for (const name of ["true", "guess"]) if (item[name] !== null) item[name] = shifted[item[name]];
  const others = items.filter(one => one.name === item.name || one.name.startsWith(item.name + " (")).length;
  if (others) item.name += ` (${others + 1})`;
  items.push(item);
  document.body.append(make("script", { type: "application/json", id: "item-" + number, text: JSON.stringify(held) }));
  choose();
  if (alone) open(number);
}

function prepareServing() {
  if (!report.serve) return;
  const form = element("drop");
  form.hidden = false;
  form.addEventListener("submit", event => {  // Enter behind a class: the same pictures once more
    event.preventDefault();
    askAll(latest);
  });
  element("file").addEventListener("change", () => {
    askAll([...element("file").files]);
    element("file").value = "";  // so that the same one may be chosen again
  });
  document.addEventListener("paste", event => askAll([...event.clipboardData.files]));
  for (const name of ["dragover", "drop", "dragleave"]) document.addEventListener(name, event => {
    event.preventDefault();
    form.classList.toggle("over", name === "dragover");
    if (name === "drop") askAll([...event.dataTransfer.files]);
  });
}

prepareServing();
