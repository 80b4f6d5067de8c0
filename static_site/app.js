// @ts-check
/**
 * The page: choose images, look at them, ask the service for their average intensity.
 *
 * One rule keeps a number from ever standing beside what it does not describe: preview and result always show the same row,
 * whatever is under way for a row ends when another image takes its place, and a number by other options than those in
 * force is marked.
 */

import { startChoosing } from "./choosing.js";
import { comparedWith, showComparison, startCompare } from "./compare.js";
import { all, byId, onClick } from "./dom.js";
import { resetFilter } from "./filter.js";
import { inspectAll } from "./inspecting.js";
import { limitsInWords, loadLimits } from "./limits.js";
import { showList, startList } from "./list.js";
import { Run } from "./measuring.js";
import { announce, beginProgress, dismiss, dismissSuccess, endProgress, say, showProgress, showStage, startMessages, tellMany, tellOne } from "./message.js";
import { link, startOptions } from "./options.js";
import { forgetPixel, showPreview } from "./preview.js";
import { clearRegion, setRegion, typeRegion } from "./region.js";
import { markOutdated, showResult, startResult, tellOfHiddenColors } from "./result.js";
import { add, answerOf, areSame, drop, isOutdated, isRefused, isRetryable, isUnderWay, keep, openJobs, page, refer, refreshReference, restore, rowFinder, target } from "./rows.js";
import { asCsv, asJson, asTable, copyOnClick, download } from "./saving.js";
import { endpoint } from "./service.js";
import { count, plural, quoted, showName, size, totals } from "./words.js";
import { showLook, startZoom } from "./zoom.js";

const CHOOSE = "Choose image files";
// One image is measured again by itself, so long after the last change of an option, unless it takes its time.
const AGAIN_AFTER_MS = 300;
const MOST_BYTES_AGAIN = 20_000_000;
const input = byId("file");
const analyzeButton = byId("analyze");

/** Whether list and result stand side by side (panels.css). */
const isBeside = matchMedia("(min-width: 75rem)");

/** What is being measured, or null. */
let run = null;
/** Counts choices: reading a file takes a moment, and a later choice may overtake it. */
let choices = 0;
/** The list from before a reload, when it is there. */
let restored;
let againTimer;

start();

function start() {
  startMessages(input);
  byId("form").addEventListener("submit", (event) => { event.preventDefault(); analyze(); });
  byId("form").addEventListener("reset", clear);
  onClick("cancel", cancel);
  byId("region-fields").addEventListener("keydown", (event) => event.key === "Enter" && typeRegion() && analyze());
  addEventListener("beforeunload", askBeforeLeaving);
  for (const anchor of all("a[data-api]")) anchor.href = endpoint(anchor.getAttribute("href"));
  if (/Mac|iPhone|iPad/.test(navigator.platform)) byId("command-key").textContent = "⌘";
  startOptions(optionsChanged);
  startCompare(() => show(page.shown));
  copyOnClick(byId("copy-link"), link);
  startResult();
  startZoom();
  onClick("count-less", () => {
    byId("alpha").value = "weight";
    byId("alpha").dispatchEvent(new Event("change"));
  });
  startList({ select, retry, refer: compareWith, remove });
  startListButtons();
  show(null);
  refresh();
  restored = goOn();
  startChoosing(choose);
  loadLimits().then(() => { byId("limits").textContent = limitsInWords(); });
}

/** With the list and the jobs from before a reload. */
async function goOn() {
  const number = await restore();
  if (page.rows.length) byId("panels").before(byId("list"));
  refresh();
  await resume();
  const lost = number - page.rows.length;
  if (lost > 0) say("info", `${plural(lost, "image")} had no result that could be kept over the reload: choose again what is missing.`);
}

/** Go on asking for the jobs from before a reload. */
async function resume() {
  const rows = openJobs().map(({ id, ...image }) => ({ ...image, job: id, file: null, status: { state: "chosen" } }));
  if (!rows.length) return;
  const findRow = rowFinder();
  const found = await Promise.all(rows.map(async (row) => ({ ...row, same: await findRow(row) })));
  take(found);
  measure(page.batch);
}

/** A job goes on without the page, and is found again. */
function askBeforeLeaving(event) {
  const jobs = new Set(openJobs().map(({ name, size: bytes, modified }) => `${bytes} ${modified} ${name}`));
  if (run?.rows.some((row) => isUnderWay(row) && !jobs.has(`${row.size} ${row.modified} ${row.name}`))) event.preventDefault();
}

// ---- Choosing -------------------------------------------------------------------------------------------------------

/** Resolves to how many images are chosen now, or to undefined if none of these. */
async function choose(files, { thenMeasure = false, thenReveal = false } = {}) {
  if (!files.length) return undefined;
  choices += 1;
  const choice = choices;
  await restored;
  const found = await inspectAll(files);
  if (choice !== choices) return undefined;
  const usable = found.filter((row) => !isRefused(row));
  if (!usable.length) return refuse(found);
  dismiss();
  take(found);
  if (thenReveal) byId(page.batch.length > 1 ? "list" : "panels").scrollIntoView({ block: "nearest" });
  if (thenMeasure) analyze();
  return usable.length;
}

/** Nothing of it can be measured. What was chosen before stays as it was, with its result. */
function refuse(found) {
  input.value = "";
  const [{ status: { problem } }] = found;
  if (found.length === 1) say("error", problem.message);
  else say("error", `None of the ${count(found.length)} files can be measured. The first: ${problem.message}`);
}

/** Put rows on the page. One image that was not measured yet is replaced; several are added to. */
function take(found) {
  const open = page.batch.filter(({ status }) => status.state === "chosen");
  const isMany = run ? run.rows.length > 1 : open.length > 1;
  if (!isMany) {
    run?.cancel();
    giveRegionBack(found);
    takeAway(page.batch.filter((row) => row.status.state === "chosen" || isRefused(row)));
    page.batch = [];
    endRun();
  }
  const rows = add(found);
  for (const row of rows) if (isRefused(row)) keep(row);
  if (run) run.add(rows.filter(({ status }) => status.state === "chosen"));
  // Of several images, the list is what counts; of one, its result.
  if (page.batch.length > 1) byId("panels").before(byId("list"));
  else byId("panels").after(byId("list"));
  if (!isMany || !page.shown) show(rows.find((row) => !isRefused(row)));
  refresh(rows);
  announce(`${chosenInWords()} chosen.`);
}

/** A region was drawn on other images: these may be smaller. */
function giveRegionBack(found) {
  const isOther = page.batch.length && !found.some(({ same }) => page.batch.includes(same));
  const name = page.shown?.name;
  const region = isOther ? clearRegion() : null;
  if (region) say("info", `The region of ${name ? quoted(name) : "the last image"} is removed.`, { action: ["Use it here, too", () => setRegion(region)] });
}

/** Take rows off the page, and end what is under way for them. Returns a function that puts them back. */
function takeAway(rows) {
  for (const row of rows) run?.remove(row);
  return drop(rows);
}

/** Back to the start. A list of results stays: it has a button of its own. */
function clear() {
  choices += 1;
  run?.cancel();
  endRun();
  const isList = !byId("list").hidden;
  takeAway(page.batch.filter((row) => !isList || row.status.state === "chosen" || isRefused(row)));
  page.batch = [];
  dismiss();
  announce("");
  clearRegion();
  show(null);
  if (byId("clear") === document.activeElement) input.focus({ preventScroll: true }); // it is about to go
  refresh();
}

// ---- Measuring ------------------------------------------------------------------------------------------------------

function analyze() {
  const rows = target();
  // A second click finds nothing to start. The button keeps the focus, so it is not really disabled.
  if (run || !rows.length) return;
  measure(rows, { refused: page.batch.filter(isRefused) });
}

/** `refused`: what was chosen with the rows, and is not sent. `isQuiet`: the page stays where it is scrolled to. */
function measure(rows, { refused = [], isQuiet = false } = {}) {
  clearTimeout(againTimer);
  const onStage = (row, ...stage) => run.rows.length === 1 && showStage(row, ...stage);
  const onEnd = (measured) => finish(measured, refused, isQuiet);
  beginProgress(isQuiet);
  run = new Run({ options: page.options, onChange: changed, onStage, onEnd });
  if (rows.length === 1) show(rows[0]);
  run.add(rows);
  refresh([]);
}

function changed(rows) {
  const ended = rows.filter(({ status }) => status.state === "measured" || status.state === "failed");
  if (!ended.map(keep).every(Boolean)) say("info", "The browser has no room to keep this list over a reload. Download it to be sure.");
  const isNew = refreshReference();
  if (rows.includes(page.shown)) show(page.shown);
  if (run?.rows.length > 1) showProgress(run);
  showList(isNew || rows.includes(page.reference) ? page.rows : rows);
}

function finish(rows, refused, isQuiet) {
  const { options } = run;
  endRun();
  refresh([]);
  if (rows.length > 1) return tellMany([...rows, ...refused], (again) => measure(again.filter(isRetryable)));
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
function cancel() {
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

// ---- Other options --------------------------------------------------------------------------------------------------

function optionsChanged() {
  dismissSuccess();
  forgetPixel();
  showLook();
  markOutdated();
  refresh();
  measureAgainSoon();
}

/** One image is measured again by itself. Of several, Analyze measures what is marked. */
function measureAgainSoon() {
  clearTimeout(againTimer);
  againTimer = setTimeout(() => {
    const row = page.shown;
    const isOther = run && (run.rows.length > 1 || run.rows[0] !== row);
    if (isOther || page.batch.length > 1 || !row?.file || row.size > MOST_BYTES_AGAIN || !isOutdated(row)) return;
    run?.cancel();
    measure([row], { isQuiet: true });
  }, AGAIN_AFTER_MS);
}

// ---- The list -------------------------------------------------------------------------------------------------------

function startListButtons() {
  const dated = (ending) => `intensity-${new Date().toISOString().slice(0, 10)}.${ending}`;
  copyOnClick(byId("copy-table"), () => asTable(page.rows));
  onClick("download-csv", () => download(dated("csv"), "text/csv", asCsv(page.rows)));
  onClick("download-json", () => download(dated("json"), "application/json", asJson(page.rows)));
  // These two go once they are pressed, and whoever stood on them goes on beside them.
  onClick("retry-failed", () => {
    if (run) return;
    measure(page.rows.filter(isRetryable));
    byId("list-view").focus({ preventScroll: true });
  });
  onClick("refer", () => {
    compareWith(page.shown);
    byId("region-on").focus({ preventScroll: true });
  });
  onClick("clear-list", () => {
    const number = page.rows.length;
    resetFilter();
    const putBack = takeAway([...page.rows]);
    clear();
    offerUndo(`${plural(number, "image")} removed.`, putBack);
    input.focus({ preventScroll: true });
  });
}

/** `isPassing`: one goes through the list by keys, and it stays in view. */
function select(row, isPassing = false) {
  show(row);
  if (!isPassing && !isBeside.matches) byId(answerOf(row) ? "plot" : "no-result").scrollIntoView({ block: "nearest" });
}

function retry(row) {
  if (run) run.add([row]);
  else measure([row]);
}

function compareWith(row) {
  refer(row);
  show(page.shown);
  showList();
}

function remove(row) {
  const wasShown = row === page.shown;
  const putBack = takeAway([row]);
  if (wasShown) show(page.batch[0] ?? null);
  refresh();
  offerUndo(`${quoted(row.name)} removed.`, putBack);
}

function offerUndo(sentence, putBack) {
  const undo = () => {
    putBack();
    show(page.shown ?? page.batch[0] ?? page.rows[0]);
    if (page.rows.length > 1) byId("panels").before(byId("list"));
    refresh();
    byId("list-view").focus({ preventScroll: true });
  };
  say("info", sentence, { action: ["Undo", undo], isQuiet: true });
}

// ---- Showing --------------------------------------------------------------------------------------------------------

function show(row) {
  const before = page.shown;
  page.shown = row;
  if (row !== before) showList([before, row].filter(Boolean)); // only one is marked
  const reference = comparedWith(row, page.reference);
  byId("refer").hidden = !answerOf(row) || row === page.reference;
  showPreview(row, () => {
    tellOfHiddenColors();
    showComparison(page.shown, comparedWith(page.shown, page.reference));
  });
  showResult(row, reference);
  showComparison(row, reference);
}

/** Bring the controls, and these rows of the list, up to date. */
function refresh(rows = page.rows) {
  const { length } = target();
  const bytes = page.batch.reduce((sum, row) => sum + row.size, 0);
  if (page.batch.length) showName(byId("file-name"), chosenInWords());
  else byId("file-name").textContent = CHOOSE;
  byId("file-size").textContent = page.batch.length ? size(bytes) : "";
  // The visible label is the file's name; what it is for stays part of the accessible name.
  input.setAttribute("aria-label", page.batch.length ? `${CHOOSE}, chosen: ${chosenInWords()}` : CHOOSE);
  // One of the three is filled: to choose, to analyze, or, when that is done, none.
  const isFresh = target().some((row) => row.status.state === "chosen" || isOutdated(row));
  byId("form").dataset.step = !page.batch.length ? "choose" : isFresh || run ? "analyze" : "done";
  byId("clear").hidden = !page.batch.length;
  analyzeButton.textContent = !isFresh && length && !run ? "Analyze again" : length > 1 ? `Analyze ${count(length)}` : "Analyze";
  analyzeButton.disabled = !length && !run;
  analyzeButton.setAttribute("aria-disabled", String(Boolean(run) || !length));
  const again = page.rows.filter(isRetryable).length;
  byId("retry-failed").hidden = Boolean(run) || again < 2;
  byId("retry-failed").textContent = `Retry ${count(again)}`;
  showList(rows);
}

/** "photo.jpg", "12 images". */
function chosenInWords() {
  return page.batch.length === 1 ? page.batch[0].name : `${count(page.batch.length)} images`;
}
