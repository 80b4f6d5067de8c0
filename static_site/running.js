// @ts-check
/** What is being measured now: from Analyze to the message that it is done, and once more when an option changes. */

import { byId } from "./dom.js";
import { showList } from "./list.js";
import { Run } from "./measuring.js";
import { beginProgress, endProgress, say, showProgress, showStage, tellMany, tellOne } from "./message.js";
import { answerOf, areSame, isOutdated, isRefused, isRetryable, isUnderWay, keep, keyOf, openJobs, page, refreshReference, target } from "./rows.js";
import { totals } from "./words.js";

// One image is measured again by itself, so long after the last change of an option, unless it takes its time.
const AGAIN_AFTER_MS = 300;
const MOST_BYTES_AGAIN = 20_000_000;
const NOT_KEPT = " The browser cannot keep this list over a reload: download it to be sure.";
const analyzeButton = byId("analyze");

/** What is being measured, or null. @type {any} */
let run = null;
/** Whether the browser has kept all that ended, for a reload. */
let isKept = true;
let againTimer;
/** What shows a row, and what brings the controls and rows of the list up to date (app.js). */
let show = (_row) => {};
let refresh = (_rows) => {};

export function startRunning(showing) {
  ({ show, refresh } = showing);
  addEventListener("beforeunload", askBeforeLeaving);
}

/** A job goes on without the page, and is found again. */
function askBeforeLeaving(event) {
  const jobs = new Set(openJobs().map(keyOf));
  if (run?.rows.some((row) => isUnderWay(row) && !jobs.has(keyOf(row)))) event.preventDefault();
}

export function isRunning() {
  return Boolean(run);
}

/** Whether several images are being measured. */
export function isRunningMany() {
  return run?.rows.length > 1;
}

export function analyze() {
  const rows = target();
  // A second click finds nothing to start. The button keeps the focus, so it is not really disabled.
  if (run || !rows.length) return;
  measure(rows, { refused: page.batch.filter(isRefused) });
}

/** `refused`: what was chosen with the rows, and is not sent. `isQuiet`: the page stays where it is scrolled to. */
export function measure(rows, { refused = /** @type {any[]} */ ([]), isQuiet = false } = {}) {
  clearTimeout(againTimer);
  const onStage = (row, ...stage) => run.rows.length === 1 && showStage(row, ...stage);
  const onEnd = (measured) => finish(measured, refused, isQuiet);
  isKept = true;
  beginProgress(isQuiet);
  run = new Run({ options: page.options, onChange: changed, onStage, onEnd });
  if (rows.length === 1) show(rows[0]);
  run.add(rows);
  refresh([]);
}

function changed(rows) {
  const ended = rows.filter(({ status }) => status.state === "measured" || status.state === "failed");
  if (!ended.map(keep).every(Boolean)) isKept = false;
  const isOther = refreshReference() || rows.includes(page.reference);
  if (isOther || rows.includes(page.shown)) show(page.shown); // or what it is compared with would be from before
  if (run?.rows.length > 1) showProgress(run);
  showList(isOther ? page.rows : rows);
}

function finish(rows, refused, isQuiet) {
  const { options } = run;
  endRun();
  refresh([]);
  if (rows.length > 1) return tellMany([...rows, ...refused], (again) => measure(again.filter(isRetryable)), isKept ? "" : NOT_KEPT);
  if (!rows.length) return;
  tellOne(rows[0], isQuiet);
  if (!isQuiet) reveal();
  if (!areSame(options, page.options)) measureAgainSoon();
}

/** Number and plot on the screen: on a phone they may be below it. */
function reveal() {
  const what = byId(answerOf(page.shown) ? "plot" : "no-result");
  if (what.getBoundingClientRect().bottom > window.innerHeight || byId("message").getBoundingClientRect().top < 0) {
    byId("message").scrollIntoView({ block: "start" });
  }
  what.scrollIntoView({ block: "nearest" }); // where there is no room for all of them
}

/** Back to before Analyze: the files stay chosen, and so does what was measured of them. */
export function cancel() {
  const { rows } = run;
  run.cancel();
  endRun();
  show(page.shown);
  refresh([]);
  if (rows.length > 1) say("info", `Cancelled. ${totals(rows)}.`);
  analyzeButton.focus({ preventScroll: true });
}

function endRun() {
  run = null;
  endProgress(analyzeButton);
}

/** End what is under way, without a word: another image takes its place. */
export function stop() {
  run?.cancel();
  endRun();
}

/** Measure these, too, if something is being measured. */
export function join(rows) {
  run?.add(rows);
}

/** Take rows out of what is being measured. */
export function leave(rows) {
  run?.remove(rows);
}

/** Try one again, beside the others. */
export function retry(row) {
  if (run) run.add([row]);
  else measure([row]);
}

/** One image is measured again by itself. Of several, Analyze measures what is marked. */
export function measureAgainSoon() {
  clearTimeout(againTimer);
  againTimer = setTimeout(() => {
    const row = page.shown;
    const isOther = run && (run.rows.length > 1 || run.rows[0] !== row);
    if (isOther || page.batch.length > 1 || !row?.file || row.size > MOST_BYTES_AGAIN || !isOutdated(row)) return;
    run?.cancel();
    measure([row], { isQuiet: true });
  }, AGAIN_AFTER_MS);
}
