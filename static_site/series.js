// @ts-check
/** The averages of the list as a line, in its order: flicker, a lamp that drifts, exposures that differ. With their mean and ±σ. */

import { byId, write } from "./dom.js";
import { answerOf, page } from "./rows.js";
import { quoted } from "./words.js";

const HEIGHT = 100;
const FEWEST = 3; // Two points are a difference, which the list says.
/** The rows that have a point, from left to right. */
let points = [];

/** `select(row)`: what a click on a point does. */
export function startSeries(select) {
  const plot = byId("series-plot");
  plot.addEventListener("pointermove", (event) => write(byId("series-readout"), inWords(nearest(event))));
  plot.addEventListener("pointerleave", () => write(byId("series-readout"), ""));
  plot.addEventListener("click", (event) => points.length && select(nearest(event)));
}

/** Draw the averages of these rows. */
export function showSeries(rows) {
  points = rows.filter(answerOf);
  byId("series").hidden = points.length < FEWEST;
  if (points.length < FEWEST) return;
  const values = points.map((row) => answerOf(row).average_intensity);
  const { mean, deviation } = spread(values);
  const [least, most] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  const room = Math.max(0.5, (most - least) * 0.1); // or noise in the last digit would look like a storm
  const [low, high] = [least - room, most + room];
  const y = (value) => (HEIGHT * (high - value)) / (high - low);
  const x = (place) => (1000 * place) / (points.length - 1);
  const line = values.map((value, place) => `${place ? "L" : "M"}${x(place).toFixed(1)} ${y(value).toFixed(2)}`).join("");
  byId("series-line").setAttribute("d", line);
  byId("series-mean").setAttribute("d", `M0 ${y(mean).toFixed(2)}H1000`);
  const top = Math.max(0, y(mean + deviation));
  byId("series-band").setAttribute("d", `M0 ${top}H1000V${Math.min(HEIGHT, y(mean - deviation))}H0Z`);
  const place = points.indexOf(page.shown);
  byId("series-shown").setAttribute("d", place < 0 ? "" : `M${x(place)} 0V${HEIGHT}`);
  write(byId("series-most"), most.toFixed(2));
  write(byId("series-least"), least.toFixed(2));
}

/** Mean and standard deviation, of all that there are. */
export function spread(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}

function nearest({ clientX }) {
  const { left, width } = byId("series-plot").getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (clientX - left) / width));
  return points[Math.round(share * (points.length - 1))];
}

function inWords(row) {
  return `${answerOf(row).average_intensity.toFixed(2)}: ${quoted(row.name)}`;
}
