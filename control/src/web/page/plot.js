// A line plot of the last hour as SVG. Attributes and text only: the page's policy runs no markup and no inline style.

const SHORTEST = 120, LONGEST = 3600, GAP = 12, WIDTH = 480, HEIGHT = 110, TOP = 14, BOTTOM = 14;

/// Draws lines into a figure, anew each time. `lines`: [{name, kind, value}], where `value` takes a sample and returns a
/// number or null; `unit` makes a text of a number.
export function draw(figure, title, samples, now, lines, unit) {
  const values = lines.flatMap(line => samples.map(line.value)).filter(value => value !== null);
  // What there is fills the width, up to an hour.
  const span = Math.min(LONGEST, Math.max(SHORTEST, samples.length ? now - samples[0].at_s : 0));
  const top = ceiling(Math.max(0, ...values));
  figure.querySelector("figcaption").replaceChildren(title, ...lines.map(line => legend(line, samples, unit)));
  const most = values.length ? unit(Math.max(...values)) : "nothing yet";
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img" });
  svg.setAttribute("aria-label", `${title} over the last ${Math.round(span / 60)} minutes, at most ${most}`);
  for (const y of [TOP, HEIGHT - BOTTOM]) svg.append(make("line", { x1: 0, x2: WIDTH, y1: y, y2: y }));
  svg.append(label(0, TOP - 4, "start", unit(top)), label(0, HEIGHT - 3, "start", `${Math.round(span / 60)} min ago`), label(WIDTH, HEIGHT - 3, "end", "now"));
  for (const line of lines) svg.append(make("path", { class: line.kind, d: path(samples, now, span, line.value, top) }));
  const old = figure.querySelector("svg");
  if (old) old.replaceWith(svg); else figure.append(svg);
}

/// Where a value is missing, or samples are, the line is broken.
function path(samples, now, span, value, top) {
  let d = "", last = -Infinity;
  for (const sample of samples) {
    const v = value(sample);
    if (v === null || sample.at_s < now - span) { last = -Infinity; continue; }
    const x = (1 - (now - sample.at_s) / span) * WIDTH;
    const y = HEIGHT - BOTTOM - (v / top) * (HEIGHT - BOTTOM - TOP);
    d += `${sample.at_s - last > GAP ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    last = sample.at_s;
  }
  return d;
}

/// The next 1, 2 or 5 with zeros behind.
function ceiling(value) {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map(n => n * size).find(n => n >= value) ?? value;
}

function legend(line, samples, unit) {
  const value = samples.length ? line.value(samples[samples.length - 1]) : null;
  const item = document.createElement("span");
  item.className = line.kind;
  item.textContent = `${line.name} ${value === null ? "–" : unit(value)}`;
  return item;
}

function label(x, y, anchor, text) {
  const item = make("text", { x, y, "text-anchor": anchor });
  item.textContent = text;
  return item;
}

function make(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
