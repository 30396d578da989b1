// The status page: listens to the daemon and shows what it says. Text from outside goes in as text, never as markup.

import { draw } from "./plot.js";

const MANY = 8, EVENTS = 50, KEPT = 720;
const cards = new Map();      // "connection/tunnel" -> {card, samples, loaded}
let now = 0;

const live = document.getElementById("live");
const stream = new EventSource("api/live");
stream.addEventListener("open", () => eventList().replaceChildren());
stream.addEventListener("error", () => state(live, "lost", "connection lost; trying again"));
stream.addEventListener("report", message => {
  const report = JSON.parse(message.data);
  now = report.now_s;
  show(report.status);
  for (const sample of report.samples) add(sample);
  state(live, "live", "live");
});
stream.addEventListener("event", message => event(JSON.parse(message.data)));

function show(status) {
  const all = status.connections.flatMap(connection => connection.tunnels.map(tunnel => `${connection.name}/${tunnel.name}`));
  const names = status.connections.map(connection => connection.name);
  const holder = document.getElementById("connections");
  // What is shown stays in place, so that nobody loses the focus or an open plot, unless the configuration has changed.
  if ([...cards.keys()].join() !== all.join() || [...holder.children].map(part => part.dataset.name).join() !== names.join()) {
    cards.clear();
    holder.replaceChildren(...status.connections.map(connection => section(connection, all.length <= MANY)));
  }
  status.connections.forEach((connection, index) => fill(holder.children[index], connection));
  const up = status.connections.every(connection => connection.state === "up");
  document.title = `${up ? "●" : "▲"} Gotthard`;
  const { backend, workers, offloads, cbc } = status.dataplane;
  document.getElementById("path").textContent =
    `Packet path: ${backend}, ${workers} worker${workers === 1 ? "" : "s"}, offloads: ${offloads.join(" ") || "none"}, AES-CBC: ${cbc}`;
  if (!all.length) holder.textContent = "No connection is configured.";
}

function section(connection, open) {
  const part = clone("connection");
  part.dataset.name = connection.name;
  part.querySelector(".tunnels").append(...connection.tunnels.map(tunnel => {
    const card = clone("tunnel"), key = `${connection.name}/${tunnel.name}`;
    card.dataset.name = tunnel.name;
    cards.set(key, { card, samples: [], loaded: false });
    const details = card.querySelector("details");
    details.addEventListener("toggle", () => { if (details.open) load(key); });
    details.open = open;
    return card;
  }));
  return part;
}

function fill(part, connection) {
  const carrying = connection.tunnels.filter(tunnel => tunnel.state === "up").length;
  text(part, "name", connection.name);
  state(field(part, "state"), { up: "good", degraded: "warn" }[connection.state] ?? "bad", connection.state.toUpperCase());
  const all = connection.tunnels.length;
  text(part, "sum", `${carrying} of ${all} ${all === 1 ? "tunnel carries" : "tunnels carry"} traffic`);
  for (const tunnel of connection.tunnels) tunnelCard(cards.get(`${connection.name}/${tunnel.name}`).card, tunnel);
}

function tunnelCard(card, tunnel) {
  const { ike, esp, probe, bgp, routes, broken } = tunnel;
  const off = tunnel.state === "admin-down";
  text(card, "name", `Tunnel ${tunnel.name}`);
  state(field(card, "state"), tunnel.state === "up" ? (["held", "draining"].includes(tunnel.duty) ? "warn" : "good") : "bad",
    tunnel.state === "up" && tunnel.duty !== "none" ? `up, ${tunnel.duty}` : tunnel.state);
  text(card, "facts", [tunnel.peer, tunnel.interface, `for ${duration(tunnel.since_s)}`, esp.suite, esp.mtu && `MTU ${esp.mtu}`,
    `${octets(esp.rx_bytes)} in, ${octets(esp.tx_bytes)} out`].filter(Boolean).join(" · "));
  link(card, "ike", off ? "off" : ike.state === "established", off ? "off" : ike.state === "established" ? "up" : ike.state);
  link(card, "esp", off ? "off" : esp.state === "up", off ? "off" : esp.state);
  link(card, "probe", probe.state === "off" ? "off" : probe.state === "up",
    probe.state === "up" && probe.rtt_ms !== null ? `${probe.rtt_ms.toFixed(1)} ms` : probe.state);
  link(card, "bgp", bgp ? bgp.state === "established" : "off", bgp ? bgp.state : "–");
  text(card, "prefixes", bgp?.state === "established" ? `${bgp.received} in, ${bgp.sent} out` : "");
  link(card, "routes", routes.installed > 0 || "off", String(routes.installed));
  notes(card.querySelector(".notes"), tunnel.notes);
  const box = card.querySelector(".broken");
  box.hidden = !broken;
  if (broken) {
    text(box, "link", { ike: "IKE", esp: "ESP", bgp: "BGP" }[broken.link] ?? broken.link);
    text(box, "code", broken.code);
    text(box, "message", broken.message);
    text(box, "remedy", broken.remedy);
    text(box, "explain", `gotthard explain ${broken.code}`);
  }
}

/// What is to be known of a tunnel that works.
function notes(list, all) {
  const lines = all.map(note => `${note.code}  ${note.message}: ${note.remedy}`);
  list.hidden = !lines.length;
  if (lines.join() === [...list.children].map(item => item.textContent).join()) return;
  list.replaceChildren(...lines.map(line => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
}

/// Fetches the hour of a tunnel whose plots are opened; from there on samples come with the reports.
async function load(key) {
  const entry = cards.get(key);
  if (!entry || entry.loaded) return;
  entry.loaded = true;
  try {
    const answer = await fetch(`api/history/${key.split("/").map(encodeURIComponent).join("/")}`);
    if (answer.ok) entry.samples = await answer.json();
  } catch {
    entry.loaded = false;     // the daemon is gone; the stream says so
  }
  plots(entry);
}

function add(sample) {
  const entry = cards.get(`${sample.connection}/${sample.tunnel}`);
  if (!entry?.loaded || entry.samples.at(-1)?.at_s >= sample.at_s) return;
  entry.samples.push(sample);
  if (entry.samples.length > KEPT) entry.samples.shift();
  plots(entry);
}

function plots({ card, samples }) {
  const plot = (name, title, lines, unit) => draw(card.querySelector(`[data-plot=${name}]`), title, samples, now, lines, unit);
  plot("rates", "Rate", [
    { name: "in", kind: "first", value: sample => sample.rx_bps },
    { name: "out", kind: "second", value: sample => sample.tx_bps },
  ], value => scaled(value, "bit/s"));
  plot("rtt", "Round trip", [{ name: "probe", kind: "first", value: sample => sample.rtt_ms }], value => `${+value.toFixed(2)} ms`);
  plot("drops", "Dropped", [{ name: "all reasons", kind: "second", value: sample => sample.drops }], value => `${+value.toFixed(1)}/s`);
}

/// The newest first.
function event(happened) {
  const item = document.createElement("li"), time = document.createElement("time"), code = document.createElement("code");
  time.dateTime = happened.time;
  time.textContent = new Date(happened.time).toLocaleTimeString([], { hour12: false });
  code.textContent = [happened.code, happened.cause].filter(Boolean).join(" ");
  const words = document.createElement("span");
  words.textContent = [[happened.connection, happened.tunnel].filter(Boolean).join("/"), happened.message].filter(Boolean).join(": ");
  item.dataset.state = { info: "", warning: "warn" }[happened.severity] ?? "bad";
  item.append(time, words, code);
  const list = eventList();
  list.prepend(item);
  while (list.children.length > EVENTS) list.lastChild.remove();
  document.getElementById("events").hidden = false;
}

const eventList = () => document.querySelector("#events ol");
const clone = id => document.getElementById(id).content.firstElementChild.cloneNode(true);
const field = (part, name) => part.querySelector(`[data-is=${name}]`);

/// Writes what changed and nothing else: a screen reader tells every change of a live region.
function put(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function text(part, name, words) {
  put(field(part, name), words);
}

function state(element, name, words) {
  element.dataset.state = name;
  put(element, words);
}

function link(card, name, good, words) {
  const item = field(card, name);
  item.dataset.state = good === "off" ? "off" : good ? "good" : "bad";
  put(item.querySelector("b"), words);
}

function scaled(value, unit) {
  const [size, prefix] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([size]) => value >= size) ?? [1, ""];
  return `${+(value / size).toPrecision(3)} ${prefix}${unit}`;
}

const octets = count => scaled(count, "B");

function duration(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  return days ? `${days} d ${hours} h` : hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${seconds} s`;
}
