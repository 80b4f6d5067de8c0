// @ts-check
/**
 * Direct uploads, for files that are too large for one request to the service: it signs a form, the file goes to the
 * storage by it, and the service measures it there.
 *
 * The form is good for one SHA-256 only, and the measurement is of what has it. So a file that changes on its way ends
 * in a refusal; and what was measured before, whoever sent it, is not sent again.
 */

import { read } from "./format.js";
import { measureByJob } from "./jobs.js";
import { askForHealth, limits } from "./limits.js";
import { endpoint, jsonOf, NoAnswer, post, postToStorage, Problem, readAnswer, readMeasurement, TOO_MUCH_FOR_A_REQUEST } from "./service.js";
// The browser's own crypto.subtle takes the whole file at once, and is not there on plain http.
import { sha256 } from "./vendor/noble-hashes-2.4.0/sha2.js";
import { wait } from "./dom.js";
import { quoted } from "./words.js";

// About 10 ms of hashing; in between the page answers to its user.
const CHUNK_BYTES = 512 * 1024;
// After a lost connection. Between them, and for as long as the browser knows that it is offline, nothing is tried.
const PAUSES_MS = [1_000, 2_000, 4_000, 8_000];
const FORM_EXPIRED = "form_expired";
// What was signed or stored is no longer good for anything: a new form and ticket are.
const OUTDATED = [FORM_EXPIRED, "expired_ticket", "upload_missing"];
// S3's names for content that is not what the form was signed for.
const OTHER_CONTENT = ["BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "EntityTooLarge", "EntityTooSmall"];

/** The service answers, and the storage does not. */
class NoStorage extends NoAnswer {
  constructor(url) {
    const { host } = new URL(url, document.baseURI);
    super(`Large images go to a storage at ${host}, which cannot be reached, although the service can. A firewall, an extension of the browser, or the settings of the storage (CORS) may block it.`);
  }
}

/**
 * Upload `file` if the service does not know its content, and have it measured with the options in `query`. `onStage`
 * hears what is being done and, where that is known, the share of it that is done (0 to 1).
 */
export async function measureByUpload(file, contentType, query, signal, onStage) {
  const persist = (step) => untilAnswered(step, file, signal, onStage);
  const sha256 = await hash(file, signal, onStage);
  const announcement = { filename: file.name, size: file.size, content_type: contentType, sha256 };

  async function measure() {
    // Not repeated: while nothing is on its way, nothing is lost, and who is offline hears it at once.
    const slot = await announce(announcement, signal);
    if (!slot.known) {
      onStage("Uploading…", 0);
      await persist(() => store(file, slot, signal, onStage));
    }
    onStage("Measuring…");
    const byJob = () => persist(() => measureByJob(file, slot.ticket, query, signal, onStage));
    if (file.size > limits.upload) return byJob();
    try {
      return await persist(() => measureStored(slot.ticket, query, signal, onStage));
    } catch (problem) {
      // A job has more time and memory. The ticket is good for it, too.
      if (!limits.job || !TOO_MUCH_FOR_A_REQUEST.includes(problem.code)) throw problem;
      return byJob();
    }
  }

  try {
    return await measure();
  } catch (problem) {
    // Where the storage looks at no checksum, the service does.
    if (problem.code === "upload_mismatch") throw otherContent(file, problem.requestId);
    if (!OUTDATED.includes(problem.code)) throw problem;
    return measure(); // once more, from a new form on
  }
}

async function hash(file, signal, onStage) {
  const state = sha256.create();
  for (let start = 0; start < file.size; start += CHUNK_BYTES) {
    const end = Math.min(start + CHUNK_BYTES, file.size);
    state.update(await read(file, start, end));
    signal.throwIfAborted();
    onStage("Reading…", end / file.size);
  }
  return Array.from(state.digest(), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function announce(announcement, signal) {
  const isSlot = ({ known, ticket, url, fields }) => typeof ticket === "string" && (known || (url && fields));
  return readAnswer(await post(endpoint("uploads"), announcement, signal), isSlot, "an upload form");
}

async function store(file, { url, fields, request_id: requestId }, signal, onStage) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file); // the last one: S3 takes no notice of what comes after it
  let isSending = false;
  const showSent = (sent) => {
    isSending ||= sent > 0;
    onStage("Uploading…", sent);
  };
  const request = await postToStorage(url, form, signal, showSent).catch(async (problem) => {
    if (!isSending && problem instanceof NoAnswer && await isAnswering()) throw new NoStorage(url);
    throw problem;
  });
  if (request.status >= 300) throw refusal(request, file, requestId);
}

/** Whether the service can be reached. */
function isAnswering() {
  return askForHealth().then(() => true, () => false);
}

/** What the storage has against an upload: on one machine the JSON of the service, else an XML document, in which all but the code is for programmers. */
function refusal(request, file, requestId) {
  const own = jsonOf(request);
  if (own?.code === "upload_mismatch") return otherContent(file, own.request_id);
  if (own?.detail) return new Problem(own.detail, { code: own.code === "forbidden" ? FORM_EXPIRED : own.code, requestId: own.request_id, status: request.status });
  // Not by DOMParser: to what is no XML, Chromium adds a message with an inline style, which the policy forbids.
  const text = (name) => request.responseText.match(new RegExp(`<${name}>([^<]*)</${name}>`))?.[1] ?? "";
  const [code, message] = ["Code", "Message"].map(text);
  const reason = [`HTTP ${request.status}`, code].filter(Boolean).join(", ");
  const sentence = `The storage did not accept the upload (${reason}). Try again in a moment.`;
  if (code === "RequestTimeout") return new NoAnswer(sentence); // it is us that it did not hear from
  if (OTHER_CONTENT.includes(code) || (code === "InvalidRequest" && /checksum/i.test(message))) {
    return otherContent(file, requestId);
  }
  // The form's own hour, or that of the credentials which signed it.
  const expired = code === "ExpiredToken" || (code === "AccessDenied" && /expired/i.test(message));
  return new Problem(sentence, expired ? { code: FORM_EXPIRED, status: 403, requestId } : { requestId });
}

function otherContent(file, requestId) {
  return new Problem(`${quoted(file.name)} was changed while it was sent. Choose it again.`, { requestId });
}

async function measureStored(ticket, query, signal, onStage) {
  // Not before it is sent: after a lost connection, it is not known to be back until then.
  const request = await post(endpoint("intensity") + query, { ticket }, signal, () => onStage("Measuring…"));
  return readMeasurement(request);
}

/** Do `step` until somebody answers. Whenever nobody does, wait a little longer; four times, or once if only the storage is silent. */
async function untilAnswered(step, file, signal, onStage) {
  let wasSilent = false;
  for (const pause of [...PAUSES_MS, null]) {
    try {
      return await step();
    } catch (problem) {
      if (!(problem instanceof NoAnswer) || pause === null) throw problem;
      const isSilent = problem instanceof NoStorage;
      if (isSilent && wasSilent) throw problem;
      wasSilent = isSilent;
    }
    await read(file, 0, 1); // a file that changes while it is sent breaks the connection too
    signal.throwIfAborted();
    onStage("Connection lost. Trying again…");
    await wait(pause, signal);
    if (!navigator.onLine) await online(signal);
  }
  return undefined;
}

function online(signal) {
  return new Promise((resolve, reject) => {
    addEventListener("online", resolve, { once: true, signal });
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}
