// @ts-check
/**
 * The page: choose images, look at them, ask the service for their average intensity.
 *
 * One rule keeps a number from ever standing beside what it does not describe: preview and result always show the same row,
 * whatever is under way for a row ends when another image takes its place, and a number by other options than those in
 * force is marked.
 */

import { startChoosing } from "./choosing.js";
import { all, byId, onClick } from "./dom.js";
import { resetFilter } from "./filter.js";
import { inspectAll } from "./inspecting.js";
import { limitsInWords, loadLimits, offered } from "./limits.js";
import { showList, startList } from "./list.js";
import { announce, dismiss, dismissSuccess, say, startMessages } from "./message.js";
import { link, startOptions } from "./options.js";
import { forgetPixel, showPreview } from "./preview.js";
import { clearRegion, setRegion, typeRegion } from "./region.js";
import { markOutdated, showResult, startResult, tellOfHiddenColors } from "./result.js";
import { add, answerOf, drop, isOutdated, isRefused, isRetryable, keep, openJobs, page, refer, refreshReference, restore, rowFinder, target } from "./rows.js";
import { analyze, cancel, isRunning, isRunningMany, join, leave, measure, measureAgainSoon, retry, startRunning, stop } from "./running.js";
import { asCsv, asJson, asTable, copyOnClick, download } from "./saving.js";
import { endpoint, load } from "./service.js";
import { count, plural, quoted, showName, size } from "./words.js";
import { showLook, startZoom } from "./zoom.js";

const CHOOSE = "Choose image files";
const input = byId("file");
const analyzeButton = byId("analyze");

/** Whether list and result stand side by side (panels.css). */
const isBeside = matchMedia("(min-width: 75rem)");

/** Counts choices: reading a file takes a moment, and a later choice may overtake it. */
let choices = 0;
/** The list from before a reload, when it is there. */
let restored;
/** What lays one picture over another, from the first comparison on. @type {any} */
let comparing = null;
let isComparing = false;

start();

function start() {
  startMessages(input);
  startRunning({ show, refresh });
  byId("form").addEventListener("submit", (event) => { event.preventDefault(); analyze(); });
  byId("form").addEventListener("reset", clear);
  onClick("cancel", cancel);
  byId("region-fields").addEventListener("keydown", (event) => event.key === "Enter" && typeRegion() && analyze());
  for (const anchor of all("a[data-api]")) anchor.href = endpoint(anchor.getAttribute("href"));
  if (/Mac|iPhone|iPad/.test(navigator.platform)) byId("command-key").textContent = "⌘";
  startOptions(optionsChanged);
  onClick("compare", compare);
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
  loadLimits().then(() => {
    byId("limits").textContent = limitsInWords();
    input.accept = offered();
  });
  byId("not-started").remove();
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
  const isMany = isRunning() ? isRunningMany() : open.length > 1;
  if (!isMany) {
    stop();
    giveRegionBack(found);
    takeAway(page.batch.filter((row) => row.status.state === "chosen" || isRefused(row)));
    page.batch = [];
  }
  const rows = add(found);
  for (const row of rows) if (isRefused(row)) keep(row);
  join(rows.filter(({ status }) => status.state === "chosen"));
  // Of several images, the list is what counts; of one, its result.
  if (page.batch.length > 1) byId("panels").before(byId("list"));
  else byId("panels").after(byId("list"));
  // Of what is chosen again, no number is left: neither in the result nor as the reference.
  const isOther = refreshReference();
  show(isMany && page.shown ? page.shown : rows.find((row) => !isRefused(row)));
  refresh(isOther ? page.rows : rows);
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
  leave(rows);
  return drop(rows);
}

/** Back to the start. A list of results stays: it has a button of its own. */
function clear() {
  choices += 1;
  stop();
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

// ---- Other options --------------------------------------------------------------------------------------------------

function optionsChanged() {
  dismissSuccess();
  forgetPixel();
  showLook();
  markOutdated();
  refresh();
  measureAgainSoon();
}

// ---- The list -------------------------------------------------------------------------------------------------------

function startListButtons() {
  const dated = (ending) => `intensity-${new Date().toISOString().slice(0, 10)}.${ending}`;
  copyOnClick(byId("copy-table"), () => asTable(page.rows));
  onClick("download-csv", () => download(dated("csv"), "text/csv", asCsv(page.rows)));
  onClick("download-json", () => download(dated("json"), "application/json", asJson(page.rows)));
  // These two go once they are pressed, and whoever stood on them goes on beside them.
  onClick("retry-failed", () => {
    if (isRunning()) return;
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

function compareWith(row) {
  refer(row);
  show(page.shown);
  showList();
}

async function compare() {
  try {
    comparing ??= await load(() => import("./compare.js"));
  } catch (problem) {
    say("error", problem.message);
    return;
  }
  isComparing = !isComparing;
  show(page.shown);
}

/** The row to compare with `row`, or null if none is or comparing is off. @returns {any} */
function comparedWith(row) {
  const { reference } = page;
  const can = Boolean(answerOf(row) && answerOf(reference) && reference !== row);
  byId("compare").hidden = !can;
  byId("compare").textContent = isComparing ? "End comparison" : "Compare with the reference";
  return can && isComparing ? reference : null;
}

function remove(row) {
  const wasShown = row === page.shown;
  const putBack = takeAway([row]);
  show(wasShown ? page.batch[0] ?? null : page.shown); // which may have been compared with it
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
  const reference = comparedWith(row);
  byId("refer").hidden = !answerOf(row) || row === page.reference;
  showPreview(row, () => {
    tellOfHiddenColors();
    comparing?.showComparison(page.shown, comparedWith(page.shown));
  });
  showResult(row, reference);
  comparing?.showComparison(row, reference);
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
  byId("form").dataset.step = !page.batch.length ? "choose" : isFresh || isRunning() ? "analyze" : "done";
  byId("clear").hidden = !page.batch.length;
  analyzeButton.textContent = !isFresh && length && !isRunning() ? "Analyze again" : length > 1 ? `Analyze ${count(length)}` : "Analyze";
  analyzeButton.disabled = !length && !isRunning();
  analyzeButton.setAttribute("aria-disabled", String(isRunning() || !length));
  const again = page.rows.filter(isRetryable).length;
  byId("retry-failed").hidden = isRunning() || again < 2;
  byId("retry-failed").textContent = `Retry ${count(again)}`;
  showList(rows);
}

/** "photo.jpg", "12 images". */
function chosenInWords() {
  return page.batch.length === 1 ? page.batch[0].name : `${count(page.batch.length)} images`;
}
