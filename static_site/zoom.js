// @ts-check
/** Looking closer: the picture grows within its frame, and is moved by scrolling or dragging. And what it is shown as. */

import { CHOICES } from "./choices.js";
import { byId, onClick } from "./dom.js";
import { page } from "./rows.js";

const STEP = 2;
const MOST = 32;
// Above so many pixels of the screen for one of the picture, each is shown as a square.
const SQUARES_FROM = 2;

/** The picture, its width when all of it is seen, and how many times that it is wide now. @type {any} */
let picture = null;
let fitting = 0;
let zoom = 1;

export function startZoom() {
  onClick("zoom-in", () => zoomTo(zoom * STEP));
  onClick("zoom-out", () => zoomTo(zoom / STEP));
  byId("picture").addEventListener("wheel", (event) => {
    if (!picture || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    zoomTo(event.deltaY < 0 ? zoom * STEP : zoom / STEP, event);
  }, { passive: false });
  byId("picture").addEventListener("pointerdown", moveByDragging);
  byId("look").addEventListener("change", showLook);
}

/** Another picture, or none: all of it is seen. */
export function zoomOn(next) {
  if (picture) zoomTo(1);
  picture = next;
  fitting = 0;
  zoom = 1;
  byId("zoom-tools").hidden = !next;
  showButtons();
}

/** `around`: the place on the screen that stays, or the middle. @param {any} [around] */
function zoomTo(wanted, around) {
  const frame = byId("picture");
  const next = Math.min(MOST, Math.max(1, wanted));
  if (zoom === 1) {
    fitting = picture.getBoundingClientRect().width;
    frame.style.height = `${frame.clientHeight}px`; // nothing below it moves
  }
  const { left, top } = frame.getBoundingClientRect();
  const [x, y] = around ? [around.clientX - left, around.clientY - top] : [frame.clientWidth / 2, frame.clientHeight / 2];
  const share = [(frame.scrollLeft + x) / frame.scrollWidth, (frame.scrollTop + y) / frame.scrollHeight];
  zoom = next;
  frame.classList.toggle("zoomed", zoom > 1);
  const { style } = picture;
  style.width = zoom > 1 ? `${fitting * zoom}px` : picture.dataset.width ?? "";
  Object.assign(style, zoom > 1 ? { maxWidth: "none", maxHeight: "none" } : { maxWidth: "", maxHeight: "" });
  picture.classList.toggle("squares", (fitting * zoom) / picture.naturalWidth > SQUARES_FROM);
  if (zoom === 1) frame.style.height = "";
  frame.tabIndex = zoom > 1 ? 0 : -1;
  frame.scrollTo(share[0] * frame.scrollWidth - x, share[1] * frame.scrollHeight - y);
  showButtons();
}

function showButtons() {
  byId("zoom-out").disabled = zoom === 1;
  byId("zoom-in").disabled = zoom === MOST;
}

/** Not where a region or the divider of a comparison takes the pointer. */
function moveByDragging(down) {
  const frame = byId("picture");
  if (zoom === 1 || down.defaultPrevented || down.pointerType === "touch") return;
  const [left, top] = [frame.scrollLeft + down.clientX, frame.scrollTop + down.clientY];
  const follow = ({ clientX, clientY }) => frame.scrollTo(left - clientX, top - clientY);
  const end = () => frame.removeEventListener("pointermove", follow);
  frame.setPointerCapture(down.pointerId);
  frame.addEventListener("pointermove", follow);
  for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, end, { once: true });
}

// ---- As a gray picture ----------------------------------------------------------------------------------------------

/** Colors of the marks, 0 to 1: pixels at 0 are blue, at 255 red. */
const MARKS = { low: [0.1, 0.45, 1], high: [1, 0.15, 0.1] };

/** Show the picture as it is, in the grays that the chosen luma makes of it, or with the clipped ones marked, too. */
export function showLook() {
  const look = byId("look").value;
  const { weights, divisor } = CHOICES.luma[page.options.luma];
  const row = [...weights.map((weight) => weight / divisor), 0, 0].join(" ");
  byId("gray-matrix").setAttribute("values", `${row} ${row} ${row} 0 0 0 1 0`);
  for (const [channel, name] of ["red", "green", "blue"].entries()) {
    byId(`marks-${name}`).setAttribute("tableValues", table(channel, look === "clipped"));
  }
  byId("picture").classList.toggle("gray", look !== "picture");
}

/** For each gray what it is shown as, in one channel. */
function table(channel, isMarked) {
  const grays = Array.from({ length: 256 }, (_, gray) => gray / 255);
  if (isMarked) [grays[0], grays[255]] = [MARKS.low[channel], MARKS.high[channel]];
  return grays.join(" ");
}
