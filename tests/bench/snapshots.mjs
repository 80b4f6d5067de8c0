/**
 * Lighthouse's snapshots of a page that another program drives: `node snapshots.mjs FOLDER PORT`.
 *
 * FOLDER has node_modules with lighthouse and puppeteer-core, PORT is the browser's for debugging. For each line
 * "mobile ADDRESS" or "desktop ADDRESS" on the standard input it judges the page that is open there, as it is, and
 * answers with a line of JSON: Lighthouse's own report. The size of the window stays as it is.
 */

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [, , folder, port] = process.argv;
const { resolve } = createRequire(`${folder}/`);
const { snapshot } = await import(pathToFileURL(resolve("lighthouse")));
const { connect } = await import(pathToFileURL(resolve("puppeteer-core")));
const browser = await connect({ browserURL: `http://127.0.0.1:${port}`, defaultViewport: null });

for await (const line of createInterface({ input: process.stdin })) {
    const [formFactor, address] = line.split(" ");
    const [page] = (await browser.pages()).filter((open) => open.url().startsWith(address));
    const flags = { formFactor, screenEmulation: { disabled: true }, onlyCategories: ["accessibility", "best-practices", "seo"] };
    const { lhr } = await snapshot(page, { flags });
    console.log(JSON.stringify(lhr));
}
await browser.disconnect();
