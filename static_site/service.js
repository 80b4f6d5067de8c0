// @ts-check
/** How the page talks to the service: one kind of request, what answers mean, and what to say when there is none. */

import { find } from "./dom.js";
import { session } from "./storage.js";

/** Where the API key is kept, if there is one (key.js). */
export const KEY_STORED = "api-key";
// How long nothing may happen: no byte sent, no answer. Not the whole request, which takes minutes on a slow line.
// API Gateway gives up after 29 s, so more than that is never its answer.
const IDLE_TIMEOUT_MS = 45_000;
// These say nothing against the image: the service refuses the client, or has no time now.
const OF_CLIENT = [401, 403, 408, 429];
/** What an upload or a job may be able to do. */
export const TOO_MUCH_FOR_A_REQUEST = ["too_many_pixels", "processor_timeout"];

/** Something to tell the user, in a sentence. */
export class Problem extends Error {
  /**
   * @param {string} message
   * @param {{ code?: string | null, requestId?: string | null, status?: number | null, retryAfter?: number | null }} more
   */
  constructor(message, { code = null, requestId = null, status = null, retryAfter = null } = {}) {
    super(message);
    this.code = code;
    this.requestId = requestId;
    this.status = status;
    this.retryAfter = retryAfter; // seconds, if the service said when to try again
    /** Whether the image itself is at fault: to send it again would not help. */
    this.isOfImage = status ? status >= 400 && status < 500 && !OF_CLIENT.includes(status) : Boolean(code);
  }

  /** What a reload keeps of it. */
  get kept() {
    return { message: this.message, code: this.code, requestId: this.requestId, isOfImage: this.isOfImage };
  }
}

/** Nobody answered: what may help is to try again. */
export class NoAnswer extends Problem {}

/** The address of an API path: beside this page, or where <meta name="api-base"> says. */
export function endpoint(path) {
  const base = find('meta[name="api-base"]').getAttribute("content").trim();
  return new URL(path, base ? new URL(base.replace(/\/*$/, "/"), document.baseURI) : document.baseURI).href;
}

/** POST a form to the storage, as below. It never gets the API key. */
export function postToStorage(url, form, signal, onSent) {
  return send(url, form, {}, signal, onSent);
}

/**
 * POST a form, or anything else as JSON, to the service; resolves to the finished request whatever its status. `onSent`
 * hears the share that has left, 0 to 1. With the API key, where the service wants one.
 */
export async function post(url, content, signal, onSent = () => {}) {
  const sendWith = (headers) => send(url, content, headers, signal, onSent);
  let refused = null;
  if (!knowsKey()) {
    refused = await sendWith({});
    if (!wantsKey(refused)) return refused;
  }
  keys ??= await load(() => import("./key.js"));
  return keys.withKey(sendWith, signal, refused);
}

/** What asks for a key and sends it, from the first request on that wants one: most services want none. */
/** @type {any} */
let keys = null;

function knowsKey() {
  return Boolean(keys || session.get(KEY_STORED));
}

/** A firewall answers 403 as well, but asks for nothing (RFC 9110, section 11.6.1). */
export function wantsKey(request) {
  return request.status === 403 && /^ApiKey\b/i.test(request.getResponseHeader("WWW-Authenticate") ?? "");
}

/** A part of this page that is loaded when it is first needed. `part` imports it. */
export async function load(part) {
  try {
    return await part();
  } catch {
    throw new NoAnswer("A part of this page cannot be reached. Check the connection and reload the page.");
  }
}

/** Send one request, with these headers. (fetch could not report what has left.) */
function send(url, content, headers, signal, onSent) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    let timer;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        reject(new NoAnswer("The service did not answer in time. Try again in a moment."));
        request.abort();
      }, IDLE_TIMEOUT_MS);
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
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
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

/** The JSON in an answer, or null: proxies and portals answer HTML, with any status. */
export function jsonOf(request) {
  try {
    return JSON.parse(request.responseText);
  } catch {
    return null;
  }
}

/** The JSON in an answer if it is what was asked for, or else the Problem that it is. */
export function readAnswer(request, isRight, what) {
  const body = jsonOf(request);
  const requestId = body?.request_id ?? request.getResponseHeader("X-Request-ID");
  if (request.status < 300 && body && isRight(body)) return { ...body, request_id: requestId };
  const { status } = request;
  // Only these have it. To ask for a header that another origin does not show is an error in the browser's console.
  const mayHave = status === 429 || status === 503;
  const retryAfter = (mayHave && Number(request.getResponseHeader("Retry-After"))) || null;
  throw new Problem(explanation(request, body, what), { code: body?.code, requestId, status, retryAfter });
}

function explanation(request, body, what) {
  for (const sentence of [body?.detail, body?.title]) {
    if (typeof sentence === "string" && sentence) return sentence;
  }
  if (request.status < 400) return `The answer was not ${what}. Is this the Image Intensity Service's address?`;
  if (request.status === 401 || request.status === 403) return `The service refuses this page (HTTP ${request.status}).`;
  if (request.status === 429) return "Too many requests. Try again in a moment (HTTP 429).";
  if (request.status === 413) return "The file is too large for the service (HTTP 413).";
  return `The service failed without an explanation (HTTP ${request.status}). Try again in a moment.`;
}
