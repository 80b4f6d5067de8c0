// @ts-check
/**
 * What is being done, and what was done or went wrong.
 *
 * Only the sentence of a message is a live region. So a screen reader reads the sentence, and neither the button nor the
 * whole result.
 */

import { byId, onClick, write } from "./dom.js";
import { answerOf, isRetryable } from "./rows.js";
import { count, quoted, reasonsOf, size } from "./words.js";

const SIGNS = { success: "✓", partial: "⚠", error: "✕", info: "i" };
// What takes no longer is done before one can read what it is.
const PROGRESS_AFTER_MS = 300;

/** What the button of the message does. */
let act = () => {};
let progressTimer;

/** `next`: where one goes on who stood on a button that is gone. */
export function startMessages(next) {
  onClick("dismiss", () => dismiss(next));
  document.addEventListener("keydown", (event) => event.key === "Escape" && dismiss(next));
  onClick("message-action", () => {
    const now = act;
    dismiss(next);
    now();
  });
}

/**
 * Show a sentence. Kinds: success, info, partial (some of it failed), error. `action`: [label, what it does], a button
 * beside it. `isQuiet`: the page stays where it is scrolled to.
 *
 * @param {string} kind
 * @param {string} sentence
 * @param {{ requestId?: string | null, action?: any[] | null, isQuiet?: boolean }} more
 */
export function say(kind, sentence, { requestId = null, action = null, isQuiet = false } = {}) {
  const box = byId("message");
  box.className = `message ${kind}`;
  box.hidden = false;
  byId("message-sign").textContent = SIGNS[kind];
  // An error is read at once, the rest when the reader has come to the end of its sentence.
  byId("alert").textContent = kind === "error" ? sentence : "";
  byId("said").textContent = kind === "error" ? "" : sentence;
  byId("message-request").hidden = !requestId;
  byId("message-request-id").textContent = requestId ?? "";
  byId("message-action").hidden = !action;
  [byId("message-action").textContent, act] = action ?? ["", () => {}];
  if (!isQuiet) box.scrollIntoView({ block: "nearest" });
}

/** Say something to screen readers only: the others see it. */
export function announce(sentence) {
  byId("announced").textContent = sentence;
}

/** Take the message away. Whoever stood on its button goes on at `next`. @param {any} [next] */
export function dismiss(next) {
  const box = byId("message");
  const hadFocus = box.contains(document.activeElement);
  box.hidden = true;
  empty();
  if (hadFocus) next?.focus();
}

/** Take the message away if it only says that something is done. */
export function dismissSuccess() {
  if (byId("message").classList.contains("success")) dismiss();
}

function empty() {
  byId("alert").textContent = "";
  byId("said").textContent = "";
}

// ---- What became of a run -------------------------------------------------------------------------------------------

export function tellOne(row, isQuiet) {
  const { name, file, status: { problem } } = row;
  if (problem) {
    const named = problem.message.includes(quoted(file?.name ?? name));
    say("error", named ? problem.message : `${quoted(name)} could not be measured. ${problem.message}`, { requestId: problem.requestId, isQuiet });
  } else {
    const { cache, duration_ms: ms } = answerOf(row);
    const how = cache === "hit" ? "Already measured before: answered from the cache." : `Measured in ${ms < 1 ? "less than 1" : Math.round(ms)} ms.`;
    say("success", how, { isQuiet });
  }
}

/** `retry(rows)` tries those again for which that may help. `note`: what else there is to say. */
export function tellMany(rows, retry, note = "") {
  const all = rows.length;
  const failed = rows.filter(({ status }) => status.problem);
  const problems = failed.map(({ status }) => status.problem);
  const hits = rows.filter((row) => !row.status.problem && answerOf(row).cache === "hit").length;
  const known = hits ? ` ${hits === all ? "All" : count(hits)} of them ${hits === 1 ? "was" : "were"} measured before: answered from the cache.` : "";
  if (!failed.length) return say("success", `${count(all)} images measured.${known}${note}`);
  const again = failed.filter(isRetryable);
  const action = again.length ? [`Retry ${count(again.length)}`, () => retry(again)] : null;
  if (failed.length < all) return say("partial", `${count(all - failed.length)} of ${count(all)} images measured; ${reasonsOf(problems)}.${note}`, { action });
  const sentences = new Set(problems.map(({ message }) => message));
  const why = sentences.size === 1 ? [...sentences][0] : `They are ${reasonsOf(problems)}.`;
  say("error", `None of the ${count(all)} images could be measured. ${why}`, { requestId: problems[0].requestId, action });
}

// ---- Progress -------------------------------------------------------------------------------------------------------

/** The message goes, and its place is kept for the progress, or, if that takes no time, for the next message. */
export function beginProgress(isQuiet) {
  empty();
  byId("message").classList.add("vacant");
  clearTimeout(progressTimer);
  progressTimer = setTimeout(() => {
    if (byId("message").classList.contains("vacant")) byId("message").hidden = true; // and not what was said since
    byId("progress").hidden = false;
    if (!isQuiet) byId("progress").scrollIntoView({ block: "nearest" });
  }, PROGRESS_AFTER_MS);
}

/** What is being done for one image, and the share of it that is done, 0 to 1, or null where that is not known. */
export function showStage(row, stage, share) {
  showBar(stage, share === null ? "" : `${Math.floor(share * 100)} % of ${size(row.size)}`, share);
}

export function showProgress({ rows: { length }, done }) {
  showBar(`Measuring ${count(length)} images…`, `${count(done)} done`, done / length);
}

function showBar(stage, figure, share) {
  const bar = byId("bar");
  write(byId("stage"), stage);
  byId("figure").textContent = figure;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

/** Take the progress away, and what is left of the message before it. Whoever stood on Cancel goes on at `next`. */
export function endProgress(next) {
  const hadFocus = byId("progress").contains(document.activeElement);
  clearTimeout(progressTimer);
  byId("progress").hidden = true;
  byId("stage").textContent = "";
  if (byId("message").classList.contains("vacant")) dismiss();
  if (hadFocus) next.focus({ preventScroll: true });
}
