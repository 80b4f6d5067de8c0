// @ts-check
/** Rows for files that were chosen: which row a file has already, and whether any service would measure it. */

import { pathOf } from "./choosing.js";
import { check } from "./limits.js";
import { rowFinder } from "./rows.js";
import { Problem } from "./service.js";
import { wait } from "./dom.js";

// In between, the page draws and answers. A browser takes about half a millisecond to look at one file.
const SLICE_MS = 8;

/** Rows to be added; those that have one already name it as `same`. */
export async function inspectAll(files) {
  const rows = [];
  await wait(); // of many files, the browser may have taken 100 ms to hand them over
  const findRow = rowFinder();
  let begun = performance.now();
  for (const file of files) {
    rows.push(inspect(file, findRow));
    if (performance.now() - begun < SLICE_MS) continue;
    await wait();
    begun = performance.now();
  }
  return Promise.all(rows);
}

async function inspect(file, findRow) {
  const image = { name: pathOf(file), size: file.size, modified: file.lastModified, file };
  const same = await findRow(image);
  try {
    return { ...image, same, format: await check(file), status: { state: "chosen" } };
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    return { ...image, same, status: { state: "failed", problem, options: null, isRefused: true } };
  }
}
