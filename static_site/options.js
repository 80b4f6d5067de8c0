// @ts-check
/**
 * The options of a measurement: they are remembered, and the page's address carries them, so that a link does.
 *
 * An address wins over what is remembered: who opens a link wants what its sender had.
 */

import { CHOICES, DEFAULTS, OPTIONS, saidOf } from "./choices.js";
import { byId } from "./dom.js";
import { say } from "./message.js";
import { regionAsText, regionInWords, startRegion } from "./region.js";
import { page } from "./rows.js";
import { local } from "./storage.js";

const REMEMBERED = "options";

/** Hears of every change of the options in force. */
let heard = () => {};

/** A gray value as the service computes it from a color: the weighted mean in integers, rounded. */
export function grayOf(luma, ...color) {
  const { weights, divisor } = CHOICES.luma[luma];
  const sum = color.reduce((before, value, place) => before + weights[place] * value, 0);
  return Math.floor((sum + Math.floor(divisor / 2)) / divisor);
}

export function lumaInWords(luma) {
  return CHOICES.luma[luma].short;
}

/** Start with the options of the address, or else the remembered ones. A region is not remembered: it is of one series. */
export function startOptions(onChange) {
  const address = new URLSearchParams(location.search);
  // What a link leaves out is the default, and not what somebody else remembers.
  const remembered = OPTIONS.some((name) => address.has(name)) ? {} : recall();
  for (const name of Object.keys(DEFAULTS)) {
    const select = byId(name);
    select.value = [address.get(name), remembered[name], DEFAULTS[name]].find((value) => isKnown(select, value));
    select.addEventListener("change", () => { remember(); show(); });
  }
  startRegion(address.get("region"), show);
  const inForce = chosenOptions();
  const ignored = [...address].filter(([name, value]) => OPTIONS.includes(name) && value !== inForce[name]);
  show();
  heard = onChange;
  // Not later: from now on, the address has only what is in force.
  if (ignored.length) say("error", `Ignored, because not valid in the address: ${ignored.map((option) => option.join("=")).join(" and ")}.`);
}

/** The options in force, by the API's names. @returns {import("./rows.js").Options} */
function chosenOptions() {
  const region = regionAsText();
  return { ...selected(), ...(region && { region }) };
}

/** @returns {any} */
function selected() {
  return Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, byId(name).value]));
}

/** The query of a request with these options: those that are not the default, and all of the answer. */
export function query(options) {
  const asked = Object.entries(options).filter(([name, value]) => value && value !== DEFAULTS[name]);
  return `?${new URLSearchParams([...asked, ["detail", "full"]])}`.replaceAll("%2C", ",");
}

/** "Rec. 601 luma, hidden colors count". @param {any} options */
export function optionsInWords(options) {
  const region = options.region ? [`region ${regionInWords(options.region.split(",").map(Number))}`] : [];
  return [...saidOf(options, "short"), ...region].join(", ");
}

/** The address of this page with the options in force: all of them, or, in this browser, without the defaults where it remembers no others. */
export function link(isForOthers = true) {
  const url = new URL(location.href);
  const here = { ...DEFAULTS, ...recall() };
  const isNeeded = ([name, value]) => isForOthers || value !== DEFAULTS[name] || value !== here[name];
  const parts = Object.entries(chosenOptions()).filter(isNeeded);
  url.search = new URLSearchParams(parts).toString().replaceAll("%2C", ",");
  return url.href;
}

function show() {
  page.options = chosenOptions();
  byId("options-summary").textContent = optionsInWords(page.options);
  history.replaceState(null, "", link(false));
  heard();
}

function isKnown(select, value) {
  return [...select.options].some((option) => option.value === value);
}

function recall() {
  return local.read(REMEMBERED) ?? {};
}

/** Where storage is off, the address still carries them. */
function remember() {
  local.keep(REMEMBERED, selected());
}
