// SPDX-License-Identifier: Apache-2.0
// The gateway's page: asks /api/v1/status every two seconds and /api/v1/charts every minute, and writes what it
// learns into the document. Text only ever enters as text, never as markup.
"use strict";

// The same characters as in platform/printable.hpp are shown as what they are: none turns a line around.
const printable = (text) => String(text).replace(
  /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
  (c) => (c < "\u0080" ? `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}` : `\\u{${c.charCodeAt(0).toString(16)}}`));
const make = (tag, text, kind) => {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = printable(text);
  if (kind) node.className = kind;
  return node;
};
const byId = (id) => document.getElementById(id);
const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

function ago(ms, now) {
  if (!ms) return "never";
  const s = Math.max(0, Math.round((now - ms) / 1000));
  if (s < 2) return "just now";
  if (s < 120) return `${s} s ago`;
  if (s < 7200) return `${Math.round(s / 60)} min ago`;
  if (s < 172800) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} days ago`;
}

function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let u = 0;
  while (n >= 1000 && u < units.length - 1) { n /= 1000; u += 1; }
  return `${n.toFixed(u && n < 100 ? 1 : 0)} ${units[u]}`;
}

// Values arrive as JSON; long numbers are cut for the eye only.
function shown(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number" && !Number.isInteger(value)) {
    return Math.abs(value) >= 1e5 ? value.toFixed(1) : String(Number(value.toPrecision(7)));
  }
  return String(value);
}

let charts = new Map();

function chart(key, label, unit) {
  const data = charts.get(key);
  const values = data ? data.values : [];
  const known = values.filter((v) => v !== null);
  if (known.length < 2) return null;
  const low = Math.min(...known), high = Math.max(...known), span = high - low || 1;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "chart");
  svg.setAttribute("viewBox", "0 0 100 30");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const hours = (data.step_ms * values.length / 3600000).toFixed(1);
  svg.setAttribute("aria-label", `${label}, last ${hours} hours: between ${shown(low)} and ${shown(high)} ${unit}`);
  const title = document.createElementNS(svg.namespaceURI, "title");
  title.textContent = `${shown(low)} … ${shown(high)} ${unit}, last ${hours} h`;
  const path = document.createElementNS(svg.namespaceURI, "path");
  let line = "", pen = false;
  values.forEach((v, i) => {
    if (v === null) { pen = false; return; }
    const x = 100 * i / (values.length - 1), y = 28 - 26 * (v - low) / span;
    line += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  });
  path.setAttribute("d", line);
  svg.append(title, path);
  return svg;
}

// Nodes stay where they are and only what changed is written: a reader's place, a selection and the focus survive.
function put(node, text, kind) {
  const words = text === undefined || text === null ? "" : printable(text);
  if (node.textContent !== words) node.textContent = words;
  if (kind !== undefined && node.className !== kind) node.className = kind;
  return node;
}

// One child of `parent` for each item, in their order: made once, updated each time, removed when its item is gone.
function keep(parent, items, keyOf, build, update) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const node = old.get(key) || build(item);
    node.dataset.key = key;
    old.delete(key);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
    update(node, item);
  }
  for (const node of old.values()) node.remove();
}

function putChart(node, svg) {
  const drawn = svg ? svg.outerHTML : "";
  if (node.dataset.drawn === drawn) return;
  node.dataset.drawn = drawn;
  node.replaceChildren(...(svg ? [svg] : []));
}

// A table row with a heading and so many cells.
function emptyRow(cells) {
  const row = make("tr");
  const name = make("th");
  name.scope = "row";
  row.append(name, ...Array.from({ length: cells }, () => make("td")));
  return row;
}

function drawSummary(s) {
  const bad = s.devices.filter((d) => !d.healthy).length;
  const silent = s.sources.filter((x) => !x.healthy).length;
  const summary = byId("summary");
  let text = "All is well", kind = "good";
  if (s.alarms.length) {
    text = s.alarms.length === 1 ? "One thing needs attention" : `${s.alarms.length} things need attention`;
    kind = s.alarms.some((a) => a.urgent) ? "bad" : "warn";
  } else if (bad || silent) {
    text = "Starting";
    kind = "warn";
  }
  if (summary.textContent !== text) summary.textContent = text;
  summary.className = kind;
  byId("facts").textContent = `${plural(s.devices.length, "device")} on ${plural(s.sources.length, "source")}, `
    + `${plural(s.queue.accepted, "reading")} accepted, ${s.queue.queued.toLocaleString("en")} waiting · `
    + `up since ${new Date(s.started_ms).toLocaleString()} · version ${s.version}`
    + (s.clock_trusted ? "" : " · clock not synchronised") + (s.writes ? "" : " · writes are off");
}

function drawAlarms(s) {
  byId("alarms").hidden = s.alarms.length === 0;
  keep(byId("alarm-list"), s.alarms, (a) => a.key, () => {
    const item = make("li");
    item.append(make("strong"), make("p"), make("p", "", "soft"));
    return item;
  }, (item, a) => {
    item.className = a.urgent ? "urgent" : "";
    put(item.children[0], a.text);
    put(item.children[1], a.advice);
    put(item.children[2], `began ${ago(a.since_ms, s.now_ms)}`);
  });
}

const settled_ms = 600000; // what a start writes says nothing of a day

function flowCards(s) {
  const q = s.queue, u = s.uplink;
  const dropped = Object.entries(q.dropped).filter(([, n]) => n).map(([why, n]) => `${n} dropped: ${why}`);
  const minutes = charts.has("uploads") ? charts.get("uploads").values.filter((v) => v !== null) : [];
  return [
    { title: "Platform", big: u.state, lines: [`last answer after ${Math.round(u.latency_ms)} ms`,
      `${plural(u.answers.delivered || 0, "pack")} delivered`] },
    { title: "Accepted readings a minute", big: minutes.length ? Math.round(minutes[minutes.length - 1]) : "–", lines: [],
      graph: chart("uploads", "Uploads", "readings a minute") },
    { title: "Backlog", big: plural(q.queued, "reading"),
      lines: [q.oldest_ms ? `oldest ${ago(q.oldest_ms, s.now_ms)}` : "nothing waits", ...dropped,
        ...(q.dead ? [`${plural(q.dead, "dead letter")}: kpn-things-gateway queue show`] : [])],
      graph: chart("queued", "Backlog", "readings") },
    { title: "Flash", big: s.now_ms - s.started_ms < settled_ms ? "measuring" : `${bytes(q.disk_bytes_per_day)} a day`,
      lines: [`queue file ${bytes(q.file_bytes)} of ${bytes(q.max_bytes)}`,
        `${bytes(q.disk_bytes)} written in ${plural(q.commits, "commit")}`] },
  ];
}

function drawFlow(s) {
  keep(byId("flow"), flowCards(s), (c) => c.title, (c) => {
    const node = make("div", undefined, "card");
    node.append(make("h3", c.title, "soft"), make("p", "", "big"), make("div"), make("div"));
    return node;
  }, (node, c) => {
    put(node.children[1], c.big);
    keep(node.children[2], c.lines, (line) => line, (line) => make("p", line, "soft"), () => {});
    putChart(node.children[3], c.graph);
  });
}

function putPoint(row, device, p, now) {
  const [name, value, graph, age] = row.children;
  put(name, p.name + (p.write_only ? " (write only)" : p.writable ? " (writable)" : ""));
  put(value, `${shown(p.value)}${p.unit && p.value !== null ? " " + p.unit : ""}`, "number");
  putChart(graph, chart(`${device}/${p.name}`, p.name, p.unit));
  put(age, p.problem || (p.write_only ? "" : ago(p.time_ms, now)), p.problem ? "bad" : "soft");
}

function newDevice(d, isOpen) {
  const node = make("details"), head = make("summary"), scroll = make("div", undefined, "scroll"), table = make("table");
  head.append(make("h3", d.name), make("span"), make("span", "", "soft"));
  table.setAttribute("aria-label", `Points of ${d.name}`);
  table.append(make("tbody"));
  scroll.append(table);
  node.append(head, scroll);
  node.open = isOpen;
  node.addEventListener("toggle", () => { if (node.open) refresh(); });
  return node;
}

// The points of a closed device are not in the document: a fleet of hundreds stays light on a phone.
function drawDevices(s) {
  const list = byId("device-list"), first = list.children.length === 0;
  keep(list, s.devices, (d) => d.name, (d) => newDevice(d, first && (s.devices.length <= 12 || !d.healthy)), (node, d) => {
    const head = node.firstElementChild;
    put(head.children[1], d.state, `state ${d.healthy ? "good" : "bad"}`);
    put(head.children[2], `${d.waiting} waiting, last upload ${ago(d.last_upload_ms, s.now_ms)}`);
    keep(node.querySelector("tbody"), node.open ? d.points : [], (p) => p.name, () => emptyRow(3),
      (row, p) => putPoint(row, d.name, p, s.now_ms));
  });
}

function putLoad(box, value) {
  if (!box.firstElementChild) {
    const meter = make("meter");
    Object.assign(meter, { min: 0, max: 1, low: 0.7, high: 0.9, optimum: 0 });
    box.className = "number";
    box.append(make("span"), meter);
  }
  const words = `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} % `;
  put(box.firstElementChild, words);
  box.lastElementChild.value = Math.min(1, value);
  box.lastElementChild.setAttribute("aria-label", words);
}

function drawSources(s) {
  keep(byId("source-table").tBodies[0], s.sources, (x) => x.name, () => emptyRow(7), (row, x) => {
    const [name, state, points, requests, cycle, planned, load, missed] = row.children;
    put(name, `${x.name} (${x.plugin})`);
    put(state, x.state + (x.reach ? ", not confined" : ""), x.healthy ? "good" : "bad");
    state.title = printable(x.reach);
    put(points, x.points, "number");
    put(requests, x.planned_requests || "–", "number");
    put(cycle, x.planned_cycle_ms ? `${Math.round(x.planned_cycle_ms)} ms` : "–", "number");
    putLoad(planned, x.planned_load);
    putLoad(load, x.load);
    put(missed, x.missed, "number");
  });
}

function drawCommands(s) {
  byId("no-command").hidden = s.commands.length > 0;
  keep(byId("command-table").tBodies[0], s.commands, (c) => String(c.id), () => emptyRow(6), (row, c) => {
    const words = [new Date(c.time_ms).toLocaleString(), c.device, c.point, c.value, c.before || "–", c.after || "–",
      `${c.state}${c.verdict ? ": " + c.verdict : ""}`];
    words.forEach((text, i) => put(row.children[i], text, i >= 3 && i <= 5 ? "number" : ""));
    row.lastElementChild.className = c.state === "done" ? "good" : "";
  });
}

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

let timer = 0;

async function refresh() {
  clearTimeout(timer);
  try {
    const s = await ask("/api/v1/status");
    for (const draw of [drawSummary, drawAlarms, drawFlow, drawDevices, drawSources, drawCommands]) draw(s);
    document.title = `${s.alarms.length ? `(${s.alarms.length}) ` : ""}${printable(s.name)} · KPN Things gateway`;
    put(byId("name"), s.name);
  } catch (e) {
    const summary = byId("summary");
    summary.textContent = "The gateway does not answer";
    summary.className = "bad";
  }
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, 2000);
}

async function refreshCharts() {
  try {
    const all = await ask("/api/v1/charts");
    charts = new Map(all.charts.map((c) => [c.key, c]));
  } catch (e) { /* the status line says so */ }
  setTimeout(refreshCharts, 30000);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
refreshCharts().then(refresh);
