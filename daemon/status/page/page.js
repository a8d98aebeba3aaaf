// SPDX-License-Identifier: Apache-2.0
// The gateway's page: asks /api/v1/status every two seconds and /api/v1/charts every minute, and writes what it
// learns into the document. Text only ever enters as text, never as markup.
"use strict";

const make = (tag, text, kind) => {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
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

function cell(row, content, kind) {
  const td = make("td", content instanceof Node ? undefined : content, kind);
  if (content instanceof Node) td.append(content);
  row.append(td);
  return td;
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
  byId("alarm-list").replaceChildren(...s.alarms.map((a) => {
    const item = make("li", undefined, a.urgent ? "urgent" : "");
    item.append(make("strong", a.text));
    if (a.advice) item.append(make("p", a.advice));
    item.append(make("p", `since ${ago(a.since_ms, s.now_ms)}`, "soft"));
    return item;
  }));
}

function card(title, big, lines, graph) {
  const node = make("div", undefined, "card");
  node.append(make("h3", title, "soft"), make("p", big, "big"));
  for (const line of lines) node.append(make("p", line, "soft"));
  if (graph) node.append(graph);
  return node;
}

function drawFlow(s) {
  const q = s.queue, u = s.uplink;
  const dropped = Object.entries(q.dropped).filter(([, n]) => n).map(([why, n]) => `${n} dropped: ${why}`);
  byId("flow").replaceChildren(
    card("Platform", u.state, [`last answer after ${Math.round(u.latency_ms)} ms`,
      `${plural(u.answers.delivered || 0, "pack")} delivered`], null),
    card("Accepted readings a minute", shown(charts.has("uploads")
      ? Math.round(charts.get("uploads").values.filter((v) => v !== null).slice(-1)[0] || 0) : null), [], chart("uploads", "Uploads", "readings a minute")),
    card("Backlog", plural(q.queued, "reading"), [q.oldest_ms ? `oldest ${ago(q.oldest_ms, s.now_ms)}` : "nothing waits",
      ...dropped, ...(q.dead ? [`${plural(q.dead, "dead letter")}: kpn-things-gateway queue show`] : [])],
    chart("queued", "Backlog", "readings")),
    card("Flash", bytes(q.disk_bytes_per_day) + " a day", [`queue file ${bytes(q.file_bytes)} of ${bytes(q.max_bytes)}`,
      `${bytes(q.disk_bytes)} written in ${plural(q.commits, "commit")}`], null));
}

function pointRow(device, p, now) {
  const row = make("tr");
  const name = make("th", p.name + (p.writable ? " (writable)" : ""));
  name.scope = "row";
  row.append(name);
  cell(row, `${shown(p.value)}${p.unit && p.value !== null ? " " + p.unit : ""}`, "number");
  cell(row, chart(`${device}/${p.name}`, p.name, p.unit) || "");
  cell(row, p.problem || ago(p.time_ms, now), p.problem ? "bad" : "soft");
  return row;
}

function drawDevices(s) {
  const list = byId("device-list");
  const open = new Set([...list.querySelectorAll("details[open]")].map((d) => d.dataset.name));
  const first = list.children.length === 0;
  const focused = document.activeElement && document.activeElement.closest("details");
  const focusName = focused ? focused.dataset.name : null;
  list.replaceChildren(...s.devices.map((d) => {
    const node = make("details");
    node.dataset.name = d.name;
    node.open = first ? s.devices.length <= 12 || !d.healthy : open.has(d.name);
    const head = make("summary");
    head.append(make("h3", d.name), make("span", d.state, `state ${d.healthy ? "good" : "bad"}`),
      make("span", `${d.waiting} waiting, last upload ${ago(d.last_upload_ms, s.now_ms)}`, "soft"));
    const scroll = make("div", undefined, "scroll");
    const table = make("table"), body = make("tbody");
    table.setAttribute("aria-label", `Points of ${d.name}`);
    body.append(...d.points.map((p) => pointRow(d.name, p, s.now_ms)));
    table.append(body);
    scroll.append(table);
    node.append(head, scroll);
    return node;
  }));
  if (focusName) {
    const again = [...list.children].find((d) => d.dataset.name === focusName);
    if (again) again.firstChild.focus({ preventScroll: true });
  }
}

function loadCell(row, value) {
  const meter = make("meter");
  meter.min = 0; meter.max = 1; meter.low = 0.7; meter.high = 0.9; meter.optimum = 0;
  meter.value = Math.min(1, value);
  meter.textContent = `${Math.round(value * 100)} %`;
  const box = make("span", `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} % `);
  box.append(meter);
  cell(row, box, "number");
}

function drawSources(s) {
  byId("source-table").tBodies[0].replaceChildren(...s.sources.map((x) => {
    const row = make("tr");
    const name = make("th", `${x.name} (${x.plugin})`);
    name.scope = "row";
    row.append(name);
    cell(row, x.state, x.healthy ? "good" : "bad");
    cell(row, x.points, "number");
    cell(row, x.planned_requests || "–", "number");
    cell(row, x.planned_cycle_ms ? `${Math.round(x.planned_cycle_ms)} ms` : "–", "number");
    loadCell(row, x.planned_load);
    loadCell(row, x.load);
    cell(row, x.missed, "number");
    return row;
  }));
}

function drawCommands(s) {
  const rows = s.commands.map((c) => {
    const row = make("tr");
    cell(row, new Date(c.time_ms).toLocaleString());
    cell(row, c.device);
    cell(row, c.point);
    cell(row, c.value, "number");
    cell(row, c.before || "–", "number");
    cell(row, c.after || "–", "number");
    cell(row, `${c.state}${c.verdict ? ": " + c.verdict : ""}`, c.state === "done" ? "good" : "");
    return row;
  });
  if (!rows.length) {
    const row = make("tr");
    cell(row, "No command yet.", "soft").colSpan = 7;
    rows.push(row);
  }
  byId("command-table").tBodies[0].replaceChildren(...rows);
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
    document.title = `${s.alarms.length ? `(${s.alarms.length}) ` : ""}KPN Things gateway`;
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
