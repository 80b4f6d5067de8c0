/**
 * The page: choose an image, look at it, ask the service for its average intensity.
 *
 * One rule keeps a number from ever standing beside the wrong picture: every chosen file has one AbortController.
 * Choosing another file, or Clear, aborts it, and whatever was under way for the old file (a check, an upload, an
 * answer) ends there.
 */

const SIGNATURES = { PNG: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], JPEG: [0xff, 0xd8, 0xff] };
const HEALTH_TIMEOUT_MS = 5_000;
// How long nothing may happen: no byte sent, no answer. Not the whole request, which takes minutes on a slow line.
// API Gateway gives up after 29 s, so more than that is never its answer.
const PATIENCE_MS = 45_000;
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
const alertBox = byId("alert");

/** What the server accepts. Until /health has said so, or if it never does, the server is left to judge the size. */
const limits = { bytes: Infinity, formats: Object.keys(SIGNATURES) };

/** The file on screen: { file, url, abort }, or null. */
let chosen = null;

/** Something to tell the user, in a sentence. */
class Problem extends Error {
  constructor(message, requestId = null) {
    super(message);
    this.requestId = requestId;
  }
}

start();

function start() {
  input.addEventListener("change", () => input.files[0] && choose(input.files[0]));
  // The same file chosen again fires no "change", though it may have been edited: forget it when the dialog opens.
  input.addEventListener("click", () => { input.value = ""; });
  form.addEventListener("submit", (event) => { event.preventDefault(); analyze(); });
  form.addEventListener("reset", forget);
  byId("dismiss").addEventListener("click", dismissAlert);
  document.addEventListener("keydown", (event) => event.key === "Escape" && dismissAlert());
  acceptDrops();
  for (const link of document.querySelectorAll("a[data-api]")) link.href = endpoint(link.getAttribute("href"));
  loadLimits();
}

/** The address of an API path: beside this page, or where <meta name="api-base"> says. */
function endpoint(path) {
  const base = document.querySelector('meta[name="api-base"]').content.trim();
  return new URL(path, base ? new URL(base.replace(/\/*$/, "/"), document.baseURI) : document.baseURI).href;
}

async function loadLimits() {
  try {
    const response = await fetch(endpoint("health"), { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    const served = (await response.json()).limits;
    if (served.max_content_length > 0) limits.bytes = served.max_content_length;
    if (served.allowed_image_formats?.length) limits.formats = served.allowed_image_formats;
  } catch {
    // Not worth an alert: the server checks everything itself, and says so.
  }
}

// ---- Choosing -------------------------------------------------------------------------------------------------------

async function choose(file) {
  forget();
  const choice = { file, url: null, abort: new AbortController() };
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

/** Throws what is wrong with a file. Its content decides: a name or a declared type proves nothing. */
async function check(file) {
  if (file.size === 0) throw new Problem(`“${file.name}” is empty.`);
  const format = await formatOf(file);
  if (!limits.formats.includes(format)) {
    throw new Problem(`“${file.name}” is not a ${limits.formats.join(" or ")} image, whatever its name says.`);
  }
  if (file.size > limits.bytes) {
    const [size, limit] = [count(file.size), count(limits.bytes)];
    throw new Problem(`“${file.name}” is too large: it has ${size} bytes, the limit is ${limit}.`);
  }
}

async function formatOf(file) {
  let start;
  try {
    start = new Uint8Array(await file.slice(0, 8).arrayBuffer());
  } catch {
    // A folder, a file without permission, or one that was changed or removed after it was chosen.
    throw new Problem(`“${file.name}” cannot be read. If it was changed or moved, choose it again.`);
  }
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
  const { file, abort: { signal } } = chosen;
  const hadFocus = document.activeElement === analyzeButton;
  analyzeButton.disabled = true;
  dismissAlert();
  showProgress(0);
  try {
    await check(file); // again: the limits may have arrived meanwhile, and the file may have changed
    signal.throwIfAborted();
    const answer = readAnswer(await upload(file, signal));
    if (!signal.aborted) showResult(answer);
  } catch (problem) {
    if (signal.aborted) return;
    showOnly("hint");
    showAlert(problem);
  }
  if (signal.aborted) return;
  analyzeButton.disabled = false;
  // Disabling it took the focus away; someone who works by keyboard would start again at the top of the page.
  if (hadFocus && document.activeElement === document.body) analyzeButton.focus();
}

/** POST the file; resolves to the finished request whatever its status. (fetch could not report the upload's progress.) */
function upload(file, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        reject(new Problem("The service did not answer in time. Try again in a moment."));
        request.abort();
      }, PATIENCE_MS);
    };
    request.upload.onprogress = (event) => { wait(); showProgress(event.loaded / event.total); };
    request.upload.onload = () => { wait(); showProgress(1); };
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Problem("The service cannot be reached. Check the connection and try again."));
    request.onabort = () => reject(signal.reason);
    request.onloadend = () => clearTimeout(timer);
    signal.addEventListener("abort", () => request.abort());

    const body = new FormData();
    body.append("image", file);
    request.open("POST", endpoint("intensity"));
    request.setRequestHeader("Accept", "application/json, application/problem+json");
    wait();
    request.send(body);
  });
}

/** The measurement in an answer, or the Problem that it is. Proxies and portals answer HTML, with any status. */
function readAnswer(request) {
  let body = null;
  try {
    body = JSON.parse(request.responseText);
  } catch {
    // body stays null
  }
  const requestId = body?.request_id ?? request.getResponseHeader("X-Request-ID");
  if (request.status === 200 && Number.isFinite(body?.average_intensity) && Array.isArray(body.image_size)) {
    return { ...body, request_id: requestId, cache: request.getResponseHeader("X-Cache") };
  }
  throw new Problem(explanation(request, body), requestId);
}

function explanation(request, body) {
  for (const sentence of [body?.detail, body?.title]) {
    if (typeof sentence === "string" && sentence) return sentence;
  }
  if (request.status < 400) return "The answer was not a measurement. Is this the Image Intensity Service's address?";
  if (request.status === 413) return "The file is too large for the service (HTTP 413).";
  return `The service failed without an explanation (HTTP ${request.status}). Try again in a moment.`;
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

/** `sent` is the share of the upload that has left, 0 to 1. */
function showProgress(sent) {
  const bar = byId("bar");
  const stage = sent < 1 ? "Uploading…" : "Measuring…";
  // Screen readers read the stage when it changes: only then is it written.
  if (byId("stage").textContent !== stage) byId("stage").textContent = stage;
  byId("percent").textContent = sent < 1 ? `${Math.floor(sent * 100)} %` : "";
  if (sent < 1) bar.value = sent;
  else bar.removeAttribute("value"); // how long measuring takes is not known
  showOnly("progress");
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
  document.querySelector(".answer").scrollIntoView({ block: "nearest" }); // on a phone it is below the picture
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
