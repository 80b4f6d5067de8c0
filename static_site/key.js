// @ts-check
/**
 * The API key, where the service wants one: the page asks for it when a request is refused for want of it, and sends it
 * with this and all further requests. It is kept until the tab is closed, and nowhere else.
 */

import { KEY_STORED, wantsKey } from "./service.js";
import { session } from "./storage.js";

// What a header can carry, without spaces.
const POSSIBLE = /^[!-~]+$/;
const NEEDED = "This service needs an API key. Whoever runs the service gives you one.";
const REFUSED = "The service refused this key. Check it, or ask whoever runs the service.";
const IMPOSSIBLE = "This cannot be a key: a key has only letters, digits and signs, and no spaces.";

/** Where the browser allows no storage, the key lasts as long as the page. */
let key = session.get(KEY_STORED) ?? "";
/** The question that is open, if one is: many requests may be refused at once. @type {Promise<boolean> | null} */
let question = null;
/** Who has closed the question is asked again only after another click or key press, not for each of many images. */
let declined = false;

/**
 * Send a request with the key, if there is one. If it is refused for want of a valid key, ask for one and send it again.
 *
 * `send` gets the headers to add, and resolves to the finished XMLHttpRequest. `refused` is one that was sent without a
 * key, or null. Resolves to the last one that was sent: the refusal itself, if the user gives no key.
 */
export async function withKey(send, signal, refused) {
  let request = refused;
  let used = "";
  for (;;) {
    if (!request) {
      used = key;
      request = await send(used ? { "X-API-Key": used } : {});
    }
    if (!wantsKey(request)) {
      if (key) session.keep(KEY_STORED, key); // the service has accepted it
      return request;
    }
    // Another request may have got a new key meanwhile.
    if (used === key && !(await ask(used ? REFUSED : NEEDED))) return request;
    signal.throwIfAborted();
    request = null;
  }
}

/** Ask for a key; resolves to whether there is one now. */
function ask(sentence) {
  if (declined) return Promise.resolve(false);
  question ??= new Promise((resolve) => {
    const dialog = document.body.appendChild(makeDialog(sentence));
    dialog.addEventListener("close", () => {
      dialog.remove();
      question = null;
      if (dialog.returnValue) key = dialog.returnValue;
      else decline();
      resolve(Boolean(dialog.returnValue));
    });
    dialog.showModal();
  });
  return question;
}

function decline() {
  declined = true;
  const again = () => { declined = false; };
  for (const event of ["pointerdown", "keydown"]) addEventListener(event, again, { capture: true, once: true });
}

function makeDialog(sentence) {
  const dialog = document.createElement("dialog");
  dialog.className = "key";
  dialog.setAttribute("aria-labelledby", "key-title");
  dialog.innerHTML = `
    <form method="dialog">
      <h2 id="key-title">API key</h2>
      <p id="key-message" role="alert"></p>
      <label>Key <input type="password" autocomplete="off" spellcheck="false" required aria-describedby="key-message"></label>
      <p class="small">This page keeps it until you close the tab.</p>
      <button type="submit" class="primary">Use this key</button>
      <button type="button">No key</button>
    </form>`;
  /** @type {any[]} */
  const [message, input, form, none] = ["#key-message", "input", "form", "button[type=button]"].map((selector) => dialog.querySelector(selector));
  message.textContent = sentence;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = input.value.trim();
    if (POSSIBLE.test(given)) dialog.close(given);
    else message.textContent = IMPOSSIBLE;
  });
  none.addEventListener("click", () => dialog.close(""));
  return dialog;
}
