// The pages that feedmark writes, of real runs, as people open them: from a file, offline.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import {
  PHONE, assertContrast, assertNoSideScroll, feedmark, isDark, launch, openTab, openingMs, temporaryFolder,
} from "./browser.mjs";

const OPENING_MS_MAX = 1_000;
/** Of a run of ten minutes with 10,000 subscribers, made up by a test of the crate that writes reports. */
const LARGE = process.env.FEEDMARK_LARGE_REPORT;

/** Of every kind, simulated by a test of the same crate. */
const SESSIONS = process.env.FEEDMARK_CAPACITY_SESSIONS;

/** Every chart has marks, a table, and words for those who see neither. */
async function assertCharts(page, least) {
  await page.locator("details.part:not([open])").evaluateAll((parts) => parts.forEach((part) => (part.open = true)));
  const charts = await page.locator("figure.chart").evaluateAll((figures) =>
    figures.map((figure) => ({
      id: figure.id,
      marks: [...figure.querySelectorAll(".box path:not(.grid), .box .heat *")].filter((mark) => {
        const { width, height } = mark.getBoundingClientRect();
        return width > 0 || height > 0;
      }).length,
      rows: figure.querySelectorAll("tbody tr").length,
      spoken: figure.querySelector("svg.frame desc").textContent.length,
    })),
  );
  assert.ok(charts.length >= least, `${charts.length} charts`);
  for (const { id, marks, rows, spoken } of charts) {
    assert.ok(marks > 0 && rows > 0 && spoken > 0, `${id}: ${marks} marks, ${rows} rows, ${spoken} characters in words`);
  }
}

/** What an axis is called can be read, however little room there is. */
async function assertAxisTitles(page) {
  const cut = await page.locator(".plot").evaluateAll((plots) =>
    plots.flatMap((plot) => {
      const title = plot.querySelector(".axis-title");
      // As narrow as it is, and as one whose labels are long.
      const lefts = [0, 1].map(() => (plot.classList.toggle("wide"), title.getBoundingClientRect().left));
      return lefts.some((left) => left < 0) ? [title.textContent] : [];
    }),
  );
  assert.deepEqual(cut, [], "titles that begin left of the screen");
}

async function assertOpensAtOnce(page) {
  const ms = await openingMs(page);
  assert.ok(ms < OPENING_MS_MAX, `opened in ${ms} ms`);
}

test("the pages of runs", async (t) => {
  const browser = await launch();
  t.after(() => browser.close());
  const folder = join(await temporaryFolder(t), "run");
  // A stall and lost deliveries, so that there is something to tell of.
  const faults = ["--fault", "kind=stall,at=5s,for=500ms", "--fault", "kind=drop,share=0.01"];
  const run = await feedmark("run", "-c", 50, "-r", "20/s", "-d", "8s", "--warmup", "1s", "--deadline", "1s", "--quiet", "--out", folder, ...faults);
  assert.ok([98, 99].includes(run.code), `deliveries were lost: ${run.code} ${run.stderr}`);
  const report = pathToFileURL(join(folder, "report.html")).href;

  const openReport = async (t, options, url = report) => {
    const page = await openTab(t, browser, options);
    const requests = [];
    page.on("request", (request) => requests.push(request.url()));
    await page.context().setOffline(true);
    await page.goto(url);
    assert.deepEqual(requests, [url], "the report is one file");
    return page;
  };

  await t.test("opens at once, offline, and every chart has marks and a table", async (t) => {
    const page = await openReport(t);
    await assertOpensAtOnce(page);
    await assertCharts(page, 6);
  });

  await t.test("pointing and arrow keys read a chart out", async (t) => {
    const page = await openReport(t);
    for (const figure of await page.locator("figure.chart").all()) {
      const [frame, readout] = [figure.locator(".frame"), figure.locator(".readout")];
      await frame.scrollIntoViewIfNeeded();
      await frame.hover();
      const pointed = await readout.textContent();
      assert.match(pointed, /\d/, await figure.getAttribute("id"));
      assert.ok(await readout.isVisible());
      const row = pointed.slice(0, (await readout.locator("b").textContent()).length);
      assert.ok((await figure.locator("tbody th, tbody td:first-child").allTextContents()).includes(row), `${row} is a row of the table`);
      await page.mouse.move(0, 0);
      await readout.waitFor({ state: "hidden" });
      await figure.locator(".plot").press("ArrowRight");
      assert.match(await readout.textContent(), /\d/);
      await figure.locator(".plot").press("Escape");
      await readout.waitFor({ state: "hidden" });
    }
  });

  await t.test("dragging zooms, and the series can be left out", async (t) => {
    const page = await openReport(t);
    const figure = page.locator('figure.chart[data-along="x"]').first();
    const frame = figure.locator(".frame");
    await frame.scrollIntoViewIfNeeded();
    const whole = await figure.locator(".box").getAttribute("viewBox");
    const { x, y, width, height } = await frame.boundingBox();
    await page.mouse.move(x + width * 0.4, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.6, y + height / 2);
    await page.mouse.up();
    assert.notEqual(await figure.locator(".box").getAttribute("viewBox"), whole);
    await figure.getByRole("button", { name: "show all" }).click();
    assert.equal(await figure.locator(".box").getAttribute("viewBox"), whole);

    const toggle = figure.locator(".toggle").first();
    const color = await toggle.getAttribute("data-color");
    await toggle.uncheck();
    await figure.locator(`path.s${color}`).first().waitFor({ state: "hidden" });
  });

  await t.test("a part without rows is read out as nothing", async (t) => {
    const page = await openReport(t);
    const figure = page.locator("#latency");
    const [frame, plot, readout, cursor] = [".frame", ".plot", ".readout", ".cursor"].map((part) => figure.locator(part));
    await frame.scrollIntoViewIfNeeded();
    const { x, y, width, height } = await frame.boundingBox();
    const drag = async (from, to) => {
      await page.mouse.move(x + width * from, y + height / 2);
      await page.mouse.down();
      await page.mouse.move(x + width * to, y + height / 2);
      await page.mouse.up();
    };
    // The warm-up begins the axis, and is at least a twentieth of it.
    await drag(0.002, 0.04);
    for (const key of ["ArrowRight", "ArrowLeft"]) {
      await plot.press(key);
      assert.equal(await readout.isVisible(), false, key);
    }
    await page.mouse.move(x + width / 2, y + height / 2);
    assert.equal(await cursor.isVisible(), false, "there is nothing to point at");
    await plot.press("Escape");

    await drag(0.4, 0.6);
    for (const at of [0.01, 0.99]) {
      await page.mouse.move(x + width * at, y + height / 2);
      const place = parseFloat(await cursor.getAttribute("x1"));
      assert.ok(place >= 0 && place <= 100, `the cursor is at ${place} % of the chart`);
    }
    for (let presses = 0; presses < 5; presses += 1) await plot.press("ArrowRight");
    const place = parseFloat(await cursor.getAttribute("x1"));
    assert.ok(place > 50 && place <= 100, `the last row of the part is at ${place} %`);
  });

  await t.test("the files are in it", async (t) => {
    const page = await openReport(t);
    for (const name of ["run.json", "run.hlog", "run.hgrm", "posts.csv"]) {
      const saved = page.waitForEvent("download");
      await page.locator(`a[data-name="${name}"]`).click();
      const download = await saved;
      assert.equal(download.suggestedFilename(), name);
      assert.deepEqual(await readFile(await download.path()), await readFile(join(folder, name)), name);
    }
  });

  await t.test("several runs, and what changed between them, have pages too", async (t) => {
    const [overlay, comparison] = ["overlay.html", "comparison.html"].map((name) => join(folder, name));
    const laid = await feedmark("report", folder, folder, "--out", overlay);
    assert.equal(laid.code, 0, laid.stderr);
    // By force, because the figures of a busy machine may not be comparable.
    const compared = await feedmark("compare", folder, folder, "--force", "--format", "html");
    assert.equal(compared.code, 0, compared.stderr);
    await writeFile(comparison, compared.stdout);
    for (const [file, charts] of [[overlay, 3], [comparison, 1]]) {
      const page = await openReport(t, { colorScheme: "dark" }, pathToFileURL(file).href);
      await assertOpensAtOnce(page);
      await assertCharts(page, charts);
      await assertContrast(page);
      await page.setViewportSize(PHONE);
      await assertNoSideScroll(page);
      await assertAxisTitles(page);
    }
  });

  await t.test("a long run opens at once", { skip: LARGE === undefined && "no FEEDMARK_LARGE_REPORT" }, async (t) => {
    const page = await openReport(t, {}, pathToFileURL(LARGE).href);
    await assertOpensAtOnce(page);
    await assertCharts(page, 6);
  });

  for (const colorScheme of ["light", "dark"]) {
    await t.test(`${colorScheme}: can be read, on a phone too, and be switched`, async (t) => {
      const page = await openReport(t, { colorScheme });
      assert.equal(await isDark(page), colorScheme === "dark");
      await assertContrast(page);
      const other = colorScheme === "dark" ? "Light" : "Dark";
      await page.getByText(other, { exact: true }).click();
      assert.equal(await isDark(page), other === "Dark");
      await page.setViewportSize(PHONE);
      await assertNoSideScroll(page);
      await assertAxisTitles(page);
      await assertContrast(page);
    });
  }

  await t.test("prints, dark or not, with its charts", async (t) => {
    const page = await openReport(t, { colorScheme: "dark" });
    const pdf = await page.pdf({ format: "A4" });
    assert.equal(pdf.subarray(0, 5).toString(), "%PDF-");
    await page.emulateMedia({ media: "print" });
    assert.equal(await isDark(page), false);
    assert.equal(await page.locator(".theme").isVisible(), false);
    for (const frame of await page.locator("figure.chart .frame").all()) assert.ok(await frame.isVisible());
  });

  await t.test("is whole without its script", async (t) => {
    const page = await openReport(t, { javaScriptEnabled: false });
    for (const frame of await page.locator("figure.chart .frame").all()) assert.ok(await frame.isVisible());
    await page.locator("figure.chart summary").first().click();
    assert.ok(await page.locator("figure.chart tbody tr").first().isVisible());
  });
});

test("the pages of capacity sessions", { skip: SESSIONS === undefined && "no FEEDMARK_CAPACITY_SESSIONS" }, async (t) => {
  const browser = await launch();
  t.after(() => browser.close());

  const pageOf = async (t, name, options) => {
    const out = join(await temporaryFolder(t), "report.html");
    const made = await feedmark("report", join(SESSIONS, name), "--out", out);
    assert.equal(made.code, 0, made.stderr);
    const page = await openTab(t, browser, options);
    await page.context().setOffline(true);
    await page.goto(pathToFileURL(out).href);
    return page;
  };

  for (const [name, charts] of Object.entries({
    rate: 5, subscribers: 5, frontier: 25, "frontier-refused": 20, cores: 40, "generator-limited": 4, "nothing-holds": 3, "short-budget": 5, "under-way": 5, empty: 0, many: 100,
  })) {
    await t.test(`${name}: opens at once, can be read, light and dark, on a phone too`, async (t) => {
      const page = await pageOf(t, name);
      await assertOpensAtOnce(page);
      await assertCharts(page, charts);
      await assertNoSideScroll(page);
      await assertContrast(page);
      await page.getByText("Dark", { exact: true }).click();
      await page.setViewportSize(PHONE);
      await assertNoSideScroll(page);
      await assertAxisTitles(page);
      await assertContrast(page);
    });
  }

  for (const javaScriptEnabled of [true, false]) {
    await t.test(`every search is printed with its name, ${javaScriptEnabled ? "and folded again" : "without the script, too"}`, async (t) => {
      const page = await pageOf(t, "frontier", { javaScriptEnabled });
      const parts = await page.locator("details.part").count();
      assert.ok(parts > 1);
      const opened = () => page.locator("details.part[open]").count();
      await page.emulateMedia({ media: "print" });
      if (javaScriptEnabled) {
        await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
        assert.equal(await opened(), parts);
      }
      for (const part of await page.locator("details.part").all()) {
        assert.ok(await part.locator(":scope > summary").isVisible());
        assert.ok(await part.locator("figure.chart .frame").first().isVisible());
        assert.equal(await part.locator("figure.chart tbody tr").first().isVisible(), false, "figures of charts are not printed");
      }
      if (javaScriptEnabled) {
        await page.evaluate(() => dispatchEvent(new Event("afterprint")));
        assert.equal(await opened(), 1);
      }
    });
  }

  await t.test("a planned load leads to its answer", async (t) => {
    const page = await pageOf(t, "frontier");
    await page.locator('#frontier a[href="#planned-2"]').click();
    assert.equal(await page.evaluate(() => location.hash), "#planned-2");
    assert.match(await page.locator("tr:target").textContent(), /14000 subscribers/);
  });

  await t.test("pointing at the knee reads a step out, and marks its load in what was used", async (t) => {
    const page = await pageOf(t, "rate");
    await page.locator("#knee-1 .frame").scrollIntoViewIfNeeded();
    await page.locator("#knee-1 .frame").hover();
    assert.match(await page.locator("#knee-1 .readout").textContent(), /posts\/s.*full fan-out p99/s);
    assert.equal(await page.locator("#shares-1 .cursor").getAttribute("hidden"), null);
  });

  await t.test("its data is in it", async (t) => {
    const page = await pageOf(t, "rate");
    const saved = page.waitForEvent("download");
    await page.locator('a[data-name="capacity.json"]').click();
    const session = JSON.parse(await readFile(await (await saved).path(), "utf8"));
    assert.deepEqual(session, JSON.parse(await readFile(join(SESSIONS, "rate", "capacity.json"), "utf8")));
  });
});
