/**
 * What is being done, and what was done or went wrong.
 *
 * Only the sentence of a message is a live region. So a screen reader reads the sentence, and neither the button nor the
 * whole result.
 */

import { count, quoted, size } from "./words.js";

const byId = (id) => document.getElementById(id);
const SIGNS = { success: "✓", partial: "⚠", error: "✕", info: "i" };

/** Show a sentence. Kinds: success, info, partial (some of it failed), error. */
export function say(kind, sentence, requestId = null) {
  const box = byId("message");
  box.className = `message ${kind}`;
  box.hidden = false;
  byId("message-sign").textContent = SIGNS[kind];
  // An error is read at once, the rest when the reader has come to the end of its sentence.
  byId("alert").textContent = kind === "error" ? sentence : "";
  byId("said").textContent = kind === "error" ? "" : sentence;
  byId("message-request").hidden = !requestId;
  byId("message-request-id").textContent = requestId ?? "";
  box.scrollIntoView({ block: "nearest" });
}

/** Take the message away. Whoever stood on its button goes on at `next`. */
export function dismiss(next = null) {
  const box = byId("message");
  const hadFocus = box.contains(document.activeElement);
  box.hidden = true;
  byId("alert").textContent = "";
  byId("said").textContent = "";
  if (hadFocus) next?.focus();
}

// ---- What became of a run -------------------------------------------------------------------------------------------

export function tellOne({ name, file, problem, answer }) {
  if (problem) {
    const named = problem.message.includes(quoted(file?.name ?? name));
    say("error", named ? problem.message : `${quoted(name)} could not be measured. ${problem.message}`, problem.requestId);
  } else {
    const how = answer.cache === "hit"
      ? "Already measured before: answered from the cache."
      : `Measured in ${answer.duration_ms < 1 ? "less than 1" : Math.round(answer.duration_ms)} ms.`;
    say("success", `${quoted(name)}: average intensity ${answer.average_intensity.toFixed(2)}. ${how}`);
  }
}

export function tellMany(rows) {
  const all = rows.length;
  const failed = rows.filter(({ problem }) => problem);
  const hits = rows.filter(({ problem, answer }) => !problem && answer.cache === "hit").length;
  const known = hits ? ` ${hits === all ? "All" : count(hits)} of them ${hits === 1 ? "was" : "were"} measured before: answered from the cache.` : "";
  if (!failed.length) return say("success", `${count(all)} images measured.${known}`);
  if (failed.length < all) {
    say("partial", `${count(all - failed.length)} of ${count(all)} images measured, ${count(failed.length)} failed: see the list.`);
  } else {
    const reasons = new Set(failed.map(({ problem }) => problem.message));
    const why = reasons.size === 1 ? [...reasons][0] : "See the list.";
    say("error", `None of the ${count(all)} images could be measured. ${why}`, failed[0].problem.requestId);
  }
}

// ---- Progress -------------------------------------------------------------------------------------------------------

/** What is being done for one image, and the share of it that is done, 0 to 1, or null where that is not known. */
export function showStage(row, stage, share) {
  write(stage, share === null ? "" : `${Math.floor(share * 100)} % of ${size(row.size)}`, share);
}

export function showProgress({ rows: { length }, done }) {
  write(`Measuring ${count(length)} images…`, `${count(done)} done`, done / length);
}

function write(stage, figure, share) {
  const bar = byId("bar");
  byId("progress").hidden = false;
  // Screen readers read the stage when it changes: only then is it written.
  if (byId("stage").textContent !== stage) byId("stage").textContent = stage;
  byId("figure").textContent = figure;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

/** Take the progress away. Whoever stood on Cancel goes on at `next`. */
export function endProgress(next) {
  const hadFocus = byId("progress").contains(document.activeElement);
  byId("progress").hidden = true;
  byId("stage").textContent = "";
  if (hadFocus) next.focus({ preventScroll: true });
}
