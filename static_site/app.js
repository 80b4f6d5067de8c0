/**
 * The page: choose images, look at them, ask the service for their average intensity.
 *
 * One rule keeps a number from ever standing beside the wrong picture: preview and result always show the same row, and
 * whatever is under way for a row ends when another image takes its place.
 */

import { comparedWith, showComparison, startCompare } from "./compare.js";
import { check, limitsInWords, loadLimits, pathOf, startChoosing } from "./files.js";
import { showList, startList } from "./list.js";
import { Run } from "./measuring.js";
import { dismiss, endProgress, say, showProgress, showStage, tellMany, tellOne } from "./message.js";
import { chosenOptions, link, startOptions } from "./options.js";
import { showPreview } from "./preview.js";
import { clearRegion } from "./region.js";
import { showResult, startResult } from "./result.js";
import { add, drop, keep, openJobs, page, pause, refer, refreshReference, restore, retryable, rowFinder, target } from "./rows.js";
import { asCsv, asJson, copyOnClick, download } from "./saving.js";
import { endpoint, Problem } from "./service.js";
import { count, plural, showName, size, totals } from "./words.js";

const CHOOSE = "Choose image files";
// In between, the page draws and answers. A browser takes about half a millisecond to look at one file.
const SLICE_MS = 8;
const byId = (id) => document.getElementById(id);
const onClick = (id, heard) => byId(id).addEventListener("click", heard);
const input = byId("file");
const analyzeButton = byId("analyze");

/** What is being measured, or null. */
let run = null;
/** Counts choices: reading a file takes a moment, and a later choice may overtake it. */
let choices = 0;
/** The list from before a reload, when it is there. */
let restored;

start();

function start() {
  startChoosing(choose);
  byId("form").addEventListener("submit", (event) => { event.preventDefault(); analyze(); });
  byId("form").addEventListener("reset", clear);
  onClick("cancel", cancel);
  onClick("dismiss", () => dismiss(input));
  document.addEventListener("keydown", (event) => event.key === "Escape" && dismiss(input));
  for (const anchor of document.querySelectorAll("a[data-api]")) anchor.href = endpoint(anchor.getAttribute("href"));
  startOptions();
  startCompare(() => show(page.shown));
  copyOnClick(byId("copy-link"), link);
  startResult();
  startList({ select, retry, refer: compareWith, remove });
  startListButtons();
  show(null);
  refresh();
  restored = restore().then(async (number) => {
    refresh();
    await resume();
    const lost = number - page.rows.length;
    if (lost > 0) say("info", `${plural(lost, "image")} had no result that could be kept over the reload: choose again what is missing.`);
  });
  loadLimits().then(() => { byId("limits").textContent = limitsInWords(); });
}

/** Go on asking for the jobs from before a reload. */
async function resume() {
  const rows = openJobs().map(({ id, ...image }) => ({ ...image, job: id, file: null, status: "chosen", answer: null, problem: null }));
  if (!rows.length) return;
  const findRow = rowFinder();
  const found = await Promise.all(rows.map(async (row) => ({ ...row, same: await findRow(row) })));
  take(found);
  measure(page.batch);
}

// ---- Choosing -------------------------------------------------------------------------------------------------------

/** Resolves to how many images are chosen now, or to undefined if none of these. */
async function choose(files, { thenMeasure = false } = {}) {
  if (!files.length) return;
  choices += 1;
  const choice = choices;
  await restored;
  const found = await inspectAll(files);
  if (choice !== choices) return;
  const usable = found.filter(({ refused }) => !refused);
  if (!usable.length) return refuse(found);
  dismiss();
  take(found);
  if (thenMeasure) analyze();
  return usable.length;
}

async function inspectAll(files) {
  const rows = [];
  await pause(); // of many files, the browser may have taken 100 ms to hand them over
  const findRow = rowFinder();
  let begun = performance.now();
  for (const file of files) {
    rows.push(inspect(file, findRow));
    if (performance.now() - begun < SLICE_MS) continue;
    await pause();
    begun = performance.now();
  }
  return Promise.all(rows);
}

/** A row for a file; `refused` if no service would measure it. */
async function inspect(file, findRow) {
  const row = { name: pathOf(file), size: file.size, modified: file.lastModified, file, status: "chosen", options: null, answer: null, problem: null };
  try {
    row.same = await findRow(row);
    row.format = await check(file);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    Object.assign(row, { status: "failed", refused: true, problem });
  }
  return row;
}

/** Nothing of it can be measured. What was chosen before stays as it was, with its result. */
function refuse(found) {
  input.value = "";
  const [{ problem }] = found;
  if (found.length === 1) say("error", problem.message);
  else say("error", `None of the ${count(found.length)} files can be measured. The first: ${problem.message}`);
}

/** Put rows on the page. One image that was not measured yet is replaced; several are added to. */
function take(found) {
  const open = page.batch.filter(({ status }) => status === "chosen");
  const isMany = run ? run.rows.length > 1 : open.length > 1;
  if (!isMany) {
    run?.cancel();
    takeAway(page.batch.filter(({ status, refused }) => status === "chosen" || refused));
    page.batch = [];
    endRun();
  }
  const rows = add(found);
  for (const row of rows) if (row.refused) keep(row);
  if (run) run.add(rows.filter(({ status }) => status === "chosen"));
  // Of several images, the list is what counts; of one, its result.
  if (page.batch.length > 1) byId("panels").before(byId("list"));
  else byId("panels").after(byId("list"));
  if (!isMany || !page.shown) show(rows.find(({ refused }) => !refused));
  refresh(rows);
}

/** Take rows off the page, and end what is under way for them. */
function takeAway(rows) {
  for (const row of rows) run?.remove(row);
  drop(rows);
}

/** Back to the start. A list of results stays: it has a button of its own. */
function clear() {
  choices += 1;
  run?.cancel();
  endRun();
  const isList = !byId("list").hidden;
  takeAway(page.batch.filter(({ status, refused }) => !isList || status === "chosen" || refused));
  page.batch = [];
  dismiss();
  clearRegion();
  show(null);
  refresh();
}

// ---- Measuring ------------------------------------------------------------------------------------------------------

function analyze() {
  const rows = target();
  // A second click finds nothing to start. The button keeps the focus, so it is not really disabled.
  if (run || !rows.length) return;
  measure(rows);
}

function measure(rows) {
  dismiss();
  const onStage = (row, ...stage) => run.rows.length === 1 && showStage(row, ...stage);
  run = new Run({ options: chosenOptions(), onChange: changed, onStage, onEnd: finish });
  byId("progress").hidden = false;
  if (rows.length === 1) show(rows[0]);
  run.add(rows);
  refresh([]);
  byId("progress").scrollIntoView({ block: "nearest" });
}

function changed(rows) {
  const ended = rows.filter(({ status }) => status === "measured" || status === "failed");
  if (!ended.every(keep)) say("info", "The browser has no room to keep this list over a reload. Download it to be sure.");
  const isNew = refreshReference();
  if (rows.includes(page.shown)) show(page.shown);
  if (run?.rows.length > 1) showProgress(run);
  showList(isNew || rows.includes(page.reference) ? page.rows : rows);
}

function finish(rows) {
  endRun();
  refresh([]);
  if (rows.length > 1) return tellMany([...rows, ...page.batch.filter(({ refused }) => refused)]);
  if (!rows.length) return;
  tellOne(rows[0]);
  reveal();
}

/** Number and plot on the screen: on a phone they may be below it. */
function reveal() {
  const what = byId(page.shown?.answer ? "plot" : "no-result");
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

// ---- The list -------------------------------------------------------------------------------------------------------

function startListButtons() {
  const dated = (ending) => `intensity-${new Date().toISOString().slice(0, 10)}.${ending}`;
  onClick("download-csv", () => download(dated("csv"), "text/csv", asCsv(page.rows)));
  onClick("download-json", () => download(dated("json"), "application/json", asJson(page.rows)));
  // These two go once they are pressed, and whoever stood on them goes on beside them.
  onClick("retry-failed", () => {
    if (run) return;
    measure(retryable());
    byId("list-view").focus({ preventScroll: true });
  });
  onClick("refer", () => {
    compareWith(page.shown);
    byId("region-on").focus({ preventScroll: true });
  });
  onClick("clear-list", () => {
    takeAway([...page.rows]);
    clear();
    input.focus({ preventScroll: true });
  });
}

function select(row) {
  show(row);
  showList();
  byId(row.answer ? "plot" : "no-result").scrollIntoView({ block: "nearest" });
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
  takeAway([row]);
  if (wasShown) show(page.batch[0] ?? null);
  refresh();
}

// ---- Showing --------------------------------------------------------------------------------------------------------

function show(row) {
  const before = page.shown;
  page.shown = row;
  if (row !== before) showList([before, row].filter(Boolean)); // only one is marked
  const reference = comparedWith(row, page.reference);
  byId("refer").hidden = !row?.answer || row === page.reference;
  showPreview(row, () => showComparison(row, reference));
  showResult(row, reference);
  showComparison(row, reference);
}

/** Bring the controls, and these rows of the list, up to date. */
function refresh(rows = page.rows) {
  const { length } = target();
  const bytes = page.batch.reduce((sum, row) => sum + row.size, 0);
  const name = page.batch.length === 1 ? page.batch[0].name : `${count(page.batch.length)} images`;
  if (page.batch.length) showName(byId("file-name"), name);
  else byId("file-name").textContent = CHOOSE;
  byId("file-size").textContent = page.batch.length ? size(bytes) : "";
  // The visible label is the file's name; what it is for stays part of the accessible name.
  input.setAttribute("aria-label", page.batch.length ? `${CHOOSE}, chosen: ${name}` : CHOOSE);
  analyzeButton.textContent = length > 1 ? `Analyze ${count(length)}` : "Analyze";
  analyzeButton.disabled = !length && !run;
  analyzeButton.setAttribute("aria-disabled", String(Boolean(run) || !length));
  byId("retry-failed").hidden = Boolean(run) || retryable().length < 2;
  showList(rows);
}
