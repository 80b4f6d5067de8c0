// @ts-check
/**
 * A rectangle of the image to measure: drawn or moved on the preview, moved and sized by keyboard, or typed.
 *
 * It is kept in pixels as stored, as the service takes it (`region=x,y,w,h`). The preview may be turned; exif.js converts.
 */

import { byId, onClick } from "./dom.js";
import { shownSize, toShown, toStored } from "./exif.js";
import { say } from "./message.js";
import { count, plural } from "./words.js";

const NAMES = ["x", "y", "width", "height"];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const NEAR_PX = 14; // of the screen: so close to a corner, a drag sizes the rectangle

/** [x, y, width, height] in stored pixels, or null for the whole image. @type {any} */
let region = null;
/** The picture on show: { layer, orientation, width, height }, as stored; or null. @type {any} */
let shown = null;
let heard = () => {};

/** `text`: the region of the page's address, or null. `onChange` hears of every other one. */
export function startRegion(text, onChange) {
  const numbers = text?.split(",").map(Number) ?? [];
  if (numbers.length === 4 && isRegion(numbers) && String(numbers) === text) region = numbers; // one spelling, as in the API
  heard = onChange;
  onClick("region-on", () => set(region ? null : middle()));
  for (const name of NAMES) byId(`region-${name}`).addEventListener("change", typeRegion);
  show();
}

/** "10,20,300,200", or null. */
export function regionAsText() {
  return region?.join(",") ?? null;
}

/** @param {number[]} region */
export function regionInWords([x, y, width, height]) {
  return `${count(width)} × ${count(height)} pixels at ${count(x)}, ${count(y)}`;
}

/** Measure the whole image from now on. Returns the region that was, or null. */
export function clearRegion() {
  const before = region;
  if (region) set(null);
  return before;
}

/** Measure this region from now on. */
export function setRegion(next) {
  set(next);
}

/** Put the rectangle on the picture of the preview, which is stored so (exif.js). */
export function drawOn(picture, layout) {
  const layer = document.createElement("div");
  layer.className = "layer";
  const box = document.createElement("div");
  Object.assign(box, { className: "box", tabIndex: 0, role: "group" });
  box.ariaLabel = "Region: arrow keys move it, with Shift they change its size";
  layer.append(box);
  picture.parentElement.append(layer);
  layer.addEventListener("pointerdown", drag);
  box.addEventListener("keydown", moveByKey);
  shown = { layer, ...layout };
  show();
}

export function drawOnNothing() {
  shown = null;
}

/** Whether a region can be chosen: not for a row whose file is gone. */
export function offerRegion(isOffered) {
  byId("region-on").hidden = !isOffered;
  show();
}

/** @param {number[]} region */
function isRegion([x, y, width, height]) {
  return [x, y, width, height].every(Number.isInteger) && x >= 0 && y >= 0 && width > 0 && height > 0;
}

function middle() {
  if (!shown) return [0, 0, 100, 100];
  const { width, height } = shown;
  const quarter = (length) => Math.floor(length / 4);
  return [quarter(width), quarter(height), Math.max(1, Math.floor(width / 2)), Math.max(1, Math.floor(height / 2))];
}

function set(next) {
  region = next;
  show();
  heard();
}

function show() {
  byId("region-on").textContent = region ? "Remove region" : "Measure region";
  byId("region-fields").hidden = !region || byId("region-on").hidden;
  if (region) NAMES.forEach((name, index) => { byId(`region-${name}`).value = region[index]; });
  if (!shown) return;
  const { layer, orientation, width, height } = shown;
  layer.hidden = !region;
  if (!region) return;
  const [x, y, w, h] = toShown(region, orientation, width, height);
  const [across, down] = shownSize(shown);
  const { style } = layer.firstChild;
  Object.assign(style, { left: `${(x / across) * 100}%`, top: `${(y / down) * 100}%` });
  Object.assign(style, { width: `${(w / across) * 100}%`, height: `${(h / down) * 100}%` });
}

/** Take what was typed; false if no region has these numbers. Where the size of the picture is not known, the service says whether the region lies outside. */
export function typeRegion() {
  const typed = NAMES.map((name) => byId(`region-${name}`).valueAsNumber);
  if (String(typed) === String(region)) return true;
  const problem = isRegion(typed) ? outside(typed) : "x and y are whole numbers from 0, width and height from 1.";
  if (!problem) set(typed);
  else {
    show();
    say("error", `The number from before is back: ${problem}`);
  }
  return !problem;
}

/** Why a region does not fit into the picture, or null. @param {number[]} region */
function outside([x, y, width, height]) {
  if (x + width > shown?.width) return `the picture is ${plural(shown.width, "pixel")} wide, so x and width are together at most that.`;
  if (y + height > shown?.height) return `the picture is ${plural(shown.height, "pixel")} high, so y and height are together at most that.`;
  return null;
}

/** Set the region from a rectangle of the shown picture, within it and at least one pixel large. @param {number[]} edges */
function setShown([left, top, right, bottom]) {
  const [across, down] = shownSize(shown);
  const within = (value, most) => Math.round(Math.min(most, Math.max(0, value)));
  const x = Math.min(within(left, across), across - 1);
  const y = Math.min(within(top, down), down - 1);
  const box = [x, y, Math.max(1, within(right, across) - x), Math.max(1, within(bottom, down) - y)];
  set(toStored(box, shown.orientation, shown.width, shown.height));
}

function corners() {
  const [x, y, w, h] = toShown(region, shown.orientation, shown.width, shown.height);
  return [x, y, x + w, y + h];
}

/** Move the rectangle as a whole: it stops at the edge and keeps its size. @param {number[]} edges */
function move([left, top, right, bottom], dx, dy) {
  const [across, down] = shownSize(shown);
  const x = Math.min(Math.max(dx, -left), across - right);
  const y = Math.min(Math.max(dy, -top), down - bottom);
  setShown([left + x, top + y, right + x, bottom + y]);
}

function moveByKey(event) {
  const arrow = ARROWS[event.key];
  if (!arrow) return;
  event.preventDefault();
  // One pixel of the screen, and never less than one of the image.
  const step = Math.max(1, Math.round(shownSize(shown)[0] / shown.layer.getBoundingClientRect().width));
  const [dx, dy] = arrow.map((direction) => direction * step);
  const [left, top, right, bottom] = corners();
  if (event.shiftKey) setShown([left, top, Math.max(left + 1, right + dx), Math.max(top + 1, bottom + dy)]);
  else move([left, top, right, bottom], dx, dy);
}

/** Inside the rectangle a drag moves it, near a corner it sizes it, elsewhere it draws a new one. */
function drag(down) {
  const { layer } = shown;
  const bounds = layer.getBoundingClientRect();
  const scale = shownSize(shown)[0] / bounds.width;
  const at = ({ clientX, clientY }) => [(clientX - bounds.left) * scale, (clientY - bounds.top) * scale];
  const [startX, startY] = at(down);
  const old = corners();
  const corner = nearCorner(old, startX, startY, NEAR_PX * scale);
  const isInside = startX > old[0] && startX < old[2] && startY > old[1] && startY < old[3];
  const [fixedX, fixedY] = corner ?? [startX, startY];
  down.preventDefault();
  layer.firstChild.focus({ preventScroll: true });
  layer.setPointerCapture(down.pointerId);
  const follow = (event) => {
    const [x, y] = at(event);
    if (!corner && isInside) move(old, Math.round(x - startX), Math.round(y - startY));
    else setShown([Math.min(fixedX, x), Math.min(fixedY, y), Math.max(fixedX, x), Math.max(fixedY, y)]);
  };
  const end = () => layer.removeEventListener("pointermove", follow);
  layer.addEventListener("pointermove", follow);
  for (const name of ["pointerup", "pointercancel"]) layer.addEventListener(name, end, { once: true });
}

/** The corner opposite to the one that is near, or null. @param {number[]} edges */
function nearCorner([left, top, right, bottom], x, y, near) {
  for (const [cornerX, oppositeX] of [[left, right], [right, left]]) {
    for (const [cornerY, oppositeY] of [[top, bottom], [bottom, top]]) {
      if (Math.hypot(x - cornerX, y - cornerY) < near) return [oppositeX, oppositeY];
    }
  }
  return null;
}
