// @ts-check
/**
 * Jobs: images that take longer than a request may. A job is begun with the ticket of an upload, and asked for until it
 * is done. The tab keeps it over a reload: which image it measures, and by its id how far it is.
 */

import { OPTIONS } from "./choices.js";
import { pathOf } from "./choosing.js";
import { keepJobs, openJobs } from "./rows.js";
import { endpoint, NoAnswer, post, Problem, readAnswer } from "./service.js";
import { wait } from "./dom.js";

// The service says when to ask again. This is for when nobody answers.
const LOST_PAUSE_MS = 5_000;
const IDLE_TIMEOUT_MS = 45_000;

/** Have the upload of `file` measured by a job with the options in `query`. `onStage` hears how far that is. */
export async function measureByJob(file, ticket, query, signal, onStage) {
  // How much of the measurement is shown is for the answer, not for the job.
  const asked = new URLSearchParams(query);
  asked.delete("detail");
  const address = endpoint("jobs") + (asked.size ? `?${asked}` : "");
  const { id } = readAnswer(await post(address, { ticket }, signal), isJob, "a job");
  const { size, lastModified: modified } = file;
  keepJobs([...openJobs().filter((job) => job.id !== id), { id, name: pathOf(file), size, modified }]);
  return follow(id, signal, onStage);
}

/** The measurement of a job, when it is done. Throws the Problem that came instead. */
export async function follow(id, signal, onStage) {
  signal.addEventListener("abort", () => forgetJob(id), { once: true });
  for (;;) {
    try {
      const job = await ask(id, signal);
      if (job.result) {
        forgetJob(id);
        return { ...job.result, cache: "job" };
      }
      onStage(...stageOf(job));
      await wait(job.pause, signal);
    } catch (problem) {
      signal.throwIfAborted();
      if (!(problem instanceof NoAnswer) && !problem.retryAfter) {
        forgetJob(id);
        throw problem;
      }
      // The job goes on meanwhile.
      onStage("Connection lost. Trying again…");
      await wait(LOST_PAUSE_MS, signal);
    }
  }
}

/** The options of a job, of which the page knows nothing more after a reload. */
export function optionsMeasured({ measurement }) {
  return Object.fromEntries(OPTIONS.filter((name) => measurement[name]).map((name) => [name, measurement[name]]));
}

/** Ask for this job no more. It goes on, and its result is in the cache. */
function forgetJob(id) {
  keepJobs(openJobs().filter((job) => job.id !== id));
}

function stageOf({ status, progress }) {
  if (status === "queued") return ["Waiting for a worker…"];
  if (progress?.step === "reading") return ["Opening…", progress.share];
  return ["Measuring. This may take minutes…"];
}

async function ask(id, signal) {
  let response;
  try {
    const timed = AbortSignal.any([signal, AbortSignal.timeout(IDLE_TIMEOUT_MS)]);
    response = await fetch(endpoint(`jobs/${id}?detail=full`), { signal: timed });
    const responseText = await response.text();
    const getResponseHeader = (name) => response.headers.get(name);
    const job = readAnswer({ status: response.status, responseText, getResponseHeader }, isJob, "a job");
    return { ...job, pause: (Number(getResponseHeader("Retry-After")) || 1) * 1_000 };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Problem) throw error;
    throw new NoAnswer("The service cannot be reached. Check the connection and try again.");
  }
}

function isJob({ id, status, result }) {
  return typeof id === "string" && (status === "queued" || status === "running" || status === "done") && (status !== "done" || result !== undefined);
}
