/**
 * The page: choose an image, look at it, ask the service for its average intensity.
 *
 * One rule keeps a number from ever standing beside the wrong picture: every chosen file has one AbortController.
 * Choosing another file, Clear or Cancel aborts it, and whatever was under way for the file (a check, an upload, an
 * answer) ends there.
 */

import { endpoint, post, Problem, readMeasurement } from "./service.js";
import { measureByUpload, read } from "./upload.js";

const SIGNATURES = { PNG: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], JPEG: [0xff, 0xd8, 0xff] };
const HEALTH_TIMEOUT_MS = 5_000;
const CHOOSE = "Choose image file";

const CACHE = {
  hit: "hit (answered from the cache)",
  miss: "miss (measured now)",
  bypass: "bypass (measured now, no cache in use)",
};

const byId = (id) => document.getElementById(id);
const form = byId("form");
const input = byId("file");
const analyzeButton = byId("analyze");
const cancelButton = byId("cancel");
const alertBox = byId("alert");

/** What the server accepts. Until /health has said so, or if it never does, the server is left to judge the size. */
const limits = { inline: Infinity, upload: 0 /* no direct uploads */, formats: Object.keys(SIGNATURES) };

/** The file on screen: { file, url, abort, face }, or null. `face` is what Cancel goes back to. */
let chosen = null;

start();

function start() {
  input.addEventListener("change", () => input.files[0] && choose(input.files[0]));
  // The same file chosen again fires no "change", though it may have been edited: forget it when the dialog opens.
  input.addEventListener("click", () => { input.value = ""; });
  form.addEventListener("submit", (event) => { event.preventDefault(); analyze(); });
  form.addEventListener("reset", forget);
  cancelButton.addEventListener("click", cancel);
  byId("dismiss").addEventListener("click", dismissAlert);
  document.addEventListener("keydown", (event) => event.key === "Escape" && dismissAlert());
  acceptDrops();
  for (const link of document.querySelectorAll("a[data-api]")) link.href = endpoint(link.getAttribute("href"));
  loadLimits();
}

async function loadLimits() {
  try {
    const response = await fetch(endpoint("health"), { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    const served = (await response.json()).limits;
    if (served.max_content_length > 0) limits.inline = served.max_content_length;
    if (served.max_upload_bytes > 0) limits.upload = served.max_upload_bytes;
    if (served.allowed_image_formats?.length) limits.formats = served.allowed_image_formats;
  } catch {
    // Not worth an alert: the server checks everything itself, and says so.
  }
}

// ---- Choosing -------------------------------------------------------------------------------------------------------

async function choose(file) {
  forget();
  const choice = { file, url: null, abort: new AbortController(), face: "hint" };
  const { signal } = choice.abort;
  chosen = choice;
  try {
    await check(file);
    if (!signal.aborted) showChoice(choice);
  } catch (problem) {
    if (signal.aborted) return;
    form.reset();
    showAlert(problem);
  }
}

/** A file's format; throws what is wrong with it. Its content decides: a name or a declared type proves nothing. */
async function check(file) {
  if (file.size === 0) throw new Problem(`“${file.name}” is empty.`);
  const format = await formatOf(file);
  if (!limits.formats.includes(format)) {
    throw new Problem(`“${file.name}” is not a ${limits.formats.join(" or ")} image, whatever its name says.`);
  }
  const limit = Math.max(limits.inline, limits.upload);
  if (file.size > limit) {
    throw new Problem(`“${file.name}” is too large: it has ${count(file.size)} bytes, the limit is ${count(limit)}.`);
  }
  return format;
}

async function formatOf(file) {
  const start = await read(file, 0, 8);
  return Object.keys(SIGNATURES).find((format) => SIGNATURES[format].every((byte, index) => start[index] === byte));
}

function acceptDrops() {
  const highlight = (on) => document.body.classList.toggle("dropping", on);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  // The whole window accepts: beside a smaller target the browser would leave the page and open the file.
  window.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    highlight(true);
  });
  window.addEventListener("dragleave", (event) => event.relatedTarget || highlight(false));
  window.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    highlight(false);
    const { files } = event.dataTransfer;
    if (files.length !== 1) return showAlert(new Problem("Drop one image file at a time."));
    input.files = files;
    choose(files[0]);
  });
}

/** Back to the start: abort what is under way, and show nothing of the last file. */
function forget() {
  chosen?.abort.abort();
  if (chosen?.url) URL.revokeObjectURL(chosen.url);
  chosen = null;
  showName(null);
  byId("picture").replaceChildren();
  byId("no-preview").hidden = true;
  byId("preview-hint").hidden = false;
  showOnly("hint");
  analyzeButton.disabled = true;
  dismissAlert();
}

// ---- Measuring ------------------------------------------------------------------------------------------------------

async function analyze() {
  // Disabled at once and for as long as the request runs: a second click finds nothing to start.
  if (analyzeButton.disabled) return;
  const choice = chosen;
  const { signal } = choice.abort;
  const hadFocus = document.activeElement === analyzeButton;
  analyzeButton.disabled = true;
  dismissAlert();
  try {
    const answer = await measure(choice.file, signal);
    if (signal.aborted) return;
    choice.face = "result";
    showResult(answer);
  } catch (problem) {
    if (signal.aborted) return;
    choice.face = "hint";
    showOnly("hint");
    showAlert(problem);
  }
  analyzeButton.disabled = false;
  // Disabling it took the focus away, and so does hiding Cancel: who works by keyboard would start again at the top.
  const { activeElement } = document;
  if (activeElement === cancelButton || (hadFocus && activeElement === document.body)) analyzeButton.focus();
}

async function measure(file, signal) {
  const isLarge = file.size > limits.inline;
  showStage(isLarge ? "Reading…" : "Uploading…", 0);
  const format = await check(file); // again: the limits may have arrived meanwhile, and the file may have changed
  signal.throwIfAborted();
  if (isLarge) return measureByUpload(file, `image/${format.toLowerCase()}`, signal, showStage);
  const form = new FormData();
  form.append("image", file);
  const showSent = (sent) => (sent < 1 ? showStage("Uploading…", sent) : showStage("Measuring…"));
  return readMeasurement(await post(endpoint("intensity"), form, signal, showSent));
}

/** Back to before Analyze: the file stays chosen, and so does what was measured of it. */
function cancel() {
  chosen.abort.abort();
  chosen.abort = new AbortController();
  showOnly(chosen.face);
  analyzeButton.disabled = false;
  analyzeButton.focus();
}

// ---- Showing --------------------------------------------------------------------------------------------------------

function showChoice(choice) {
  choice.url = URL.createObjectURL(choice.file);
  // A new element for every file, so that a late "error" of the last one cannot speak about this one.
  const picture = new Image();
  picture.alt = `Preview of ${choice.file.name}`;
  picture.draggable = false; // dropping it on the page would choose it again
  picture.addEventListener("error", () => {
    if (choice.abort.signal.aborted) return;
    picture.remove(); // CMYK, 16 bits, too many pixels, damage: the server decides, not the browser
    byId("no-preview").hidden = false;
  });
  picture.src = choice.url;
  byId("picture").replaceChildren(picture);
  byId("preview-hint").hidden = true;
  showName(choice.file.name);
  analyzeButton.disabled = false;
}

/** The visible label is the file's name; what it is for stays part of the accessible name. */
function showName(name) {
  byId("file-name").textContent = name ?? CHOOSE;
  input.setAttribute("aria-label", name ? `${CHOOSE}, chosen: ${name}` : CHOOSE);
}

/** What is being done, and the share of it that is done, 0 to 1, where that is known. */
function showStage(stage, share = null) {
  const bar = byId("bar");
  // Screen readers read the stage when it changes: only then is it written.
  if (byId("stage").textContent !== stage) byId("stage").textContent = stage;
  byId("percent").textContent = share === null ? "" : `${Math.floor(share * 100)} %`;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
  if (!byId("progress").hidden) return;
  showOnly("progress");
  // On a phone it is below the picture. In Chromium, the Tab key goes on from here too: to Cancel.
  byId("progress").scrollIntoView({ block: "nearest" });
}

function showResult(answer) {
  const value = answer.average_intensity;
  const [width, height] = answer.image_size;
  const fields = {
    rounded: value.toFixed(2),
    exact: String(value),
    filename: answer.filename,
    dimensions: `${width} × ${height} (${count(answer.pixel_count)} pixels)`,
    bytes: `${count(answer.image_size_bytes)} bytes`,
    mode: answer.original_mode,
    duration: `${answer.duration_ms} ms`,
    cache: CACHE[answer.cache] ?? "unknown",
    request: answer.request_id,
  };
  for (const [field, text] of Object.entries(fields)) {
    document.querySelector(`[data-field="${field}"]`).textContent = text;
  }
  // Set by script, one property at a time: that is what a strict Content-Security-Policy allows.
  byId("swatch").style.backgroundColor = `rgb(${value} ${value} ${value})`;
  byId("marker").style.left = `${(value / 255) * 100}%`;
  showOnly("result");
  document.querySelector(".answer").scrollIntoView({ block: "nearest" });
}

/** One of the three faces of the result panel. */
function showOnly(face) {
  for (const id of ["hint", "progress", "result"]) byId(id).hidden = id !== face;
}

function showAlert(problem) {
  byId("alert-message").textContent = problem.message;
  byId("alert-request").hidden = !problem.requestId;
  byId("alert-request-id").textContent = problem.requestId ?? "";
  alertBox.hidden = false;
  alertBox.scrollIntoView({ block: "nearest" });
}

function dismissAlert() {
  const hadFocus = alertBox.contains(document.activeElement);
  alertBox.hidden = true;
  byId("alert-message").textContent = "";
  if (hadFocus) input.focus();
}

function count(number) {
  return number.toLocaleString("en");
}
