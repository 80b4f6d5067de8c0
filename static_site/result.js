// @ts-check
/** The result of one image: the number, its histogram and statistics, and how it was measured. */

import { CHOICES, saidOf } from "./choices.js";
import { byId, find, onClick, write } from "./dom.js";
import { outline, showHistogram, startHistogram } from "./histogram.js";
import { optionsInWords } from "./options.js";
import { regionInWords } from "./region.js";
import { answerOf, isMuch, isOutdated, isUnderWay, optionsOf, problemOf } from "./rows.js";
import { apiAnswer, asCsv, copyOnClick, curlCommand, download } from "./saving.js";
import { count, level, mode, percent, plural } from "./words.js";

const CACHE = {
  hit: "already measured before: answered from the cache",
  miss: "measured now",
  bypass: "measured now, no cache in use",
  job: "answered by a job",
};

/** What an empty plot looks like: two hills. */
const EMPTY = Array.from({ length: 256 }, (_, gray) => Math.exp(-(((gray - 88) / 34) ** 2)) + 0.55 * Math.exp(-(((gray - 178) / 26) ** 2)));
/** The row whose result is shown. @type {any} */
let shown = null;

export function startResult() {
  startHistogram();
  find(".empty-plot path").setAttribute("d", outline(EMPTY));
  copyOnClick(byId("copy-exact"), () => String(answerOf(shown).average_intensity));
  copyOnClick(byId("copy-json"), () => JSON.stringify(apiAnswer(answerOf(shown)), null, 2));
  onClick("csv-of-one", () => download(`${shown.name.replace(/^.*\//, "")}.csv`, "text/csv", asCsv([shown])));
  copyOnClick(byId("copy-curl"), () => curlCommand(shown, answerOf(shown).isUploaded));
}

/** Show a row: its result, or the sentence that says why there is none. */
export function showResult(row, reference = null) {
  shown = row;
  const answer = answerOf(row);
  byId("result").hidden = !answer;
  byId("no-result").hidden = Boolean(answer);
  document.body.classList.toggle("has-result", Boolean(answer));
  if (answer) show(row, answer, reference);
  else write(byId("hint"), hint(row));
}

function hint(row) {
  if (!row) return "Nothing measured yet. The average, the histogram, clipping and statistics will be here.";
  const { state, problem } = row.status;
  if (state === "failed") return `This image could not be measured. ${problem.message}`;
  if (state === "chosen") return "Not analyzed yet. Press Analyze.";
  return "Measuring…";
}

function show(row, answer, reference) {
  const value = answer.average_intensity;
  const [width, height] = answer.image_size;
  fill({
    rounded: value.toFixed(2),
    exact: String(value),
    native: answer.measurement?.bit_depth === 16 ? `${(value * 257).toLocaleString("en", { maximumFractionDigits: 2 })} of 65,535 in 16 bits` : "",
    filename: row.name,
    dimensions: `${count(width)} × ${count(height)} (${plural(width * height, "pixel")})`,
    region: regionOf(row),
    bytes: plural(answer.image_size_bytes, "byte"),
    mode: mode(answer.original_mode, answer.measurement?.stored_bit_depth),
    duration: `${answer.duration_ms} ms`,
    cache: CACHE[answer.cache] ?? "unknown",
    request: answer.request_id,
  });
  // Set by script, one property at a time: that is what a strict Content-Security-Policy allows.
  byId("swatch").style.backgroundColor = `rgb(${value} ${value} ${value})`;
  byId("region-fact").hidden = !regionOf(row);
  byId("before").hidden = isUnderWay(row) || !problemOf(row);
  markOutdated(row);
  tellOfHiddenColors(row);
  byId("copy-curl").hidden = answer.cache === "job"; // the one request of the command would be refused
  // A service of an older version answers without these.
  const isFull = Boolean(answer.statistics && answer.histogram && answer.measurement);
  for (const id of ["full", "clipping", "method-text", "entropy-fact", "sha256-fact", "table"]) byId(id).hidden = !isFull;
  if (isFull) showFull(answer, reference);
}

/** Say of a number that it does not fit the options that are chosen now. */
export function markOutdated(row = shown) {
  const isOld = Boolean(answerOf(row)) && isOutdated(row);
  byId("result").classList.toggle("outdated", isOld);
  byId("outdated").hidden = !isOld;
  if (isOld) byId("outdated").textContent = `Measured with other options: ${optionsInWords(optionsOf(row))}.`;
}

/** What a transparent part hides counts like all else, and one does not see it. */
export function tellOfHiddenColors(row = shown) {
  byId("hidden-colors").hidden = !(row?.isTransparent && answerOf(row) && optionsOf(row)?.alpha === "ignore" && !optionsOf(row)?.region);
}

/** The region that was measured, in words; "" for the whole image. */
function regionOf(row) {
  const { measurement } = answerOf(row);
  const region = measurement ? measurement.region : optionsOf(row)?.region;
  return region ? regionInWords(region.split(",").map(Number)) : "";
}

function showFull(answer, reference) {
  const { statistics } = answer;
  const { percentiles } = statistics;
  const names = ["median", "standard_deviation", "entropy"];
  fill(Object.fromEntries(names.map((name) => [name, level(statistics[name])])));
  const between = (low, high) => (low === high ? level(low) : `${level(low)}–${level(high)}`);
  fill({ range: between(statistics.minimum, statistics.maximum), middle: between(percentiles[5], percentiles[95]) });
  for (const name of ["black", "white"]) {
    const share = statistics[`share_${name}`];
    byId(name).classList.toggle("much", isMuch(share));
    byId(`${name}-share`).textContent = `${isMuch(share) ? "⚠ " : ""}${percent(share)}`;
  }
  byId("method-text").replaceChildren(...method(answer).map((sentence) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = sentence;
    return paragraph;
  }));
  fill({ sha256: answer.measurement.sha256 });
  showHistogram(answer, answerOf(reference));
}

/** How an image was measured, in sentences. */
function method({ measurement, original_mode: stored, pixel_count: pixels }) {
  const { luma, luma_weights: weights, frames, bit_depth: bits, stored_bit_depth: storedBits } = measurement;
  const [red, green, blue] = weights.map((weight) => weight.toFixed(3));
  const isGray = ["1", "L", "LA", "I;16", "I;16B"].includes(stored);
  const decoders = Object.entries(measurement.decoders).map(([name, version]) => `${name} ${version}`).join(", ");
  return [
    isGray
      ? "The image is gray: its values count as they are."
      : `Each color became a gray value by ${CHOICES.luma[luma].by}: ${red} × red + ${green} × green + ${blue} × blue, rounded.`,
    `The average is the exact mean of ${measurement.region ? `${plural(pixels, "pixel")} in the region` : `all ${plural(pixels, "pixel")}`}, on the values as stored: no color profile, gamma or rotation was applied.`,
    ...saidOf(measurement, "sentence"),
    storedBits === 16 && (bits === 16
      ? "All 16 bits were measured, and divided by 257, so that full white is 255."
      : "The file has 16 bits. Files of this kind are reduced to 8 bits when they are decoded."),
    frames > 1 && `The first of ${count(frames)} pictures in the file was measured.`,
    `Algorithm ${measurement.algorithm}. Decoders: ${decoders}.`,
  ].filter(Boolean);
}

function fill(fields) {
  for (const [field, text] of Object.entries(fields)) {
    find(`[data-field="${field}"]`).textContent = text;
  }
}
