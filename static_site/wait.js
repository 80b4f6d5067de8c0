// @ts-check
/** Wait so many milliseconds; without a number, until the browser has drawn and answered its user. Rejects when `signal` ends it. @param {AbortSignal} [signal] */
export function wait(ms = 0, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms); // not scheduler.yield: it goes on before the browser has drawn
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
  });
}
