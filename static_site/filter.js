// @ts-check
/** Which rows the list shows, and which are within a tolerance around the reference. */

import { byId, write } from "./dom.js";
import { answerOf, areSame, isClipped, optionsOf, page } from "./rows.js";
import { count } from "./words.js";

/** What a row must be, by the value of the choice. */
const KINDS = {
  all: () => true,
  failed: ({ status }) => Boolean(status.problem),
  clipped: (row) => isClipped(answerOf(row)),
  outside: (row) => verdictOf(row) === "fail",
};
const NAMES = { all: "All", failed: "Failed", clipped: "Clipped", outside: "Outside" };

// Fewer rows are seen at a glance.
const FEWEST = 3;
/** The largest difference to the reference that passes, or null. */
let tolerance = null;

/** `onChange` hears of every other filter or tolerance. */
export function startFilter(onChange) {
  for (const id of ["filter-name", "filter-kind", "tolerance"]) byId(id).addEventListener("input", onChange);
  byId("tolerance").addEventListener("input", () => { tolerance = toleranceTyped(); }, { capture: true });
}

/** Show all rows again. */
export function resetFilter() {
  byId("filter-name").value = "";
  byId("filter-kind").value = "all";
}

function toleranceTyped() {
  const typed = byId("tolerance").valueAsNumber;
  return typed >= 0 ? typed : null;
}

/** The rows that the list shows, in their order. */
export function filtered(rows) {
  const name = byId("filter-name").value.trim().toLowerCase();
  const kind = byId("filter-kind").value;
  if (!name && kind === "all") return rows;
  return rows.filter((row) => KINDS[kind](row) && row.name.toLowerCase().includes(name));
}

/**
 * "pass" or "fail": whether a number is within the tolerance around the reference. Null without a tolerance, and for what
 * cannot be compared: no number, or one by other options.
 */
export function verdictOf(row) {
  const [answer, reference] = [answerOf(row), answerOf(page.reference)];
  if (tolerance === null || !answer || !reference || !areSame(optionsOf(row), optionsOf(page.reference))) return null;
  return Math.abs(answer.average_intensity - reference.average_intensity) <= tolerance ? "pass" : "fail";
}

/** What a CSV says of the tolerance: [tolerance, difference, verdict] of a row, or null without a tolerance. */
export function judgment(row) {
  if (tolerance === null) return null;
  const verdict = verdictOf(row);
  return [tolerance, verdict && answerOf(row).average_intensity - answerOf(page.reference).average_intensity, verdict];
}

/** The numbers of the choice and of the verdicts. Returns how many rows are judged to be what. */
export function showFilter() {
  for (const option of byId("filter-kind").options) {
    write(option, `${NAMES[option.value]} (${count(page.rows.filter(KINDS[option.value]).length)})`);
  }
  byId("filters").hidden = page.rows.length < FEWEST && !byId("filter-name").value && tolerance === null;
  byId("outside").hidden = byId("outside").disabled = tolerance === null;
  if (tolerance === null && byId("filter-kind").value === "outside") byId("filter-kind").value = "all";
  const verdicts = page.rows.map(verdictOf);
  const number = (verdict) => count(verdicts.filter((one) => one === verdict).length);
  const rest = verdicts.includes(null) ? `, ${number(null)} not comparable` : "";
  write(byId("verdicts"), tolerance === null ? "" : `${number("pass")} pass, ${number("fail")} fail${rest}`);
}
