/**
 * The rows of the page, one for each image, and what is kept of them over a reload.
 *
 * A row is { id, name, size, modified, file, format, status, options, answer, problem, refused, job }. Its status is
 * chosen, waiting, measuring, measured or failed; `refused` means that no service would measure it; `job` is the id of a
 * job from before a reload, whose file is gone.
 */

import { areAlike } from "./files.js";

/** All rows; those of the last choice, which Analyze measures; the one on show; the one that others are compared with. */
export const page = { rows: [], batch: [], shown: null, reference: null };
/** The reference that was chosen by hand, or null. */
let referred = null;
let lastId = 0;

/**
 * A function for the files of one choice: it finds the row that a file has already, for example from before a reload, or
 * undefined. Two files may have one name, size and time, so it finds each row only once.
 */
export function rowFinder() {
  const keyOf = ({ name, size, modified }) => `${size} ${modified} ${name}`;
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
  };
}

/** Put rows into the list and the choice. One that has a row already (`same`) stays in it. */
export function add(found) {
  const there = new Set(page.rows);
  const rows = found.map(({ same, ...row }) => {
    if (there.has(same)) return isUnderWay(same) ? same : Object.assign(same, row); // to be measured again
    lastId += 1;
    row.id = lastId;
    page.rows.push(row);
    return row;
  });
  page.batch = [...new Set([...page.batch, ...rows])];
  keepNumber();
  return rows;
}

/** Take rows off the page. */
export function drop(rows) {
  const gone = new Set(rows);
  forget(rows);
  page.rows = page.rows.filter((row) => !gone.has(row));
  page.batch = page.batch.filter((row) => !gone.has(row));
  keepNumber();
  if (gone.has(referred)) referred = null;
  if (gone.has(page.shown)) page.shown = null;
  refreshReference();
}

/** What Analyze would measure: what is new in the choice, or else all of it once more. */
export function target() {
  const usable = page.batch.filter(({ refused, file }) => file && !refused);
  const fresh = usable.filter(({ status }) => status === "chosen");
  return fresh.length ? fresh : usable;
}

export function retryable() {
  return page.rows.filter(({ status, refused, file }) => status === "failed" && !refused && file);
}

export function isUnderWay({ status }) {
  return status === "waiting" || status === "measuring";
}

/** Compare with this row from now on. */
export function refer(row) {
  referred = row;
  refreshReference();
}

/** Until somebody chooses another, the first of the list with a number. True if that is a new one. */
export function refreshReference() {
  const before = page.reference;
  page.reference = referred?.answer ? referred : page.rows.find(({ answer }) => answer) ?? null;
  return page.reference !== before;
}

// ---- Over a reload: one entry of sessionStorage for each row, and no image ------------------------------------------
// sessionStorage belongs to one tab and ends with it: two tabs do not mix their lists, and on a shared computer no list
// stays behind.

const PREFIX = "row:";
const NUMBER = "number-of-rows";
const KEPT = ["id", "name", "size", "modified", "format", "status", "options", "answer", "problem"];
const SLICE = 40; // rows: some milliseconds of reading

/** Keep a row that has ended. False if the browser has no room for it. */
export function keep(row) {
  const entry = Object.fromEntries(KEPT.map((name) => [name, row[name]]));
  if (row.problem) entry.problem = { message: row.problem.message, code: row.problem.code, requestId: row.problem.requestId };
  try {
    sessionStorage.setItem(PREFIX + row.id, JSON.stringify(entry));
    return true;
  } catch {
    return false;
  }
}

/** How many rows there are, with those that have no result to keep: a reload says how many it lost. */
function keepNumber() {
  try {
    sessionStorage.setItem(NUMBER, page.rows.length);
  } catch {
    // Storage is off: no row is kept.
  }
}

function forget(rows) {
  try {
    for (const { id } of rows) sessionStorage.removeItem(PREFIX + id);
  } catch {
    // Storage is off: there was nothing to remove.
  }
}

/** Put the rows from before the reload on the page, in their order; in slices, so that it can be used meanwhile. Resolves to how many there were. */
export async function restore() {
  const { ids, number } = kept();
  lastId = Math.max(0, ...ids);
  const rows = [];
  for (let start = 0; start < ids.length; start += SLICE) {
    rows.push(...ids.slice(start, start + SLICE).map(recalled).filter(Boolean));
    await pause();
  }
  page.rows = rows;
  keepNumber();
  refreshReference();
  return number;
}

function kept() {
  try {
    const keys = Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
    const ids = keys.map((key) => Number(key.slice(PREFIX.length))).sort((one, other) => one - other);
    return { ids, number: Number(sessionStorage.getItem(NUMBER)) };
  } catch {
    return { ids: [], number: 0 }; // storage is off
  }
}

function recalled(id) {
  try {
    return { ...JSON.parse(sessionStorage.getItem(PREFIX + id)), id, file: null };
  } catch {
    return null;
  }
}

const JOBS = "jobs";

/** The jobs (jobs.js) that this tab has begun and that have not ended, as far as it knows: { id, name, size, modified }. */
export function openJobs() {
  try {
    return JSON.parse(sessionStorage.getItem(JOBS)) ?? [];
  } catch {
    return []; // storage is off
  }
}

export function keepJobs(jobs) {
  try {
    sessionStorage.setItem(JOBS, JSON.stringify(jobs));
  } catch {
    // Then a reload does not find them.
  }
}

/** Let the browser draw and answer its user. */
export function pause() {
  return new Promise((resolve) => { setTimeout(resolve); }); // not scheduler.yield: it goes on before the browser has drawn
}
