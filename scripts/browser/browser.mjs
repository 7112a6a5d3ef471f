// What the browser tests share: chromium, tabs whose console is watched, servers and runs.
// Nothing here sleeps: it waits for what it needs, and fails when that does not come.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

/** Longer than anything here takes on a busy machine. */
export const PATIENCE_MS = 30_000;
export const PHONE = { width: 390, height: 844 };

const CHROMIUM = process.env.FEEDMARK_CHROMIUM ?? "/usr/bin/chromium";
export const FEEDMARK = process.env.FEEDMARK ?? fileURLToPath(new URL("../../target/debug/feedmark", import.meta.url));

export const launch = () => chromium.launch({ executablePath: CHROMIUM });

/**
 * A tab of its own browser profile, closed with the test. What the console says against the page fails the test,
 * except for what `expected` matches: chromium counts every refused request as an error.
 */
export async function openTab(t, browser, { expected = /(?!)/, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const said = [];
  page.on("pageerror", (error) => said.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) said.push(`${message.type()}: ${message.text()}`);
  });
  t.after(async () => {
    await context.close();
    const unexpected = said.filter((line) => !expected.test(line));
    assert.deepEqual(unexpected, [], "what the console said");
  });
  return page;
}

/** A reference server in memory, stopped with the test at the latest. */
export async function startServer(t, { port = 0, flags = [] } = {}) {
  const args = ["target", "--store", "memory", "--stop-on-stdin-eof", "--log-level", "warn", "--port", port, ...flags];
  const child = spawn(FEEDMARK, args.map(String), { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const stop = () => {
    child.kill("SIGCONT"); // a test may have stopped it
    child.stdin.end();
    return ended;
  };
  t.after(stop);
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const url = /^listening on (http:\/\/\S+)$/.exec(value)?.[1];
  assert.ok(url, `the server said ${value}`);
  return { url, stop, signal: (name) => child.kill(name) };
}

/** A folder that goes with the test. */
export async function temporaryFolder(t) {
  const folder = await mkdtemp(join(tmpdir(), "feedmark-browser-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

/** `feedmark` with these arguments, killed with the test at the latest. */
export function startFeedmark(t, ...args) {
  const child = spawn(FEEDMARK, args.map(String), { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  t.after(() => {
    child.kill("SIGKILL");
    return ended;
  });
  const lines = [];
  const waiting = [];
  const look = () => {
    for (const [index, { pattern, resolve }] of [...waiting.entries()].reverse()) {
      const found = lines.map((line) => pattern.exec(line)).find(Boolean);
      if (found) waiting.splice(index, 1) && resolve(found);
    }
  };
  createInterface({ input: child.stderr }).on("line", (line) => lines.push(line) && look());
  return {
    ended,
    interrupt: () => child.kill("SIGINT"),
    /** The first line on stderr that matches. */
    said: (pattern) => {
      const found = new Promise((resolve) => waiting.push({ pattern, resolve }));
      look();
      return Promise.race([found, ended.then((code) => assert.fail(`ended with ${code}: ${lines.join("\n")}`))]);
    },
  };
}

/** `feedmark` with these arguments, to its end. */
export async function feedmark(...args) {
  const child = spawn(FEEDMARK, args.map(String), { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve, reject) => child.once("close", resolve).once("error", reject));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

/** Milliseconds until the page was loaded and something of it could be seen. */
export async function openingMs(page) {
  return page.evaluate(async () => {
    const painted = await new Promise((resolve) => {
      const seen = (list) => list.getEntriesByName("first-contentful-paint").forEach(({ startTime }) => resolve(startTime));
      new PerformanceObserver(seen).observe({ type: "paint", buffered: true });
    });
    return Math.max(painted, performance.getEntriesByType("navigation")[0].loadEventEnd);
  });
}

/** Whether the page is on a dark ground. */
export const isDark = (page) =>
  page.evaluate(() => parseInt(/\d+/.exec(getComputedStyle(document.body).backgroundColor)[0], 10) < 128);

/** Nothing sticks out to the right. */
export async function assertNoSideScroll(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `the page is ${content} px wide in a window of ${window} px`);
}

/** All text that is shown can be read: WCAG 2.2, 1.4.3, whose large text may have less. */
export async function assertContrast(page) {
  const faint = await page.evaluate(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    /** The colors on top of each other, the lowest first, as [r, g, b]. */
    const mixed = (colors) => {
      canvas.clearRect(0, 0, 1, 1);
      for (const color of ["white", ...colors]) {
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
      }
      return canvas.getImageData(0, 0, 1, 1).data;
    };
    const luminance = ([r, g, b]) => {
      const [lr, lg, lb] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * lr + 0.7152 * lg + 0.0722 * lb;
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
      const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
      const visible = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
      if (!own || !visible || element.matches(":disabled")) continue;
      const behind = [];
      for (let under = element; under; under = under.parentElement) behind.unshift(getComputedStyle(under).backgroundColor);
      const style = getComputedStyle(element);
      const ink = element instanceof SVGElement ? style.fill : style.color;
      const [light, dark] = [mixed(behind), mixed([...behind, ink])].map(luminance).sort((a, b) => b - a);
      const contrast = (light + 0.05) / (dark + 0.05);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      if (contrast < (large ? 3 : 4.5)) found.push(`${contrast.toFixed(2)}: ${element.textContent.trim().slice(0, 40)}`);
    }
    return found;
  });
  assert.deepEqual(faint, [], "text that is hard to read");
}
