// @ts-check
/**
 * How a picture is stored: its width and height, and how a camera noted that it is to be turned (the EXIF orientation, 1 to
 * 8), and what that does to coordinates.
 *
 * Browsers show the turned picture, and some EXIF entries make them report another size than the stored one. The service
 * measures, and counts width and height, as stored.
 */

import { read } from "./format.js";

// Nearly always, all of it is in the first bytes. Large profiles and depth maps may come before it.
const LOOK_AT_BYTES = [128 * 1024, 16 * 1024 * 1024];
const ORIENTATION_TAG = 0x0112;
const SHORT = 3;
const EXIF = 0x45786966;

/** { orientation, width, height } of the stored picture, or null if that cannot be found. The orientation is 1 if there is none. */
export async function layoutOf(file) {
  for (const most of LOOK_AT_BYTES) {
    const { buffer } = await read(file, 0, most);
    const view = new DataView(buffer);
    try {
      if (view.getUint16(0) === 0xffd8) return inJpeg(view);
      if (view.getUint32(0) === 0x89504e47) return inPng(view);
      return view.getUint32(8) === 0x57454250 ? inWebp(view) : null;
    } catch (problem) {
      if (!(problem instanceof RangeError)) throw problem; // it ends before that
    }
  }
  return null;
}

/** Up to the pixels. Of several EXIF segments, browsers take the first. */
function inJpeg(view) {
  let place = 2;
  let size;
  let orientation;
  for (;;) {
    // Before a marker there may be filling (0xff), and bytes that belong nowhere.
    if (view.getUint8(place) !== 0xff) { place += 1; continue; }
    const marker = view.getUint8(place + 1);
    if (marker === 0xff) { place += 1; continue; }
    if (marker < 2 || (marker >= 0xd0 && marker <= 0xd7)) { place += 2; continue; } // without a segment
    const start = place + 4;
    if (marker === 0xda) return size ? { orientation: orientation ?? 1, ...size } : null;
    if (marker === 0xe1 && !orientation && view.getUint32(start) === EXIF && !view.getUint16(start + 4)) {
      orientation = inTiff(view, start + 6, place + 2 + view.getUint16(place + 2));
    }
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      size = { width: view.getUint16(start + 3), height: view.getUint16(start + 1) };
    }
    place += 2 + view.getUint16(place + 2);
  }
}

/** Up to the pixels: what comes after them is too late for a browser. */
function inPng(view) {
  let orientation = 1;
  for (let place = 8; ; place += 12 + view.getUint32(place)) {
    const type = view.getUint32(place + 4);
    if (type === 0x65584966) orientation = inTiff(view, place + 8, place + 8 + view.getUint32(place)); // eXIf
    if (type === 0x49444154) return { orientation, width: view.getUint32(16), height: view.getUint32(20) }; // IDAT
  }
}

/** Not with EXIF: Chromium and Firefox turn no WebP, and others may. */
function inWebp(view) {
  const type = view.getUint32(12);
  const size = (width, height) => ({ orientation: 1, width, height });
  const at24 = (place) => 1 + view.getUint16(place, true) + (view.getUint8(place + 2) << 16);
  if (type === 0x56503858) return view.getUint8(20) & 8 ? null : size(at24(24), at24(27)); // VP8X
  if (type === 0x56503820) return size(view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff); // VP8
  const bits = view.getUint32(21, true); // VP8L
  return size(1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff));
}

/** The orientation in a TIFF header, as strictly as browsers read it. */
function inTiff(view, start, end) {
  const little = view.getUint32(start) === 0x49492a00;
  if (!little && view.getUint32(start) !== 0x4d4d002a) return 1;
  const directory = start + view.getUint32(start + 4, little);
  if (directory + 2 > end) return 1;
  const last = Math.min(end - 12, directory + 2 + (view.getUint16(directory, little) - 1) * 12);
  for (let entry = directory + 2; entry <= last; entry += 12) {
    if (view.getUint16(entry, little) !== ORIENTATION_TAG) continue;
    const value = view.getUint16(entry + 8, little);
    const isOne = view.getUint16(entry + 2, little) === SHORT && view.getUint32(entry + 4, little) === 1;
    return isOne && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** Whether width and height are exchanged. */
function isSideways(orientation) {
  return orientation >= 5;
}

/** A rectangle [x, y, width, height] of the shown picture, in the stored one of `width` by `height`. @param {number[]} box */
export function toStored([x, y, w, h], orientation, width, height) {
  const [a, b, c, d] = isSideways(orientation) ? [y, x, h, w] : [x, y, w, h];
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  return [fromRight ? width - a - c : a, fromBottom ? height - b - d : b, c, d];
}

/** The reverse: a rectangle of the stored picture of `width` by `height`, in the shown one. @param {number[]} box */
export function toShown([x, y, w, h], orientation, width, height) {
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  const [a, b] = [fromRight ? width - x - w : x, fromBottom ? height - y - h : y];
  return isSideways(orientation) ? [b, a, h, w] : [a, b, w, h];
}

/** Width and height of the picture as it is shown. */
export function shownSize({ orientation, width, height }) {
  return isSideways(orientation) ? [height, width] : [width, height];
}
