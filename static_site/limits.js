// @ts-check
/** What the service accepts, as it says itself, and whether a file is that. */

import { anyOf, cannotBeRead, formatOf, notMeasured } from "./format.js";
import { endpoint, Problem } from "./service.js";
import { count, quoted, size } from "./words.js";

const HEALTH_TIMEOUT_MS = 5_000;

/** Until /health has said it, or if it never does, the server is left to judge the size. */
export const limits = {
  inline: Infinity,
  upload: 0, // no direct uploads
  job: 0, // no jobs
  pixels: 0,
  formats: ["PNG", "JPEG"],
  mediaTypes: ["image/png", "image/jpeg"],
  suffixes: ["png", "jpg", "jpeg", "jpe", "jfif"],
};

/** @type {Promise<void> | null} */
let asked = null;

/** Ask for the limits, once; and again with the next run if there was no answer. */
export function loadLimits() {
  asked ??= askForLimits();
  return asked;
}

async function askForLimits() {
  try {
    const served = (await askForHealth()).limits;
    if (served.max_content_length > 0) limits.inline = served.max_content_length;
    if (served.max_upload_bytes > 0) limits.upload = served.max_upload_bytes;
    if (served.max_job_bytes > 0) limits.job = served.max_job_bytes;
    if (served.allowed_image_formats?.length) limits.formats = served.allowed_image_formats;
    if (served.media_types?.length) limits.mediaTypes = served.media_types;
    if (served.suffixes?.length) limits.suffixes = served.suffixes;
    limits.pixels = (limits.job ? served.max_job_pixels : limits.upload ? served.max_upload_pixels : served.max_image_pixels) || 0;
  } catch {
    asked = null; // not worth a message: the server checks everything itself, and says so
  }
}

/** What /health says; rejects if nobody answers. */
export async function askForHealth() {
  const response = await fetch(endpoint("health"), { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
  return response.json();
}

/** "PNG or JPEG, up to 100 MB and 200 megapixels", as far as it is known. */
export function limitsInWords() {
  const bytes = mostBytes();
  const parts = [Number.isFinite(bytes) && size(bytes), limits.pixels && `${count(limits.pixels / 1e6)} megapixels`];
  const most = parts.filter(Boolean).join(" and ");
  return anyOf(limits.formats) + (most ? `, up to ${most}` : "");
}

/** For a file input: what its dialog offers. Not every system knows the media type of every format. */
export function offered() {
  return [...limits.mediaTypes, ...limits.suffixes.map((suffix) => `.${suffix}`)].join(",");
}

/** Whether a file is named like an image that is measured. */
export function looksLikeAnImage(name) {
  return limits.suffixes.includes(name.slice(name.lastIndexOf(".") + 1).toLowerCase());
}

/** A file's format; throws what is wrong with it. */
export async function check(file) {
  if (file.isUnreadable) throw cannotBeRead(file);
  if (file.size === 0) throw new Problem(`${quoted(file.name)} is empty.`, { code: "empty_file" });
  const format = await formatOf(file);
  if (!limits.formats.includes(format)) await loadLimits(); // chosen before they were there
  if (!limits.formats.includes(format)) throw notMeasured(file, format, limits.formats);
  if (file.size > mostBytes()) {
    const sentence = `${quoted(file.name)} is too large: it has ${count(file.size)} bytes, the limit is ${count(mostBytes())}.`;
    throw new Problem(sentence, { code: "file_too_large" });
  }
  return format;
}

function mostBytes() {
  return Math.max(limits.inline, limits.upload, limits.job);
}
