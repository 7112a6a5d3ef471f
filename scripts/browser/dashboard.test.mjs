// The live page of a real run, from its start until after its end.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { PHONE, assertContrast, assertNoSideScroll, isDark, launch, openTab, startFeedmark, temporaryFolder } from "./browser.mjs";

/** Longer than the test looks: it interrupts the run. */
const LONG = ["-c", 50, "-r", "20/s", "-d", "10m", "--warmup", "1s", "--deadline", "1s"];

/** Rows of the table of the latency's chart: seconds seen. */
const seconds = (page) => page.locator("#latency tbody tr").count();

const untilSeconds = (page, least) =>
  page.waitForFunction((rows) => document.querySelectorAll("#latency tbody tr").length >= rows, least);

test("the dashboard of a run", async (t) => {
  const browser = await launch();
  t.after(() => browser.close());
  const folder = join(await temporaryFolder(t), "run");
  const run = startFeedmark(t, "run", ...LONG, "--quiet", "--out", folder, "--dashboard", "127.0.0.1:0");
  const [, url] = await run.said(/dashboard: (http:\S+)/);

  // Open all the time, so that what it shows in the end came live; in the very end the server goes.
  const page = await openTab(t, browser, { expected: /net::ERR_/ });
  await page.goto(url);

  await t.test("charts grow second by second, and have marks", async () => {
    await untilSeconds(page, 3);
    const marks = await page.locator("figure.chart .box path.line").evaluateAll((lines) =>
      lines.filter((line) => line.getBoundingClientRect().width > 0).length,
    );
    assert.ok(marks >= 6, `${marks} lines`);
    assert.match(await page.locator("#tiles").textContent(), /50/);
    assert.match(await page.title(), /steady · feedmark/);
  });

  await t.test("what is pointed at is read out and stays, and the rest goes on", async () => {
    await page.locator("#deliveries .frame").hover();
    const readout = page.locator("#deliveries .readout");
    await readout.waitFor();
    assert.match(await readout.textContent(), /\d/);
    const still = await page.locator("#deliveries tbody tr").count();
    await untilSeconds(page, (await seconds(page)) + 2);
    assert.ok(await readout.isVisible());
    assert.equal(await page.locator("#deliveries tbody tr").count(), still);
    await page.mouse.move(0, 0);
    await page.waitForFunction((rows) => document.querySelectorAll("#deliveries tbody tr").length > rows, still);
  });

  await t.test("a series that is left out stays out", async () => {
    const toggle = page.locator('#latency .toggle[data-color="2"]');
    await toggle.uncheck();
    await page.mouse.move(0, 0);
    await page.locator("body").focus();
    await page.evaluate(() => document.activeElement.blur());
    await untilSeconds(page, (await seconds(page)) + 2);
    assert.equal(await toggle.isChecked(), false);
    assert.equal(await page.locator("#latency path.s2").isVisible(), false);
    await toggle.check();
  });

  for (const colorScheme of ["light", "dark"]) {
    await t.test(`${colorScheme}, on a phone: nothing sticks out, everything can be read`, async (t) => {
      const phone = await openTab(t, browser, { viewport: PHONE, colorScheme });
      await phone.goto(url);
      await untilSeconds(phone, 3);
      assert.equal(await isDark(phone), colorScheme === "dark");
      await assertContrast(phone);
      await assertNoSideScroll(phone);
    });
  }

  await t.test("what is scrolled, selected or focused stays, and what is the same is left alone", async (t) => {
    const phone = await openTab(t, browser, { viewport: PHONE });
    await phone.goto(url);
    await untilSeconds(phone, 3);
    const left = () => phone.locator("#checks .scroll").evaluate((box) => box.scrollLeft);
    await phone.locator("#checks .scroll").evaluate((box) => box.scrollTo(60, 0));
    const scrolled = await left();
    assert.ok(scrolled > 0, "the table of the checks is wider than a phone");
    const marked = await phone.evaluateHandle(() => {
      const name = document.querySelector("#ledger tbody th");
      getSelection().selectAllChildren(name);
      document.querySelector("#checks").dataset.mark = "old";
      return name;
    });
    await untilSeconds(phone, (await seconds(phone)) + 3);
    assert.equal(await left(), scrolled);
    assert.equal(await phone.evaluate(() => String(getSelection())), "late");
    assert.ok(await marked.evaluate((name) => name.isConnected));
    await phone.evaluate(() => getSelection().removeAllRanges());
    await phone.waitForFunction((name) => !name.isConnected, marked);
  });

  await t.test("one page too many is told so", async (t) => {
    const others = new AbortController();
    t.after(() => others.abort());
    const held = []; // What nobody holds is collected, and its place with it.
    const last = () => held.at(-1)?.status ?? 200;
    const late = await openTab(t, browser, { expected: /503/ });
    let status = 200;
    // A page that was closed has its place until the server notices, and then the late one may get it.
    for (let turn = 0; turn < 8 && status === 200; turn++) {
      do held.push(await fetch(`${url}events`, { signal: others.signal })); while (last() === 200);
      const answered = late.waitForResponse((response) => response.url().endsWith("/events"));
      await late.goto(url);
      status = (await answered).status();
    }
    assert.deepEqual([last(), status], [503, 503]);
    await late.getByText("Too many pages are open").waitFor();
  });

  await t.test("it says how the run ended, leads to the report, and stays until Ctrl-C", async (t) => {
    run.interrupt();
    await run.said(/the dashboard stays open/);
    const link = page.getByRole("link", { name: "The full report" });
    await link.waitFor();
    const report = await openTab(t, browser);
    await report.goto(url);
    await report.getByRole("link", { name: "The full report" }).click();
    await report.locator("figure.chart .frame").first().waitFor();
    run.interrupt();
    assert.equal(await run.ended, 130);
    await page.getByText("The connection is lost").waitFor();
    assert.ok((await seconds(page)) > 3, "what was seen last stays");
  });
});
