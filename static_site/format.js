// @ts-check
/** What a file is, by its first bytes: a name or a declared type proves nothing. */

import { Problem } from "./service.js";
import { quoted } from "./words.js";

const PART_BYTES = 65_536;
/** How files begin: [name, place of the bytes, bytes]. @type {[string, number, string][]} */
const BEGINNINGS = [
  ["PNG", 0, "\x89PNG\r\n\x1a\n"],
  ["JPEG", 0, "\xff\xd8\xff"],
  ["GIF", 0, "GIF8"],
  ["WEBP", 8, "WEBP"],
  ["TIFF", 0, "II*\0"],
  ["TIFF", 0, "MM\0*"],
  ["TIFF", 0, "II+\0"],
  ["TIFF", 0, "MM\0+"],
  ["BMP", 0, "BM"],
  ["PDF", 0, "%PDF"],
  ["AVIF", 4, "ftypavif"],
  ["HEIC", 4, "ftypheic"],
  ["HEIC", 4, "ftypheix"],
  ["HEIC", 4, "ftypmif1"],
];
/** What a person may do with a file that is not measured. */
const ADVICE = {
  GIF: "is a GIF image. Save it as PNG.",
  WEBP: "is a WebP image. Save it as PNG.",
  TIFF: "is a TIFF image, or a raw photo. Export it as PNG.",
  BMP: "is a BMP image. Save it as PNG.",
  PDF: "is a PDF document. Export its picture as PNG.",
  AVIF: "is an AVIF image. Save it as PNG.",
  HEIC: "is a HEIC photo. Export it as JPEG.",
};

/** "PNG", "JPEG", another name, or "". As the service names it. */
export async function formatOf(file) {
  const start = String.fromCharCode(...await read(file, 0, 16));
  return BEGINNINGS.find(([, place, bytes]) => start.startsWith(bytes, place))?.[0] ?? "";
}

/** "PNG, JPEG or WebP". */
export function anyOf(formats) {
  const names = formats.map((name) => (name === "WEBP" ? "WebP" : name));
  return [names.slice(0, -1).join(", "), names.at(-1)].filter(Boolean).join(" or ");
}

/** The Problem of a file that is in none of the formats that the service measures. */
export function notMeasured({ name }, format, formats) {
  const advice = ADVICE[format] ?? `is not a ${anyOf(formats)} image, whatever its name says.`;
  return new Problem(`${quoted(name)} ${advice}`, { code: "unsupported_format" });
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

export function cannotBeRead({ name }) {
  return new Problem(`${quoted(name)} cannot be read. If it was changed or moved, choose it again.`, { code: "file_unreadable" });
}
