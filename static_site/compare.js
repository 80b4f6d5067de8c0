/** Two images over each other: a line to move between them, or one fading into the other. */

import { haveSameOptions, optionsInWords } from "./options.js";
import { level, quoted, signed } from "./words.js";

const byId = (id) => document.getElementById(id);

/** The address of the reference's picture while it is shown. */
let url = null;
let isOn = false;

export function startCompare(onChange) {
  byId("compare").addEventListener("click", () => {
    isOn = !isOn;
    onChange();
  });
  for (const id of ["split", "fade"]) byId(id).addEventListener("input", divide);
}

/** The row to compare with `row`, or null if none is or comparing is off. */
export function comparedWith(row, reference) {
  const can = Boolean(row?.answer && row.status === "measured" && reference?.answer && reference !== row);
  byId("compare").hidden = !can;
  byId("compare").textContent = isOn ? "End comparison" : "Compare with the reference";
  return can && isOn ? reference : null;
}

/** Lay the reference's picture over the one of the preview, and say the difference; null ends it. */
export function showComparison(row, reference) {
  byId("comparison").hidden = !reference;
  if (url) URL.revokeObjectURL(url);
  url = null;
  document.querySelector(".stage .over")?.remove();
  byId("reference-key").hidden = !reference;
  if (!reference) return;
  byId("difference").textContent = inWords(row, reference);
  lay(reference);
}

function lay(reference) {
  const stage = document.querySelector(".stage");
  const canLay = Boolean(stage && reference.file);
  byId("split-fields").hidden = !canLay;
  if (!canLay) return;
  url = URL.createObjectURL(reference.file);
  const over = new Image();
  over.className = "over";
  over.alt = `Reference: ${reference.name}`;
  over.draggable = false;
  over.src = url;
  stage.append(over);
  divide();
}

function divide() {
  const over = document.querySelector(".stage .over");
  if (!over) return;
  const share = Number(byId("split").value);
  const isFading = byId("fade").checked;
  over.style.opacity = isFading ? share / 100 : 1;
  over.style.clipPath = isFading ? "none" : `inset(0 ${100 - share}% 0 0)`;
}

/** "“a.png” is 26.45 brighter than “b.png” (118.66 and 92.21). Median +20, σ +12.43." */
function inWords(row, reference) {
  const [value, other] = [row, reference].map(({ answer }) => answer.average_intensity);
  const difference = value - other;
  const names = [quoted(row.name), quoted(reference.name)];
  const how = difference === 0
    ? `${names[0]} and ${names[1]} have exactly the same average, ${level(value)}.`
    : `${names[0]} is ${Math.abs(difference).toPrecision(4)} ${difference > 0 ? "brighter" : "darker"} than ${names[1]} (${value.toFixed(2)} and ${other.toFixed(2)}).`;
  const options = haveSameOptions(row, reference) ? "" : ` They were measured with different options: ${[row, reference].map((one) => optionsInWords(one.options)).join("; and ")}.`;
  const [mine, theirs] = [row, reference].map(({ answer }) => answer.statistics);
  if (!mine || !theirs) return how + options;
  return `${how}${options} Median ${signed(mine.median - theirs.median)}, σ ${signed(mine.standard_deviation - theirs.standard_deviation)}.`;
}
