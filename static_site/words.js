// @ts-check
/** Numbers, names and sentences as the page writes them. */

const MINUS = "\u2212";
const MODES = {
  1: "black and white",
  L: "gray",
  LA: "gray with transparency",
  P: "palette",
  RGB: "color",
  RGBA: "color with transparency",
  CMYK: "color for print",
  "I;16": "gray",
  "I;16B": "gray",
};

/** @type {[number, string][]} */
const UNITS = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];

export function count(number) {
  return number.toLocaleString("en");
}

/** "1 pixel", "9,600 pixels". */
export function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** "460 kB", "4.3 MB": for people. What the API needs is in bytes. */
export function size(bytes) {
  for (const [unit, name] of UNITS) {
    if (bytes >= unit) return `${Number((bytes / unit).toPrecision(bytes / unit < 10 ? 2 : 3))} ${name}`;
  }
  return plural(bytes, "byte");
}

/** A share of 0 to 1 as "0 %", "0.10 %", "12.5 %", "99.96 %"; what is there is never written as 0, and what is missing never as 100. */
export function percent(share) {
  if (share === 0 || share === 1) return `${share * 100} %`;
  if (share < 0.0001) return "<\u00a00.01 %";
  if (share > 0.9999) return ">\u00a099.99 %";
  return `${(share * 100).toFixed(share < 0.1 || share > 0.9 ? 2 : 1)} %`;
}

/** A value between 0 and 255 to two decimals, a whole one without. */
export function level(value) {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}

/** A difference with its sign: "+1.74", "−65.67", "0.00". */
export function signed(difference) {
  const text = Math.abs(difference).toFixed(2);
  if (Number(text) === 0) return "0.00";
  return (difference < 0 ? MINUS : "+") + text;
}

/** A file's name within a sentence. The two marks keep a name in Arabic or Hebrew from turning the sentence around. */
export function quoted(name) {
  return `“\u2068${name}\u2069”`;
}

/** "gray, 16 bits (I;16)". The bits are known only in the full answer. */
export function mode(name, bits) {
  const word = MODES[name];
  if (!word) return name;
  return bits ? `${word}, ${plural(bits, "bit")} (${name})` : `${word} (${name})`;
}

/** Why there is no number, in so few words that a column has room for them; the sentence of the service has the rest. */
const REASONS = {
  empty_file: "empty",
  unsupported_format: "not supported",
  corrupt_image: "damaged",
  file_unreadable: "cannot be read",
  file_too_large: "too large",
  too_many_pixels: "too many pixels",
  region_outside_image: "smaller than the region",
};

/** "damaged", "not reached". */
export function reason({ code, isOfImage }) {
  return REASONS[code] ?? (isOfImage ? "refused" : "not reached");
}

/** "14 damaged or unsupported, 2 not reached". */
export function reasonsOf(problems) {
  const kinds = { empty: DAMAGED, damaged: DAMAGED, "not supported": DAMAGED, "too many pixels": "too large" };
  const numbers = new Map();
  for (const problem of problems) {
    const kind = kinds[reason(problem)] ?? reason(problem);
    numbers.set(kind, (numbers.get(kind) ?? 0) + 1);
  }
  return [...numbers].map(([kind, number]) => `${count(number)} ${kind}`).join(", ");
}

const DAMAGED = "damaged or unsupported";

/** "10 images: 8 measured, 1 failed, 1 not measured yet." The parts add up to the whole. */
export function totals(rows) {
  const number = (...states) => rows.filter((row) => states.includes(row.status.state)).length;
  const parts = [
    [number("measured"), "measured"],
    [number("failed"), "failed"],
    [number("measuring", "waiting"), "under way"],
    [number("chosen"), "not measured yet"],
  ];
  const said = parts.filter(([parted]) => parted).map(([parted, what]) => `${count(parted)} ${what}`);
  return `${plural(rows.length, "image")}: ${said.join(", ")}`;
}

/** Where a name is best broken into two lines: after a sign between two words, if there is one near its middle. */
function middleOf(characters) {
  const middle = Math.ceil(characters.length / 2);
  return [0, -1, 1, -2, 2, -3, 3].map((step) => middle + step).find((place) => /[-_ .,/]/.test(characters[place - 1])) ?? middle;
}

/** Show a name so that, where there is no room for all of it, its end stays: its last half, or 12 characters with the number and the ending. */
export function showName(element, name, isHalved = false) {
  // As people count them: an emoji may be several code points.
  const characters = [...new Intl.Segmenter().segment(name)].map(({ segment }) => segment);
  const { length } = characters;
  const cut = length > 16 ? (isHalved ? middleOf(characters) : length - 12) : length;
  const parts = [characters.slice(0, cut), characters.slice(cut)].filter((part) => part.length).map((part) => {
    const span = document.createElement("span");
    span.textContent = part.join("");
    return span;
  });
  element.replaceChildren(...parts);
  element.title = name;
}
