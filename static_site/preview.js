// @ts-check
/** The chosen image as the browser shows it, and what has to be said about that. One picture is held at a time. */

import { byId } from "./dom.js";
import { layoutOf, shownSize, toStored } from "./exif.js";
import { grayOf, lumaInWords } from "./options.js";
import { drawOn, drawOnNothing, offerRegion } from "./region.js";
import { page } from "./rows.js";
import { zoomOn } from "./zoom.js";

// A picture with fewer pixels on its longer side is shown enlarged: a gray card of 3 by 3 would be a dot.
const SMALL = 240;
// Pixels, on each side, of the picture that is looked at for transparent parts.
const STAMP = 128;

/** What is shown: { row, file, url, picture }. @type {any} */
let shown = null;
/** One pixel, to read it. @type {any} */
let canvas = null;

/** Show a row's picture, or the place to drop one. `onReady` hears when it can be seen, or that it cannot. */
export function showPreview(row, onReady = () => {}) {
  if (row?.file && shown?.file === row.file) return;
  release();
  byId("drop").hidden = Boolean(row);
  byId("preview-name").hidden = !row;
  byId("no-preview").hidden = !row || Boolean(row.file);
  byId("picture-tools").hidden = !row;
  offerRegion(Boolean(row?.file));
  if (!row) return;
  byId("preview-name").textContent = row.name;
  if (row.file) show(row, onReady);
  else byId("no-preview").textContent = "The picture is no longer here: a reload keeps results, not images.";
}

function release() {
  if (shown) URL.revokeObjectURL(shown.url);
  shown = null;
  byId("picture").replaceChildren();
  byId("turned").hidden = true;
  forgetPixel();
  drawOnNothing();
  zoomOn(null);
}

function show(row, onReady) {
  const picture = new Image();
  const mine = { row, file: row.file, url: URL.createObjectURL(row.file), picture };
  shown = mine;
  picture.alt = `Preview of ${row.name}`;
  picture.draggable = false; // dropping it on the page would choose it again
  // A new element for every file, so that a late "error" of the last one cannot speak about this one.
  picture.addEventListener("error", () => {
    if (shown !== mine) return;
    byId("picture").replaceChildren(); // CMYK, 16 bits, too many pixels, damage: the server decides, not the browser
    byId("no-preview").textContent = row.format === "TIFF"
      ? "No preview: this browser does not show TIFF. It is measured all the same."
      : "No preview: this browser cannot show the image. It can still be analyzed.";
    byId("no-preview").hidden = false;
    onReady();
  });
  picture.addEventListener("load", async () => {
    enlarge(picture);
    if (shown === mine) zoomOn(picture);
    row.isTransparent = isTransparent(picture);
    const layout = await layoutOf(row.file).catch(() => null);
    if (shown !== mine) return;
    if (layout && fits(picture, layout)) {
      byId("turned").hidden = layout.orientation === 1;
      drawOn(picture, layout);
      watchPixels(picture, layout);
    }
    onReady();
  });
  picture.src = mine.url;
  const stage = document.createElement("div");
  stage.className = "stage";
  stage.append(picture);
  byId("picture").replaceChildren(stage);
}

/** Whether some of it is transparent, as far as one can see at the size of a stamp. */
function isTransparent(picture) {
  /** @type {any} */
  const stamp = new OffscreenCanvas(STAMP, STAMP).getContext("2d");
  stamp.drawImage(picture, 0, 0, STAMP, STAMP);
  return stamp.getImageData(0, 0, STAMP, STAMP).data.some((value, place) => place % 4 === 3 && value < 255);
}

/** Whether the browser shows the picture as its file says. If not, a rectangle drawn on it would be another one when stored. */
function fits({ naturalWidth, naturalHeight }, layout) {
  const [across, down] = shownSize(layout);
  return Math.abs(naturalWidth * down - naturalHeight * across) <= across + down; // a noted resolution changes the size, not the shape
}

function enlarge(picture) {
  const { naturalWidth: width, naturalHeight: height } = picture;
  const factor = Math.floor(SMALL / Math.max(width, height));
  if (factor < 2) return;
  picture.dataset.width = `${width * factor}px`; // for when it is zoomed out again
  picture.style.width = picture.dataset.width;
  picture.style.imageRendering = "pixelated";
}

// ---- The pixel under the pointer ------------------------------------------------------------------------------------
// As this browser shows it: after color management and in 8 bits. It is a help for looking, and not a measurement, which
// only the service makes.

/** Say which pixel is under the pointer while it is over the stage of the preview. */
function watchPixels(picture, layout) {
  const stage = picture.parentElement;
  canvas ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  stage.addEventListener("pointermove", (event) => sayPixel(picture, layout, event));
  stage.addEventListener("pointerleave", forgetPixel);
}

export function forgetPixel() {
  byId("pixel").textContent = "";
}

function sayPixel(picture, layout, { clientX, clientY }) {
  const { left, top, width, height } = picture.getBoundingClientRect();
  const [across, down] = shownSize(layout);
  const x = Math.floor(((clientX - left) / width) * across);
  const y = Math.floor(((clientY - top) / height) * down);
  if (x < 0 || y < 0 || x >= across || y >= down) return forgetPixel();
  const [pixelWidth, pixelHeight] = [picture.naturalWidth / across, picture.naturalHeight / down];
  canvas.clearRect(0, 0, 1, 1);
  canvas.drawImage(picture, x * pixelWidth, y * pixelHeight, pixelWidth, pixelHeight, 0, 0, 1, 1);
  const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
  const [storedX, storedY] = toStored([x, y, 1, 1], layout.orientation, layout.width, layout.height);
  const { luma } = page.options;
  const opacity = alpha < 255 ? `, alpha ${alpha}` : "";
  byId("pixel").textContent =
    `Pixel ${storedX}, ${storedY}: red ${red}, green ${green}, blue ${blue}${opacity}, gray ${grayOf(luma, red, green, blue)} (${lumaInWords(luma)}). As this browser shows it (color-managed, 8 bits), not as measured.`;
}
