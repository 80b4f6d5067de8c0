// @ts-check
/**
 * The list of images. The document holds only the rows that are in view and some beyond, so 500 images cost no more than 30:
 * sorting moves data, and what scrolls out of view is removed.
 */

import { all, byId, find } from "./dom.js";
import { filtered, showFilter, startFilter } from "./filter.js";
import { answerOf, areSame, isOutdated, optionsOf, page } from "./rows.js";
import { showSeries, spread, startSeries } from "./series.js";
import { forgetPictures, makeRow, removeRow, updateRow } from "./table-row.js";
import { count, totals } from "./words.js";

// Rows beyond each edge of the view. The Tab key reaches them, and a short list is there as a whole.
const BEYOND = 10;
const SERIES_AFTER_MS = 100;
const byName = new Intl.Collator("en", { numeric: true });
/** The table rows in the document, by the id of what they show. */
const elements = new Map();
const outdated = new Set();
let isScheduled = false;
let sorting = { column: null, isDescending: false };
/** All rows are as high as this one (CSS pixels). */
let rowHeight = 52;
/** The rows that the filter lets through. */
let listed = [];
let seriesTimer;

const VALUES = {
  name: (row) => row.name,
  average: (row) => answerOf(row)?.average_intensity,
  difference: (row) => answerOf(row)?.average_intensity,
  deviation: (row) => answerOf(row)?.statistics?.standard_deviation,
  black: (row) => answerOf(row)?.statistics?.share_black,
  white: (row) => answerOf(row)?.statistics?.share_white,
  size: (row) => answerOf(row)?.pixel_count,
};

/** `actions`: what a click on a row or on a button in it does, by name. */
export function startList(actions) {
  for (const button of all("[data-sort]")) {
    button.addEventListener("click", () => sortBy(button.dataset.sort));
  }
  startFilter(() => {
    byId("list-view").scrollTop = 0;
    showList();
  });
  startSeries((row) => {
    if (!elements.has(row.id)) bringIntoView(row);
    actions.select(row, true);
  });
  byId("order").addEventListener("change", ({ target }) => target.value && sortBy(target.value, true));
  byId("rows").addEventListener("click", ({ target }) => {
    const row = page.rows.find(({ id }) => String(id) === target.closest("tr")?.dataset.id);
    const action = target.closest("button")?.dataset.action ?? "select";
    if (row) actions[action](row);
  });
  byId("rows").addEventListener("keydown", (event) => moveByKey(event, actions.select));
  byId("list-view").addEventListener("scroll", schedule, { passive: true });
  new ResizeObserver(schedule).observe(byId("list-view"));
}

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };

/** Up and down from row to row, which is shown; right and left to the buttons of a row, which have no tab stop of their own. */
function moveByKey(event, select) {
  const { key, target } = event;
  const element = target.closest("tr");
  if (key === "ArrowRight" || key === "ArrowLeft") {
    const buttons = [...element.querySelectorAll("button:not([hidden])")];
    buttons[buttons.indexOf(target) + (key === "ArrowRight" ? 1 : -1)]?.focus();
  } else if (key in STEPS) {
    const place = listed.findIndex(({ id }) => String(id) === element.dataset.id);
    const row = listed[Math.min(listed.length - 1, Math.max(0, place + STEPS[key]))];
    bringIntoView(row);
    select(row, true);
    elements.get(row.id)?.querySelector(".select").focus({ preventScroll: true }); // or it has just been filtered out
  } else return;
  event.preventDefault();
}

/** Scroll the list, and no more than that, so that the whole row can be seen. */
function bringIntoView(row) {
  const view = byId("list-view");
  const top = listed.indexOf(row) * rowHeight;
  const head = view.querySelector("thead").offsetHeight;
  view.scrollTop = Math.min(top, Math.max(view.scrollTop, top + rowHeight + head - view.clientHeight));
  draw();
}

/** Bring the list up to date: rows that came, went or changed. Without an argument, all of them. */
export function showList(changed = page.rows) {
  byId("list").hidden = !isWorthShowing();
  for (const row of changed) outdated.add(row);
  schedule();
}

/** One image has its place above. A list begins with the second, or with what a reload has left. */
function isWorthShowing() {
  return page.rows.length > 1 || page.rows.some((row) => row !== page.shown || !row.file);
}

function schedule() {
  if (!isScheduled) requestAnimationFrame(draw);
  isScheduled = true;
}

function draw() {
  isScheduled = false;
  if (byId("list").hidden) return clear();
  listed = filtered(page.rows);
  const { first, rows } = inView();
  const left = removeAllBut(rows);
  place(rows, first);
  if (left !== null) goOnAt(left);
  byId("above").style.height = `${first * rowHeight}px`;
  byId("below").style.height = `${(listed.length - first - rows.length) * rowHeight}px`;
  byId("table-of-rows").setAttribute("aria-rowcount", listed.length + 1);
  if (outdated.size) {
    showFilter();
    showTotals();
    showSeriesSoon();
    checkOrder();
  }
  outdated.clear();
  const [element] = elements.values();
  if (!element) return;
  const { height } = element.getBoundingClientRect();
  if (Math.abs(height - rowHeight) < 0.1) return;
  rowHeight = height; // another size of text or of window
  schedule();
}

/** Not with each of 500 images that are measured. The first time at once: rows would move from under the pointer later. */
function showSeriesSoon() {
  if (seriesTimer) return;
  if (byId("series").hidden) showSeries(listed);
  seriesTimer = setTimeout(() => {
    seriesTimer = undefined;
    showSeries(listed);
  }, SERIES_AFTER_MS);
}

function clear() {
  removeAllBut([]);
  outdated.clear();
  forgetPictures();
}

function inView() {
  const { scrollTop, clientHeight } = byId("list-view");
  const number = Math.ceil(clientHeight / rowHeight) + 2 * BEYOND;
  const last = Math.max(0, listed.length - number);
  const first = Math.min(last, Math.max(0, Math.floor(scrollTop / rowHeight) - BEYOND));
  return { first, rows: listed.slice(first, first + number) };
}

/** Returns the place of the row that the keyboard was on, if it went, or null. */
function removeAllBut(rows) {
  const ids = new Set(rows.map(({ id }) => id));
  /** @type {number | null} */
  let left = null;
  for (const [id, element] of elements) {
    if (ids.has(id)) continue;
    if (element.contains(document.activeElement)) left = element.ariaRowIndex - 2;
    removeRow(element);
    elements.delete(id);
  }
  return left;
}

/** Who goes through the list by keyboard goes on with the next row, or, if the row was only scrolled away, with the list. */
function goOnAt(place) {
  const next = elements.get(listed[Math.min(place, listed.length - 1)]?.id);
  (next?.querySelector(".select") ?? byId("list-view")).focus({ preventScroll: true });
}

/** The rows into the document, in their order. `first` is the place of the first one in the list. */
function place(rows, first) {
  const body = byId("rows");
  let next = body.firstElementChild;
  rows.forEach((row, index) => {
    const isNew = !elements.has(row.id);
    if (isNew) elements.set(row.id, makeRow(row));
    const element = elements.get(row.id);
    if (isNew || outdated.has(row)) updateRow(element, row);
    element.ariaRowIndex = first + index + 2; // the headings are the first
    if (element === next) next = next.nextElementSibling;
    else body.insertBefore(element, next);
  });
}

function showTotals() {
  const averages = page.rows.map(answerOf).filter(Boolean).map((answer) => answer.average_intensity);
  byId("totals").textContent = totals(page.rows);
  const { mean, deviation } = spread(averages);
  const isMixed = page.reference && page.rows.some((row) => answerOf(row) && !areSame(optionsOf(row), optionsOf(page.reference)));
  const old = page.rows.filter((row) => answerOf(row) && isOutdated(row)).length;
  byId("old-numbers").textContent = old ? `${count(old)} measured with other options than those chosen now` : "";
  const note = isMixed ? ". * Measured with other options than the reference; the mean is over all of them." : "";
  byId("mean-of-averages").textContent = averages.length ? `Mean of the averages: ${mean.toFixed(2)}${averages.length > 1 ? `, σ ${deviation.toFixed(2)}` : ""}${note}` : "";
}

/** By a heading: ascending, and the second time descending. By the choice, which has what no heading may have room for: descending. */
function sortBy(column, isDescending = sorting.column === column && !sorting.isDescending) {
  sorting = { column, isDescending };
  if (byId("order").value !== column) byId("order").value = "";
  for (const button of all("[data-sort]")) {
    const order = sorting.isDescending ? "descending" : "ascending";
    if (button.dataset.sort === column) button.closest("th").setAttribute("aria-sort", order);
    else button.closest("th").removeAttribute("aria-sort");
  }
  page.rows.sort(inOrder);
  byId("list-view").scrollTop = 0;
  showList();
}

/** Rows that came or changed since are not moved under the user's eyes. Then the heading no longer says that they are sorted. */
function checkOrder() {
  if (!sorting.column || page.rows.every((row, index) => !index || inOrder(page.rows[index - 1], row) <= 0)) return;
  find("[aria-sort]").removeAttribute("aria-sort");
  byId("order").value = "";
  sorting = { column: null, isDescending: false };
}

function inOrder(one, other) {
  const value = VALUES[sorting.column];
  return compared(value(one), value(other), sorting.isDescending ? -1 : 1);
}

/** Rows without a value come last, whichever way the others go. */
function compared(one, other, sign) {
  if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
  return sign * (typeof one === "string" ? byName.compare(one, other) : one - other);
}
