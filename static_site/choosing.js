// @ts-check
/** How images come onto the page: chosen, with their folder, dropped, pasted, or a sample. */

import { all, byId } from "./dom.js";
import { anyOf } from "./format.js";
import { limits, loadLimits, looksLikeAnImage } from "./limits.js";
import { say } from "./message.js";
import { plural, quoted } from "./words.js";

const byName = new Intl.Collator("en", { numeric: true });

let pasted = 0;

/** `choose(files, { thenMeasure, thenReveal })` gets what is chosen, in whichever way. */
export function startChoosing(choose) {
  const found = (search, how) => chooseFound(search, choose, how);
  byId("file").addEventListener("change", ({ target }) => choose([...target.files]));
  byId("folder").addEventListener("change", async ({ target }) => found(await onlyImages([...target.files])));
  // The same file chosen again fires no "change", though it may have been edited: forget it when the dialog opens.
  for (const id of ["file", "folder"]) byId(id).addEventListener("click", ({ target }) => { target.value = ""; });
  for (const sample of all("[data-sample]")) {
    sample.addEventListener("click", () => trySample(sample.dataset.sample, choose));
  }
  document.addEventListener("paste", (event) => paste(event, choose));
  acceptDrops(found);
  // Chosen before the scripts were there.
  choose([...byId("file").files, ...byId("folder").files]);
}

async function chooseFound({ files, leftOut }, choose, how) {
  if (!files.length) return say("error", `There is no ${anyOf(limits.formats)} in the folder.`);
  const chosen = await choose(files, how);
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
  const highlight = (on) => { byId("dropping").hidden = !on; };
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
    found(await dropped(event.dataTransfer), { thenReveal: true });
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
async function onlyImages(files) {
  await loadLimits();
  const images = files.filter(({ isMeant, name }) => isMeant || looksLikeAnImage(name));
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
