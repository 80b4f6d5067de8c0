/** How images come onto the page (chosen, with their folder, dropped, pasted, or a sample), and what the service accepts. */

import { say } from "./message.js";
import { endpoint, Problem } from "./service.js";
import { count, plural, quoted, size } from "./words.js";

const SIGNATURES = { PNG: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], JPEG: [0xff, 0xd8, 0xff] };
const LOOKS_LIKE_AN_IMAGE = /\.(png|jpe?g|jpe|jfif)$/i;
const HEALTH_TIMEOUT_MS = 5_000;
const PART_BYTES = 65_536;
const byName = new Intl.Collator("en", { numeric: true });
const byId = (id) => document.getElementById(id);

/** Until /health has said it, or if it never does, the server is left to judge the size. */
export const limits = { inline: Infinity, upload: 0 /* no direct uploads */, job: 0 /* no jobs */, formats: Object.keys(SIGNATURES), pixels: 0 };

let asked = null;

/** Ask for the limits, once; and again with the next run if there was no answer. */
export function loadLimits() {
  asked ??= askForLimits();
  return asked;
}

async function askForLimits() {
  try {
    const response = await fetch(endpoint("health"), { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    const served = (await response.json()).limits;
    if (served.max_content_length > 0) limits.inline = served.max_content_length;
    if (served.max_upload_bytes > 0) limits.upload = served.max_upload_bytes;
    if (served.max_job_bytes > 0) limits.job = served.max_job_bytes;
    if (served.allowed_image_formats?.length) limits.formats = served.allowed_image_formats;
    limits.pixels = (limits.job ? served.max_job_pixels : limits.upload ? served.max_upload_pixels : served.max_image_pixels) || 0;
  } catch {
    asked = null; // not worth a message: the server checks everything itself, and says so
  }
}

/** "PNG or JPEG, up to 100 MB and 200 megapixels", as far as it is known. */
export function limitsInWords() {
  const bytes = Math.max(limits.inline, limits.upload, limits.job);
  const parts = [Number.isFinite(bytes) && size(bytes), limits.pixels && `${count(limits.pixels / 1e6)} megapixels`];
  const most = parts.filter(Boolean).join(" and ");
  return limits.formats.join(" or ") + (most ? `, up to ${most}` : "");
}

/** A file's format; throws what is wrong with it. Its content decides: a name or a declared type proves nothing. */
export async function check(file) {
  const name = quoted(file.name);
  if (file.isUnreadable) throw cannotBeRead(file);
  if (file.size === 0) throw new Problem(`${name} is empty.`, { code: "empty_file" });
  const format = await formatOf(file);
  if (!limits.formats.includes(format)) {
    const formats = limits.formats.join(" or ");
    throw new Problem(`${name} is not a ${formats} image, whatever its name says.`, { code: "unsupported_format" });
  }
  const limit = Math.max(limits.inline, limits.upload, limits.job);
  if (file.size > limit) {
    const sentence = `${name} is too large: it has ${count(file.size)} bytes, the limit is ${count(limit)}.`;
    throw new Problem(sentence, { code: "file_too_large" });
  }
  return format;
}

async function formatOf(file) {
  const start = await read(file, 0, 8);
  return Object.keys(SIGNATURES).find((format) => SIGNATURES[format].every((byte, index) => start[index] === byte));
}

/** Some bytes of a file, or the Problem that there are none: a folder, no permission, changed or removed meanwhile. */
export async function read(file, start, end) {
  try {
    return new Uint8Array(await file.slice(start, end).arrayBuffer());
  } catch {
    throw cannotBeRead(file);
  }
}

/** Whether two files of one size begin and end alike. A PNG ends with checksums; to read gigabytes again would take too long. */
export async function areAlike(one, other) {
  try {
    for (const start of new Set([0, Math.max(0, one.size - PART_BYTES)])) {
      const [part, same] = await Promise.all([one, other].map((file) => read(file, start, start + PART_BYTES)));
      if (part.some((byte, place) => byte !== same[place])) return false;
    }
    return true;
  } catch {
    return false;
  }
}

function cannotBeRead({ name }) {
  return new Problem(`${quoted(name)} cannot be read. If it was changed or moved, choose it again.`, { code: "file_unreadable" });
}

// ---- Choosing -------------------------------------------------------------------------------------------------------

let pasted = 0;

/** `choose(files, { thenMeasure })` gets what is chosen, in whichever way. */
export function startChoosing(choose) {
  const found = (search) => chooseFound(search, choose);
  byId("file").addEventListener("change", ({ target }) => choose([...target.files]));
  byId("folder").addEventListener("change", ({ target }) => found(onlyImages([...target.files])));
  // The same file chosen again fires no "change", though it may have been edited: forget it when the dialog opens.
  for (const id of ["file", "folder"]) byId(id).addEventListener("click", ({ target }) => { target.value = ""; });
  for (const sample of document.querySelectorAll("[data-sample]")) {
    sample.addEventListener("click", () => trySample(sample.dataset.sample, choose));
  }
  document.addEventListener("paste", (event) => paste(event, choose));
  acceptDrops(found);
}

async function chooseFound({ files, leftOut }, choose) {
  if (!files.length) return say("error", "There is no PNG or JPEG in the folder.");
  const chosen = await choose(files);
  if (chosen && leftOut) say("info", `${plural(chosen, "image")} chosen; ${plural(leftOut, "other file")} left out.`);
}

async function trySample(name, choose) {
  try {
    const response = await fetch(`samples/${name}`);
    if (!response.ok) throw new Error(response.statusText);
    const blob = await response.blob();
    await choose([new File([blob], name, { type: blob.type, lastModified: 0 })], { thenMeasure: true });
  } catch {
    say("error", `The sample ${quoted(name)} cannot be loaded. Check the connection and try again.`);
  }
}

/** The images in the clipboard. Browsers call each of them image.png, so they are numbered. */
function paste({ clipboardData, target }, choose) {
  const files = [...clipboardData.files].map((file) => {
    if (file.name !== "image.png") return file;
    pasted += 1;
    return new File([file], `pasted-${pasted}.png`, { type: file.type });
  });
  if (files.length) choose(files);
  else if (!target.closest("input, select, textarea")) say("info", "There is no image in the clipboard. Copy an image, not its address.");
}

function acceptDrops(found) {
  const highlight = (on) => document.body.classList.toggle("dropping", on);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  // The whole window accepts: beside a smaller target the browser would leave the page and open the file.
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    highlight(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget || highlight(false));
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    highlight(false);
    found(await dropped(event.dataTransfer));
  });
}

/**
 * The files of a drop, those in its folders too. Of a folder, only what is named like an image is taken: other files lie
 * there by chance. What was dropped itself is taken whatever its name, since someone meant it.
 */
async function dropped(transfer) {
  // Before anything is awaited: after that, the browser has emptied the transfer.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return { files: [...transfer.files], leftOut: 0 };
  const found = await Promise.all(entries.map((entry) => (entry.isDirectory ? inFolder(entry) : [fileOf(entry, { isMeant: true })])));
  return onlyImages(await Promise.all(found.flat()));
}

/** A file's name with its folders, if it came in one: two cameras name their pictures alike. */
export function pathOf(file) {
  return file.path ?? (file.webkitRelativePath || file.name);
}

/** What is named like an image, and how many other files there were. */
function onlyImages(files) {
  const images = files.filter(({ isMeant, name }) => isMeant || LOOKS_LIKE_AN_IMAGE.test(name));
  return { files: images.sort((one, other) => byName.compare(pathOf(one), pathOf(other))), leftOut: files.length - images.length };
}

async function inFolder(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    // A browser hands out about a hundred at a time, and none at the end.
    const entries = await new Promise((resolve) => reader.readEntries(resolve, () => resolve(null)));
    if (!entries) return [...found, unreadable(folder, { isMeant: true })]; // whatever its name, images may be missing
    if (!entries.length) return found;
    for (const entry of entries) found.push(...(entry.isDirectory ? await inFolder(entry) : [fileOf(entry)]));
  }
}

function fileOf(entry, more) {
  const path = entry.fullPath.slice(1);
  return new Promise((resolve) => {
    entry.file((file) => resolve(Object.assign(file, { path, ...more })), () => resolve(unreadable(entry, more)));
  });
}

/** What stands in the list for a file or folder that cannot be read. */
function unreadable({ name, fullPath }, more) {
  return Object.assign(new File([], name), { path: fullPath.slice(1), isUnreadable: true, ...more });
}
