// @ts-check
/**
 * The rows of the page, one for each image, and what is kept of them over a reload.
 *
 * @typedef {{ luma: string, alpha: string, region?: string }} Options
 * @typedef {import("./service.js").Problem} Problem
 * @typedef {{ state: "chosen" }
 *   | { state: "measured", answer: any, options: Options, problem?: Problem }
 *   | { state: "failed", problem: Problem, options: Options | null, isRefused?: boolean }} Settled
 *   A number may have a problem beside it: then it is from before, and the last attempt failed. Refused is what no service
 *   would measure.
 * @typedef {Settled
 *   | { state: "waiting", before: Settled }
 *   | { state: "measuring", before: Settled, abort: AbortController }} Status
 * @typedef {{ id?: number, name: string, size: number, modified: number, file: any, format?: string, job?: string | null, status: Status, isTransparent?: boolean }} Row
 *   `job` is the id of a job from before a reload, whose file is gone.
 */

import { OPTIONS } from "./choices.js";
import { areAlike } from "./format.js";
import { session } from "./storage.js";
import { wait } from "./dom.js";

/**
 * All rows; those of the last choice, which Analyze measures; the one on show; the one that others are compared with; and
 * the options in force.
 *
 * @type {{ rows: Row[], batch: Row[], shown: Row | null, reference: Row | null, options: Options }}
 */
export const page = { rows: [], batch: [], shown: null, reference: null, options: { luma: "", alpha: "" } };
/** The reference that was chosen by hand, or null. */
let referred = null;
let lastId = 0;

// ---- What a row is --------------------------------------------------------------------------------------------------

/** What a row is, or was before it was measured again. @returns {any} */
export function settled({ status }) {
  return status.before ?? status;
}

/** The number that a row has, also while it is measured again. @returns {any} */
export function answerOf(row) {
  return row ? settled(row).answer ?? null : null;
}

/** @returns {Options | null} with which the row was measured, or failed */
export function optionsOf(row) {
  return settled(row).options ?? null;
}

/** @returns {Problem | null} */
export function problemOf(row) {
  return settled(row).problem ?? null;
}

export function isRefused({ status }) {
  return Boolean(status.isRefused);
}

export function isUnderWay({ status: { state } }) {
  return state === "waiting" || state === "measuring";
}

/** Whether two sets of options measure the same of an image. */
export function areSame(one, other) {
  return OPTIONS.every((name) => one?.[name] === other?.[name]);
}

/** Whether a row was measured, or failed, with other options than those in force. */
export function isOutdated(row) {
  const options = optionsOf(row);
  return Boolean(options) && !areSame(options, page.options);
}

// From this share of the pixels on, black or white is pointed out: it may have been cut off.
const MUCH_CLIPPED = 0.001;

/** Whether so many pixels are black or white. */
export function isMuch(share) {
  return share >= MUCH_CLIPPED;
}

export function isClipped(answer) {
  const { share_black: black, share_white: white } = answer?.statistics ?? {};
  return isMuch(black) || isMuch(white);
}

/** Whether to try again may help: nobody answered, or not for a reason that lies in the image. */
export function isRetryable(row) {
  const problem = problemOf(row);
  return Boolean(problem && !problem.isOfImage && row.file && !isUnderWay(row));
}

// ---- Which rows there are -------------------------------------------------------------------------------------------

/** What tells one file from others without its content. */
export function keyOf({ name, size, modified }) {
  return `${size} ${modified} ${name}`;
}

/**
 * A function for the files of one choice: it finds the row that a file has already, for example from before a reload, or
 * undefined. Two files may have one name, size and time, so it finds each row only once.
 */
export function rowFinder() {
  const rows = new Map();
  for (const row of page.rows) rows.set(keyOf(row), [...rows.get(keyOf(row)) ?? [], row]);
  const found = new Set();
  return async (image) => {
    for (const row of rows.get(keyOf(image)) ?? []) {
      const isAlike = !row.file || !image.file || await areAlike(row.file, image.file);
      if (!isAlike || found.has(row)) continue;
      found.add(row);
      return row;
    }
    return undefined;
  };
}

/** Put rows into the list and the choice. One that has a row already (`same`) stays in it. @returns {Row[]} */
export function add(found) {
  const there = new Set(page.rows);
  /** @type {any[]} */
  const rows = found.map(({ same, ...row }) => {
    if (there.has(same)) return isUnderWay(same) ? same : Object.assign(same, row); // to be measured again
    lastId += 1;
    row.id = lastId;
    page.rows.push(/** @type {Row} */ (row));
    return row;
  });
  page.batch = [...new Set([...page.batch, ...rows])];
  keepNumber();
  return rows;
}

/** Take rows off the page. Returns a function that puts them back. */
export function drop(rows) {
  const before = { ...page, referred };
  const gone = new Set(rows);
  forget(rows);
  page.rows = page.rows.filter((row) => !gone.has(row));
  page.batch = page.batch.filter((row) => !gone.has(row));
  keepNumber();
  if (gone.has(referred)) referred = null;
  if (gone.has(page.shown)) page.shown = null;
  refreshReference();
  return () => putBack(before, gone);
}

/** Each to its place; rows that came since stay, after them. */
function putBack(before, gone) {
  const merged = (then, now) => {
    const there = new Set([...gone, ...now]);
    return [...new Set([...then.filter((row) => there.has(row)), ...now])];
  };
  page.rows = merged(before.rows, page.rows);
  page.batch = merged(before.batch, page.batch);
  referred ??= before.referred;
  for (const row of gone) if (row.status.state !== "chosen") keep(row);
  keepNumber();
  refreshReference();
}

/** What Analyze would measure: what is new in the choice or was measured with other options, or else all of it once more. */
export function target() {
  const usable = page.batch.filter((row) => row.file && !isRefused(row));
  const fresh = usable.filter((row) => row.status.state === "chosen" || isOutdated(row));
  return fresh.length ? fresh : usable;
}

/** Compare with this row from now on. */
export function refer(row) {
  referred = row;
  refreshReference();
}

/** Until somebody chooses another, the first of the list with a number. True if that is a new one. */
export function refreshReference() {
  const before = page.reference;
  page.reference = answerOf(referred) ? referred : page.rows.find(answerOf) ?? null;
  return page.reference !== before;
}

// ---- Over a reload: one entry of sessionStorage for each row, and no image ------------------------------------------
// sessionStorage belongs to one tab and ends with it: two tabs do not mix their lists, and on a shared computer no list
// stays behind.

const PREFIX = "row:";
const NUMBER = "number-of-rows";
const SLICE = 40; // rows: some milliseconds of reading

/** Keep a row that has ended. False if the browser has no room for it. @param {any} row */
export function keep({ id, name, size, modified, format, status }) {
  return session.keep(PREFIX + id, { id, name, size, modified, format, status: { ...status, problem: status.problem?.kept ?? status.problem } });
}

/** How many rows there are, with those that have no result to keep: a reload says how many it lost. */
function keepNumber() {
  session.keep(NUMBER, page.rows.length);
}

function forget(rows) {
  for (const { id } of rows) session.forget(PREFIX + id);
}

/** Put the rows from before the reload on the page, in their order; in slices, so that it can be used meanwhile. Resolves to how many there were. */
export async function restore() {
  const ids = session.keys().filter((key) => key.startsWith(PREFIX)).map((key) => Number(key.slice(PREFIX.length)));
  ids.sort((one, other) => one - other);
  const number = Number(session.get(NUMBER));
  lastId = Math.max(0, ...ids);
  const rows = [];
  for (let start = 0; start < ids.length; start += SLICE) {
    rows.push(...ids.slice(start, start + SLICE).map(recalled).filter(Boolean));
    await wait();
  }
  page.rows = rows;
  keepNumber();
  refreshReference();
  return number;
}

/** What an earlier version of the page has kept in another form is left out. */
function recalled(id) {
  const row = session.read(PREFIX + id);
  return row?.status?.state ? { ...row, id, file: null } : null;
}

const JOBS = "jobs";

/** The jobs (jobs.js) that this tab has begun and that have not ended, as far as it knows: { id, name, size, modified }. */
export function openJobs() {
  return session.read(JOBS) ?? [];
}

export function keepJobs(jobs) {
  session.keep(JOBS, jobs);
}
