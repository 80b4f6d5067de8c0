// @ts-check
/** What leaves the page: a text to the clipboard, the request of a measurement as a command, the list as a file. */

import { OPTIONS } from "./choices.js";
import { judgment } from "./filter.js";
import { query } from "./options.js";
import { answerOf, optionsOf, problemOf } from "./rows.js";
import { endpoint } from "./service.js";

const SAID_FOR_MS = 2_000;
const PERCENTILES = [1, 5, 25, 75, 95, 99];
const STATISTICS = ["minimum", "maximum", "median", "standard_deviation"];
const SHARES = ["entropy", "share_black", "share_white"];
// A spreadsheet takes these at the beginning of a cell for a formula (also the wide forms) or for a quotation.
const FORMULA = /^[=+\-@\t\r"'＝＋－＠]/u;

/** Have `button` copy what `text` returns. */
export function copyOnClick(button, text) {
  const label = button.textContent;
  let timer;
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text())) ? "Copied" : "Not copied";
    clearTimeout(timer);
    timer = setTimeout(() => { button.textContent = label; }, SAID_FOR_MS);
  });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // on plain http, or without permission
  }
}

function copyBySelection(text) {
  const area = document.createElement("textarea");
  /** @type {any} */
  const before = document.activeElement;
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus({ preventScroll: true });
  return copied;
}

/** The request for a shell: one command for a file that fits into it, else the four steps of docs/api.md (bash and jq). */
export function curlCommand(row, isLarge) {
  const measure = quote(endpoint("intensity") + query(optionsOf(row)));
  const file = `@"${(row.file?.name ?? row.name).replace(/["\\]/g, "\\$&")}"`; // as curl reads a name in quotes
  if (!isLarge) return `curl -F ${quote(`image=${file}`)} ${measure}`;
  const announcement = JSON.stringify({
    filename: row.name,
    size: row.size,
    content_type: `image/${row.format.toLowerCase()}`,
    sha256: answerOf(row).measurement.sha256,
  });
  const json = "-H 'Content-Type: application/json'";
  const fields = `'(.fields // {}) | to_entries[] | "--form-string", "\\(.key)=\\(.value)"'`;
  return [
    `form=$(curl -sS ${json} -d ${quote(announcement)} ${quote(endpoint("uploads"))})`,
    `mapfile -t fields < <(jq -r ${fields} <<< "$form")`,
    `[ "$(jq .known <<< "$form")" = true ] || curl -sS "\${fields[@]}" -F ${quote(`file=${file}`)} "$(jq -r .url <<< "$form")"`,
    `jq '{ticket}' <<< "$form" | curl -sS ${json} -d @- ${measure}`,
  ].join("\n");
}

/** A word for the shell, whatever is in it. */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

// ---- Files ----------------------------------------------------------------------------------------------------------
// Under the API's names; the columns are those of the command `intensity` (docs/command.md).

const answered = (read) => (row) => (answerOf(row) ? read(answerOf(row)) : undefined);
const COLUMNS = {
  filename: (row) => row.name,
  average_intensity: answered((answer) => answer.average_intensity),
  width: answered((answer) => answer.image_size[0]),
  height: answered((answer) => answer.image_size[1]),
  original_mode: answered((answer) => answer.original_mode),
  pixel_count: answered((answer) => answer.pixel_count),
  image_size_bytes: (row) => answerOf(row)?.image_size_bytes ?? row.size,
  sha256: answered((answer) => answer.measurement?.sha256),
  code: (row) => (answerOf(row) ? "" : problemOf(row)?.code ?? row.status.state),
  detail: (row) => (answerOf(row) ? "" : problemOf(row)?.message),
  ...Object.fromEntries(OPTIONS.map((name) => [name, (row) => answerOf(row)?.measurement?.[name] ?? optionsOf(row)?.[name]])),
  ...Object.fromEntries(STATISTICS.map((name) => [name, answered((answer) => answer.statistics?.[name])])),
  ...Object.fromEntries(
    PERCENTILES.map((share) => [`percentile_${share}`, answered((answer) => answer.statistics?.percentiles[share])]),
  ),
  ...Object.fromEntries(SHARES.map((name) => [name, answered((answer) => answer.statistics?.[name])])),
  bit_depth: answered((answer) => answer.measurement?.bit_depth),
  algorithm: answered((answer) => answer.measurement?.algorithm),
  request_id: (row) => answerOf(row)?.request_id ?? problemOf(row)?.requestId,
};

/** An answer as the API gave it. */
export function apiAnswer({ cache, isUploaded, ...answer }) {
  return answer;
}

/** Only with a tolerance (filter.js). A star before a difference would be for people: what cannot be compared has none. */
const JUDGED = ["tolerance", "difference", "verdict"];

function cellsOf(rows) {
  const isJudged = rows.length > 0 && judgment(rows[0]) !== null;
  const cells = (row) => [...Object.values(COLUMNS).map((value) => value(row)), ...((isJudged && judgment(row)) || [])];
  return [[...Object.keys(COLUMNS), ...(isJudged ? JUDGED : [])], ...rows.map(cells)];
}

/** For the clipboard: spreadsheets paste tabs as columns. */
export function asTable(rows) {
  return cellsOf(rows).map((cells) => cells.map((value) => plain(value).replace(/[\t\r\n]+/g, " ")).join("\t")).join("\n");
}

export function asCsv(rows) {
  const lines = cellsOf(rows);
  // The byte order mark: without it, Excel takes the names for those of another character set.
  return `\ufeff${lines.map((cells) => `${cells.map(cell).join(",")}\r\n`).join("")}`;
}

/** A list of the API's answers; of an image without a number, its name, the code and the sentence. */
export function asJson(rows) {
  const entries = rows.map((row) => (answerOf(row)
    ? { ...apiAnswer(answerOf(row)), filename: row.name }
    : { filename: row.name, code: problemOf(row)?.code ?? row.status.state, detail: problemOf(row)?.message ?? null }));
  return `${JSON.stringify(entries, null, 2)}\n`;
}

function plain(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return String(value);
  // As the command writes it: the first character by its code, so that the cell is text.
  return value.replace(/[\u2068\u2069]/g, "").replace(FORMULA, escaped);
}

function cell(value) {
  const text = plain(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function escaped(character) {
  return [...new TextEncoder().encode(character)].map((byte) => `\\x${byte.toString(16).padStart(2, "0").toUpperCase()}`).join("");
}

/** Have the browser save a text as a file. */
export function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // when the browser has surely begun to save it
}
