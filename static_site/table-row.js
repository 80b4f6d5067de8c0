// @ts-check
/** One row of the list, its small histogram and its small picture. */

import { byId, write } from "./dom.js";
import { verdictOf } from "./filter.js";
import { outline } from "./histogram.js";
import { answerOf, areSame, isOutdated, isRetryable, optionsOf, page, problemOf } from "./rows.js";
import { percent, reason, showName, signed, size } from "./words.js";

const WIDTH = 56;
const HEIGHT = 42;
// Decoding a larger file only for this would take too much memory on a phone.
const MOST_BYTES = 40_000_000;
// Pictures that are kept, 38 KB each. Others are made again when their row comes back into view.
const MOST_PICTURES = 150;

/** The pictures by their file, those that were in view last at the end. */
const pictures = new Map();
let last = Promise.resolve();

/** A table row for a row of the page, to be updated. */
export function makeRow(row) {
  const element = byId("row").content.firstElementChild.cloneNode(true);
  element.dataset.id = row.id;
  showName(element.querySelector("bdi"), row.name, true); // a half for each of two lines
  // The label is for screen readers, which would hear the two halves as two words.
  Object.assign(element.querySelector(".select"), { title: row.name, ariaLabel: row.name });
  return element;
}

export function removeRow(element) {
  element.querySelector(".picture").replaceChildren(); // or a picture that is kept would keep its row
  element.remove();
}

export function updateRow(element, row) {
  const answer = answerOf(row);
  const statistics = answer?.statistics;
  const cell = (name) => element.querySelector(`.${name}`);
  const fill = (name, text) => write(cell(name), text);
  element.classList.toggle("shown", row === page.shown);
  element.classList.toggle("outdated", Boolean(answer) && isOutdated(row));
  if (row === page.shown) cell("select").setAttribute("aria-current", "true");
  else cell("select").removeAttribute("aria-current");
  fill("average", answer ? answer.average_intensity.toFixed(2) : "–");
  fill("difference", difference(row, page.reference));
  cell("difference").dataset.verdict = verdictOf(row) ?? "";
  fill("deviation", statistics ? statistics.standard_deviation.toFixed(2) : "–");
  for (const name of ["black", "white"]) fill(name, statistics ? percent(statistics[`share_${name}`]) : "–");
  const said = status(row);
  fill("status-text", said);
  fill("size", answer ? `${answer.image_size.join(" × ")}\n${size(answer.image_size_bytes)}` : size(row.size));
  cell("status-text").title = problemOf(row)?.message ?? ""; // which stands in the result, too
  cell("name").dataset.said = row.status.state === "failed" ? said : ""; // on a phone, the cell with the status has no room
  element.dataset.status = row.status.state;
  drawSmall(element, answer);
  showPicture(element, row.file);
  const offer = (action, isOffered) => {
    const button = element.querySelector(`[data-action=${action}]`);
    if (!isOffered && button === document.activeElement) cell("select").focus({ preventScroll: true });
    button.hidden = !isOffered;
  };
  offer("retry", isRetryable(row));
  offer("refer", answer && row !== page.reference);
}

function difference(row, reference) {
  const [answer, other] = [answerOf(row), answerOf(reference)];
  if (row === reference && answer) return "reference";
  if (!answer || !other) return "–";
  const sign = { pass: "✓ ", fail: "✗ " }[verdictOf(row)] ?? "";
  return sign + signed(answer.average_intensity - other.average_intensity) + (areSame(optionsOf(row), optionsOf(reference)) ? "" : " *");
}

/** What there is to say of a row beside its number: nothing, nearly always. */
const STATES = { chosen: "not measured yet", waiting: "waiting", measuring: "measuring…" };

function status(row) {
  const { state, problem } = row.status;
  if (state in STATES) return STATES[state];
  if (state === "failed") return reason(problem);
  if (isOutdated(row)) return "measured with other options";
  if (problem) return `from before; now ${reason(problem)}`;
  return "";
}

/** The histogram in 64 steps: more cannot be seen in so little room. */
function drawSmall(element, answer) {
  if (element.answer === answer) return;
  element.answer = answer;
  const counts = answer?.histogram ?? [];
  const sums = Array.from({ length: counts.length / 4 }, (_, step) => counts.slice(step * 4, step * 4 + 4).reduce((a, b) => a + b));
  element.querySelector("path").setAttribute("d", sums.length ? outline(sums) : "");
}

// ---- The small picture ----------------------------------------------------------------------------------------------

/** Put a file's picture into a row: the one that is kept, or a new one, made when those before it are ready. */
function showPicture(element, file) {
  if (!file || element.file === file) return;
  element.file = file;
  const canvas = pictures.get(file) ?? document.createElement("canvas");
  element.querySelector(".picture").replaceChildren(canvas);
  if (file.size > MOST_BYTES) return;
  if (!pictures.has(file)) last = last.then(() => draw(canvas, file)).catch(() => {}); // damaged, or not for browsers
  else keepPicture(canvas, file);
}

/** The browser decodes beside the page, and its large bitmap is released at once. */
async function draw(canvas, file) {
  if (!canvas.isConnected) return; // out of view again
  const bitmap = await createImageBitmap(file, { resizeWidth: 2 * WIDTH, resizeQuality: "low" });
  const scale = Math.min((2 * WIDTH) / bitmap.width, (2 * HEIGHT) / bitmap.height);
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  keepPicture(canvas, file);
}

function keepPicture(canvas, file) {
  pictures.delete(file);
  pictures.set(file, canvas);
  if (pictures.size > MOST_PICTURES) pictures.delete(pictures.keys().next().value);
}

export function forgetPictures() {
  pictures.clear();
}
