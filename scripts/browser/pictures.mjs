// The pictures of the README, of one real run: usage: FEEDMARK=... node pictures.mjs FOLDER

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { FEEDMARK, launch, openTab, startServer, temporaryFolder } from "./browser.mjs";
import { card, openFeed, post, signUp, write } from "./feed.mjs";
import { terminalPage } from "./terminal.mjs";

const pictures = process.argv[2];
assert.ok(pictures, "name the folder of the pictures");

const SHARP = { deviceScaleFactor: 1.5 };
const BETWEEN_LOOKS_MS = 200;
const RUN_MS_MAX = 180_000;
const DASHBOARD = "127.0.0.1:4780";
/** The same load as the README's first command; the server stands still once, so that there is something to see. */
const RUN = ["run", "-c", "1000", "-r", "20/s", "-d", "60s", "--seed", "1", "--fault", "kind=stall,at=40s,for=700ms"];

const tmux = async (...args) => (await promisify(execFile)("tmux", ["-L", `feedmark-${process.pid}`, ...args])).stdout;

/** Looks until `look` finds something. */
async function eventually(what, look) {
  for (let waited = 0; waited < RUN_MS_MAX; waited += BETWEEN_LOOKS_MS) {
    const found = await look();
    if (found) return found;
    await pause(BETWEEN_LOOKS_MS);
  }
  assert.fail(`never: ${what}`);
}

test("pictures", async (t) => {
  const browser = await launch();
  t.after(() => browser.close());

  await t.test("the page of the reference server", async (t) => {
    const { url } = await startServer(t, { flags: ["--open"] });
    const page = await openTab(t, browser, { ...SHARP, viewport: { width: 1100, height: 720 } });
    await openFeed(page, url);
    await signUp(page, "ada");
    await post(url, "Is anybody else here?", "I see every post the moment it is written.");
    await post(url, "Yes, we are", "Two of us, and a load test.\nIt posts twenty times a second, and I can still read.");
    await write(page, "Hello from Ada", "My first post. You should have it by now.");
    await card(page, "Hello from Ada").waitFor();
    await page.screenshot({ path: join(pictures, "page.png") });
  });

  await t.test("a run: the terminal and the dashboard while it goes on, then the report", async (t) => {
    const folder = join(await temporaryFolder(t), "run");
    t.after(() => tmux("kill-server"));
    const command = [FEEDMARK, ...RUN, "--dashboard", DASHBOARD, "--out", folder].join(" ");
    await tmux("new-session", "-d", "-x", "104", "-y", "32", `${command} > /dev/null`);
    const wide = { ...SHARP, viewport: { width: 1120, height: 900 } };
    const dashboard = await openTab(t, browser, wide);
    await eventually("the dashboard answers", () => dashboard.goto(`http://${DASHBOARD}/`).catch(() => null));

    const screen = await eventually("the run is nearly over", async () => {
      const screen = await tmux("capture-pane", "-e", "-p");
      return /^ steady .* \d s left/m.test(screen.replaceAll(/\x1b\[[\d;]*m/g, "")) && screen;
    });
    await dashboard.screenshot({ path: join(pictures, "dashboard.png") });
    const terminal = await openTab(t, browser, SHARP);
    await terminal.setContent(terminalPage(screen));
    await terminal.locator("pre").screenshot({ path: join(pictures, "terminal.png") });

    await dashboard.getByRole("link", { name: "The full report" }).waitFor({ timeout: RUN_MS_MAX });
    const report = await openTab(t, browser, wide);
    await report.goto(pathToFileURL(join(folder, "report.html")).href);
    const chart = report.locator("figure.chart").first();
    const height = await chart.evaluate((figure) => figure.getBoundingClientRect().bottom + scrollY);
    const clip = { x: 0, y: 0, width: 1120, height: height + 4 };
    await report.screenshot({ path: join(pictures, "report.png"), clip, fullPage: true });
  });
});
