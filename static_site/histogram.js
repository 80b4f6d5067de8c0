// @ts-check
/**
 * The histogram: 256 counts as one SVG path, with mean, median and standard deviation, a value under the pointer or the
 * arrow keys, and all of it as a table.
 */

import { byId } from "./dom.js";
import { local } from "./storage.js";
import { count, level, percent } from "./words.js";

const HEIGHT = 100; // of the viewBox, whose width is 256: one unit for a gray value
const STEPS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 16, PageDown: -16 };
const REMEMBERED = "log-scale";
// So many grays may stand out of the others, so many times as high as the next: then they are cut off.
const SPIKES = 4;
const SPIKE = 3;

/** What is shown: an answer of the service, and the one that it is compared with, or null. @type {any} */
let shown = null;
/** @type {any} */
let compared = null;

export function startHistogram() {
  const plot = byId("plot");
  plot.addEventListener("pointermove", (event) => point(event));
  plot.addEventListener("pointerdown", (event) => point(event));
  plot.addEventListener("keydown", moveByKey);
  byId("log").checked = local.get(REMEMBERED) === "true";
  byId("log").addEventListener("change", () => {
    local.keep(REMEMBERED, byId("log").checked);
    draw();
  });
  byId("table").addEventListener("toggle", fillTable);
}

/** Show the histogram of an answer, over that of `reference` if there is one. */
export function showHistogram(answer, reference = null) {
  shown = answer;
  compared = reference;
  byId("readout").textContent = matchMedia("(hover: none)").matches ? "Touch the plot" : "Point, or use the arrow keys";
  byId("cursor").setAttribute("visibility", "hidden");
  byId("plot").removeAttribute("aria-valuetext");
  byId("plot").setAttribute("aria-valuenow", Math.round(answer.average_intensity));
  draw();
  byId("table").open = false;
}

/** The path of counts, each a bar of one unit. `most`: the count of a bar of full height; what has more is cut off there. */
export function outline(counts, isLogarithmic = false, most = Math.max(...counts)) {
  const scale = isLogarithmic ? Math.log1p : Number;
  const unit = HEIGHT / (scale(most) || 1);
  const bars = Array.from(counts, (number) => `V${(HEIGHT - Math.min(HEIGHT, scale(number) * unit)).toFixed(2)}h1`);
  return `M0 ${HEIGHT}${bars.join("")}V${HEIGHT}Z`;
}

/** The first and the last bar as thick lines: bars of one unit at the edge would hardly be seen. */
function clippedBars(counts, isLogarithmic, most) {
  const scale = isLogarithmic ? Math.log1p : Number;
  const bars = [[1, counts[0]], [255, counts[255]]].filter(([, number]) => number);
  return bars.map(([x, number]) => `M${x} ${HEIGHT}v-${Math.min(HEIGHT, (HEIGHT * scale(number)) / scale(most)).toFixed(2)}`).join("");
}

/** The count of a bar of full height. One gray that many pixels have, as a white background, would press all others flat. */
function fullHeight(counts) {
  const sorted = [...counts].sort((one, other) => other - one);
  const usual = sorted[SPIKES];
  return usual && sorted[0] > SPIKE * usual ? Math.round(1.2 * usual) : sorted[0];
}

/** A mark through each bar that is cut off. */
function breaks(counts, most) {
  const cut = counts.flatMap((number, gray) => (number > most ? [Math.min(253, Math.max(3, gray + 0.5))] : []));
  return cut.map((x) => `M${x - 3} 13L${x + 3} 8`).join("");
}

function draw() {
  if (!shown) return;
  const { histogram, statistics, average_intensity: mean } = shown;
  const isLogarithmic = byId("log").checked;
  // The reference in shares of its pixels, too: so pictures of other sizes have the same scale.
  const other = compared ? compared.histogram.map((number) => (number * total(histogram)) / total(compared.histogram)) : [];
  const most = isLogarithmic ? Math.max(...histogram, ...other) : Math.max(fullHeight(histogram), other.length ? fullHeight(other) : 0);
  byId("bars").setAttribute("d", outline(histogram, isLogarithmic, most));
  // Clipped values in a color of their own; the share beside the number says the same in words.
  byId("clipped").setAttribute("d", clippedBars(histogram, isLogarithmic, most));
  byId("breaks").setAttribute("d", breaks(histogram, most));
  byId("reference-bars").setAttribute("d", compared ? outline(other, isLogarithmic, most) : "");
  byId("top-share").textContent = `${percent(most / total(histogram))} of pixels`;
  for (const [id, value] of [["mean", mean], ["median", statistics.median]]) mark(id, value);
  const low = Math.max(0, mean - statistics.standard_deviation);
  byId("deviation").setAttribute("x", low + 0.5);
  byId("deviation").setAttribute("width", Math.min(255, mean + statistics.standard_deviation) - low);
}

/** A line, and its name and value on the side where there is more room. */
function mark(id, value) {
  for (const end of ["x1", "x2"]) byId(id).setAttribute(end, value + 0.5);
  const label = byId(`${id}-label`);
  const isLeft = value > 128;
  label.textContent = `${id} ${Number(value.toFixed(1))}`;
  label.style.left = isLeft ? "auto" : `${((value + 0.5) / 256) * 100}%`;
  label.style.right = isLeft ? `${(1 - (value + 0.5) / 256) * 100}%` : "auto";
}

function total(counts) {
  return counts.reduce((sum, number) => sum + number, 0);
}

function point(event) {
  const { left, width } = byId("plot").getBoundingClientRect();
  select(Math.floor(((event.clientX - left) / width) * 256));
}

function moveByKey(event) {
  const now = Number(byId("plot").getAttribute("aria-valuenow"));
  const next = { Home: 0, End: 255 }[event.key] ?? (event.key in STEPS ? now + STEPS[event.key] : null);
  if (next === null) return;
  event.preventDefault();
  select(next);
}

function select(wanted) {
  if (!shown) return;
  const value = Math.min(255, Math.max(0, wanted));
  const text = inWords(value);
  byId("plot").setAttribute("aria-valuenow", value);
  byId("plot").setAttribute("aria-valuetext", text);
  byId("readout").textContent = text;
  byId("cursor").setAttribute("x", value);
  byId("cursor").setAttribute("visibility", "visible");
}

function inWords(value) {
  const number = shown.histogram[value];
  const all = total(shown.histogram);
  const unit = shown.measurement.alpha === "weight" ? "by weight" : `pixel${number === 1 ? "" : "s"}`;
  const other = compared ? `; in the reference ${count(compared.histogram[value])}` : "";
  return `Gray ${value}: ${count(number)} ${unit}, ${percent(number / all)}${other}`;
}

/** The table, made when it is opened: 256 rows that few people need. */
function fillTable() {
  if (!byId("table").open || !shown) return;
  const body = byId("table-body");
  const all = total(shown.histogram);
  const rows = shown.histogram.map((number, value) => {
    const row = document.createElement("tr");
    for (const text of [level(value), count(number), percent(number / all)]) row.insertCell().textContent = text;
    return row;
  });
  body.replaceChildren(...rows);
}
