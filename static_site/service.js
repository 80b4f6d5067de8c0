/** How the page talks to the service: one kind of request, what answers mean, and what to say when there is none. */

// How long nothing may happen: no byte sent, no answer. Not the whole request, which takes minutes on a slow line.
// API Gateway gives up after 29 s, so more than that is never its answer.
const PATIENCE_MS = 45_000;

/** Something to tell the user, in a sentence. */
export class Problem extends Error {
  constructor(message, { code = null, requestId = null } = {}) {
    super(message);
    this.code = code;
    this.requestId = requestId;
  }
}

/** Nobody answered: what may help is to try again. */
export class NoAnswer extends Problem {}

/** The address of an API path: beside this page, or where <meta name="api-base"> says. */
export function endpoint(path) {
  const base = document.querySelector('meta[name="api-base"]').content.trim();
  return new URL(path, base ? new URL(base.replace(/\/*$/, "/"), document.baseURI) : document.baseURI).href;
}

/**
 * POST a form, or anything else as JSON; resolves to the finished request whatever its status. `onSent` hears the share
 * that has left, 0 to 1. (fetch could not report it.)
 */
export function post(url, content, signal, onSent) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    let timer;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        reject(new NoAnswer("The service did not answer in time. Try again in a moment."));
        request.abort();
      }, PATIENCE_MS);
    };
    request.upload.onprogress = (event) => { wait(); onSent?.(event.loaded / event.total); };
    request.upload.onload = () => { wait(); onSent?.(1); };
    request.onload = () => resolve(request);
    request.onerror = () => reject(new NoAnswer("The service cannot be reached. Check the connection and try again."));
    request.onabort = () => reject(signal.reason);
    request.onloadend = () => clearTimeout(timer);
    signal.addEventListener("abort", () => request.abort());

    request.open("POST", url);
    request.setRequestHeader("Accept", "application/json, application/problem+json");
    const isForm = content instanceof FormData;
    if (!isForm) request.setRequestHeader("Content-Type", "application/json");
    wait();
    request.send(isForm ? content : JSON.stringify(content));
  });
}

/** The measurement in an answer, or the Problem that it is. */
export function readMeasurement(request) {
  const isMeasurement = (body) => Number.isFinite(body.average_intensity) && Array.isArray(body.image_size);
  const answer = readAnswer(request, isMeasurement, "a measurement");
  return { ...answer, cache: request.getResponseHeader("X-Cache") };
}

/** The JSON in an answer if it is what was asked for, or else the Problem that it is. */
export function readAnswer(request, isRight, what) {
  let body = null;
  try {
    body = JSON.parse(request.responseText);
  } catch {
    // Proxies and portals answer HTML, with any status.
  }
  const requestId = body?.request_id ?? request.getResponseHeader("X-Request-ID");
  if (request.status < 300 && body && isRight(body)) return { ...body, request_id: requestId };
  throw new Problem(explanation(request, body, what), { code: body?.code, requestId });
}

function explanation(request, body, what) {
  for (const sentence of [body?.detail, body?.title]) {
    if (typeof sentence === "string" && sentence) return sentence;
  }
  if (request.status < 400) return `The answer was not ${what}. Is this the Image Intensity Service's address?`;
  if (request.status === 413) return "The file is too large for the service (HTTP 413).";
  return `The service failed without an explanation (HTTP ${request.status}). Try again in a moment.`;
}
