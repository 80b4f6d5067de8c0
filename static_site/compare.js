// @ts-check
/** Two images over each other: a line to move between them, or one fading into the other. Loaded when first used. */

import { byId, find } from "./dom.js";
import { optionsInWords } from "./options.js";
import { answerOf, areSame, optionsOf } from "./rows.js";
import { level, quoted, signed } from "./words.js";

/** The address of the reference's picture while it is shown. @type {string | null} */
let url = null;

for (const id of ["split", "fade"]) byId(id).addEventListener("input", divide);
byId("picture").addEventListener("pointerdown", drag, { capture: true });

/** Lay the reference's picture over the one of the preview, and say the difference; null ends it. */
export function showComparison(row, reference) {
  byId("comparison").hidden = !reference;
  if (url) URL.revokeObjectURL(url);
  url = null;
  find(".stage .over")?.remove();
  byId("reference-key").hidden = !reference;
  if (!reference) return;
  byId("difference").textContent = inWords(row, reference);
  lay(reference);
}

function lay(reference) {
  const stage = find(".stage");
  const canLay = Boolean(stage && reference.file);
  byId("split-fields").hidden = !canLay;
  if (!canLay) return;
  url = URL.createObjectURL(reference.file);
  const over = new Image();
  over.className = "over";
  over.alt = `Reference: ${reference.name}`;
  over.draggable = false;
  over.addEventListener("error", () => { // as a TIFF in most browsers
    if (over.isConnected) byId("split-fields").hidden = true;
    over.remove();
  });
  over.src = url;
  stage.append(over);
  divide();
}

/** The divider goes where the pointer does, while no region is drawn. */
function drag(down) {
  const over = find(".stage .over");
  if (!over || byId("fade").checked || down.target.closest(".layer")) return;
  down.preventDefault();
  const { left, width } = over.getBoundingClientRect();
  const follow = ({ clientX }) => {
    byId("split").value = ((clientX - left) / width) * 100;
    divide();
  };
  const frame = byId("picture");
  const end = () => frame.removeEventListener("pointermove", follow);
  follow(down);
  frame.setPointerCapture(down.pointerId);
  frame.addEventListener("pointermove", follow);
  for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, end, { once: true });
}

function divide() {
  const over = find(".stage .over");
  if (!over) return;
  const share = Number(byId("split").value);
  const isFading = byId("fade").checked;
  over.style.opacity = String(isFading ? 1 - share / 100 : 1); // either way, the reference is on the left of the slider
  over.style.clipPath = isFading ? "none" : `inset(0 ${100 - share}% 0 0)`;
}

/** "“a.png” is 26.45 brighter than “b.png” (118.66 and 92.21). Median +20, σ +12.43." */
function inWords(row, reference) {
  const [value, other] = [row, reference].map((one) => answerOf(one).average_intensity);
  const difference = value - other;
  const names = [quoted(row.name), quoted(reference.name)];
  const how = difference === 0
    ? `${names[0]} and ${names[1]} have exactly the same average, ${level(value)}.`
    : `${names[0]} is ${Math.abs(difference).toPrecision(4)} ${difference > 0 ? "brighter" : "darker"} than ${names[1]} (${value.toFixed(2)} and ${other.toFixed(2)}).`;
  const options = areSame(optionsOf(row), optionsOf(reference)) ? "" : ` They were measured with different options: ${[row, reference].map((one) => optionsInWords(optionsOf(one))).join("; and ")}.`;
  const [mine, theirs] = [row, reference].map((one) => answerOf(one).statistics);
  if (!mine || !theirs) return how + options;
  return `${how}${options} Median ${signed(mine.median - theirs.median)}, σ ${signed(mine.standard_deviation - theirs.standard_deviation)}.`;
}
