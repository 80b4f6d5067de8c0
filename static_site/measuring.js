// @ts-check
/**
 * Measuring images, a few at a time.
 *
 * Each row (rows.js) that is measured has one AbortController: whatever ends it, ends its check, its upload and its answer,
 * so that no late answer is ever shown.
 */

import { check, limits, loadLimits } from "./limits.js";
import { query } from "./options.js";
import { answerOf, settled } from "./rows.js";
import { endpoint, load, post, readMeasurement, TOO_MUCH_FOR_A_REQUEST } from "./service.js";
import { wait } from "./dom.js";

// A browser opens six connections to a server. The rest is for the page itself.
const AT_ONCE = 4;
// How often a service that says when to come back is asked again, if there are many images.
const RETURNS = 5;

/** Ask the service for the measurement of a file. `onStage` hears what is done, and the share of it where it is known. */
export async function measure(file, options, signal, onStage) {
  const isLarge = file.size > limits.inline;
  onStage(isLarge ? "Reading…" : "Uploading…", 0);
  const format = await check(file); // again: the limits are known now, and the file may have changed
  signal.throwIfAborted();
  const byUpload = async () => {
    // With the library that hashes for it. Most images need neither.
    const { measureByUpload } = await load(() => import("./upload.js"));
    const answer = await measureByUpload(file, `image/${format.toLowerCase()}`, query(options), signal, onStage);
    return { ...answer, isUploaded: true };
  };
  if (isLarge) return byUpload();
  try {
    return await measureInline(file, options, signal, onStage);
  } catch (problem) {
    // An upload may have more pixels, and takes more time.
    if (!limits.upload || !TOO_MUCH_FOR_A_REQUEST.includes(problem.code)) throw problem;
    return byUpload();
  }
}

async function measureInline(file, options, signal, onStage) {
  const form = new FormData();
  form.append("image", file);
  const showSent = (sent) => (sent < 1 ? onStage("Uploading…", sent) : onStage("Measuring…"));
  return readMeasurement(await post(endpoint("intensity") + query(options), form, signal, showSent));
}

/** Measures rows. `onChange(rows)` hears of every change of rows, `onStage` what is done, `onEnd(rows)` that all ended. */
export class Run {
  #waiting = [];
  #active = new Set();
  #limits;
  rows = [];

  constructor({ options, onChange, onStage, onEnd }) {
    this.options = options;
    this.onChange = onChange;
    this.onStage = onStage;
    this.onEnd = onEnd;
  }

  add(rows) {
    for (const row of rows) row.status = { state: "waiting", before: settled(row) };
    this.onChange(rows);
    this.rows = [...new Set([...this.rows, ...rows])]; // one that failed may be tried again meanwhile
    this.#waiting.push(...rows);
    this.#fill();
  }

  /** Take rows out, wherever they are. */
  remove(rows) {
    const gone = new Set(rows);
    rows.forEach(end);
    for (const row of rows) this.#active.delete(row);
    this.rows = this.rows.filter((row) => !gone.has(row));
    this.#waiting = this.#waiting.filter((row) => !gone.has(row));
    this.#fill();
  }

  /** End everything. Rows without an answer are as they were before; `onEnd` is not called. */
  cancel() {
    this.onEnd = () => {};
    const open = [...this.#waiting, ...this.#active];
    this.#waiting = [];
    this.#active.clear();
    open.forEach(end);
    this.onChange(open);
  }

  get done() {
    return this.rows.length - this.#waiting.length - this.#active.size;
  }

  #fill() {
    while (this.#active.size < AT_ONCE && this.#waiting.length) this.#measure(this.#waiting.shift());
    if (!this.#active.size && !this.#waiting.length) this.onEnd(this.rows);
  }

  async #measure(row) {
    const abort = new AbortController();
    this.#active.add(row);
    row.status = { state: "measuring", before: settled(row), abort };
    this.onChange([row]);
    const status = await this.#outcome(row, abort.signal);
    if (abort.signal.aborted) return; // who ended it has taken it out, and may have begun it anew
    this.#active.delete(row);
    Object.assign(row, { status, job: null });
    this.onChange([row]);
    this.#fill();
  }

  async #outcome(row, signal) {
    const onStage = (stage, share = null) => signal.aborted || this.onStage(row, stage, share);
    for (let tries = 0; ; tries += 1) {
      try {
        this.#limits ??= loadLimits(); // once for all: if there is no answer, not every image waits for one
        await this.#limits;
        signal.throwIfAborted();
        const done = row.job ? await this.#follow(row.job, signal, onStage) : { answer: await measure(row.file, this.options, signal, onStage), options: this.options };
        return { state: "measured", ...done };
      } catch (problem) {
        const returns = problem.retryAfter && this.rows.length > 1 && tries < RETURNS && !signal.aborted;
        if (!returns) return failure(row, problem, row.job ? null : this.options);
        onStage("The service is busy. Waiting…");
        await wait(problem.retryAfter * 1_000, signal).catch(() => {}); // the next try sees that it ended
      }
    }
  }

  /** The answer of a job from before a reload, and its options. */
  async #follow(job, signal, onStage) {
    const { follow, optionsMeasured } = await load(() => import("./jobs.js"));
    const answer = await follow(job, signal, onStage);
    return { answer, options: optionsMeasured(answer) };
  }
}

/** A row that is measured no more is what it was before. Its job is forgotten: it has the options of then. */
function end(row) {
  row.status.abort?.abort();
  Object.assign(row, { status: settled(row), job: null });
}

/**
 * What a row is after a problem. If the image itself is at fault, it has no number. If the connection or the service is,
 * the number from before is as right as it was. What failed, failed with these options.
 */
function failure(row, problem, options) {
  const answer = problem.isOfImage ? null : answerOf(row);
  return answer ? { ...settled(row), problem } : { state: "failed", problem, options };
}
