/**
 * How a camera noted that a JPEG is to be turned (the EXIF orientation, 1 to 8), and what that does to coordinates.
 *
 * Browsers show the turned picture. The service measures, and counts width and height, as stored.
 */

import { read } from "./files.js";

// EXIF stands at the beginning, in one segment of at most 64 KB. Before it there is at most a JFIF segment.
const LOOK_AT_BYTES = 128 * 1024;
const ORIENTATION_TAG = 0x0112;

/** The orientation of a file: 1 if it has none, or none that can be read. */
export async function orientationOf(file) {
  const bytes = await read(file, 0, LOOK_AT_BYTES);
  try {
    return inJpeg(new DataView(bytes.buffer));
  } catch (problem) {
    if (problem instanceof RangeError) return 1; // it ends in the middle
    throw problem;
  }
}

function inJpeg(view) {
  if (view.getUint16(0) !== 0xffd8) return 1;
  let place = 2;
  for (;;) {
    const marker = view.getUint16(place);
    if (marker < 0xffe0 || marker > 0xffef) return 1; // the segments for applications are over
    if (marker === 0xffe1 && view.getUint32(place + 4) === 0x45786966) return inTiff(view, place + 10);
    place += 2 + view.getUint16(place + 2);
  }
}

function inTiff(view, start) {
  const little = view.getUint16(start) === 0x4949;
  const directory = start + view.getUint32(start + 4, little);
  const entries = view.getUint16(directory, little);
  for (let entry = directory + 2; entry < directory + 2 + entries * 12; entry += 12) {
    if (view.getUint16(entry, little) !== ORIENTATION_TAG) continue;
    const value = view.getUint16(entry + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** Whether width and height are exchanged. */
export function isSideways(orientation) {
  return orientation >= 5;
}

/** A rectangle [x, y, width, height] of the shown picture, in the stored one of `width` by `height`. */
export function toStored([x, y, w, h], orientation, width, height) {
  const [a, b, c, d] = isSideways(orientation) ? [y, x, h, w] : [x, y, w, h];
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  return [fromRight ? width - a - c : a, fromBottom ? height - b - d : b, c, d];
}

/** The reverse: a rectangle of the stored picture of `width` by `height`, in the shown one. */
export function toShown([x, y, w, h], orientation, width, height) {
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  const [a, b] = [fromRight ? width - x - w : x, fromBottom ? height - y - h : y];
  return isSideways(orientation) ? [b, a, h, w] : [a, b, w, h];
}
