// A page that asks the program behind it about pictures.
async function ask(picture) {
  if (!picture) return;
  const said = element("dropped");
  // A server that refuses what it has not read is not heard.
  if (picture.size > report.serve) {
    said.textContent = `${picture.name}: ${picture.size.toLocaleString("en")} bytes; at most ${report.serve.toLocaleString("en")} are read`;
    return;
  }
  said.textContent = `looking at ${picture.name} ...`;
  try {
    const answer = await fetch("look", { method: "POST", body: picture, headers: { "X-Picture-Name": encodeURIComponent(picture.name || "pasted") } });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    said.textContent = `${picture.name}: ${told.seconds.toFixed(2)} s`;
    addItem(told);
  } catch (error) {
    said.textContent = `${picture.name}: ${error.message}`;
  }
}

function addItem({ item, held, names: classes }) {
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
  open(number);
}

function prepareServing() {
  if (!report.serve) return;
  const form = element("drop");
  form.hidden = false;
  form.addEventListener("submit", event => event.preventDefault());
  element("file").addEventListener("change", () => ask(element("file").files[0]));
  document.addEventListener("paste", event => ask([...event.clipboardData.files][0]));
  for (const name of ["dragover", "drop", "dragleave"]) document.addEventListener(name, event => {
    event.preventDefault();
    form.classList.toggle("over", name === "dragover");
    if (name === "drop") ask(event.dataTransfer.files[0]);
  });
}

prepareServing();
