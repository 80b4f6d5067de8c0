// @ts-check
/** What the browser keeps for this tab (`session`) and for this site (`local`). Where storage is off, nothing is kept. */

export const session = storageOf("sessionStorage");
export const local = storageOf("localStorage");

function storageOf(name) {
  // To touch the storage at all is an error where it is off.
  const tried = (action, otherwise) => {
    try {
      return action(window[name]);
    } catch {
      return otherwise;
    }
  };
  return {
    get: (key) => tried((storage) => storage.getItem(key), null),
    /** Something that was kept as JSON, or null. */
    read: (key) => tried((storage) => JSON.parse(storage.getItem(key)), null),
    /** False if it could not be kept. */
    keep: (key, value) => tried((storage) => { storage.setItem(key, typeof value === "string" ? value : JSON.stringify(value)); return true; }, false),
    forget: (key) => tried((storage) => storage.removeItem(key), undefined),
    keys: () => tried((storage) => Object.keys(storage), []),
  };
}
