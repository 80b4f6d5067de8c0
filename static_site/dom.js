// @ts-check
/** Elements of the page by their id, what nearly every file does with them, and a wait until they are drawn. */

/** @returns {any} an element that index.html has: an input, a button, or a drawing, as its id says */
export function byId(id) {
  return document.getElementById(id);
}

/** @returns {any} the first element of a selector; null if there is none */
export function find(selector) {
  return document.querySelector(selector);
}

/** @returns {any[]} the elements of a selector */
export function all(selector) {
  return [...document.querySelectorAll(selector)];
}

export function onClick(id, heard) {
  byId(id).addEventListener("click", heard);
}

/** Write a text, unless it stands there: screen readers read what is written. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Wait so many milliseconds; without a number, until the browser has drawn and answered its user. Rejects when `signal` ends it. @param {AbortSignal} [signal] */
export function wait(ms = 0, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms); // not scheduler.yield: it goes on before the browser has drawn
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
  });
}
