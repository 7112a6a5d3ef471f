// The reference server's page at `/`, as people use it.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { PHONE, assertContrast, assertNoSideScroll, feedmark, isDark, launch, openTab, startServer, temporaryFolder } from "./browser.mjs";
import { card, logIn, openFeed, post, serverPage, signUp, titles, untilLive, untilTitles, write } from "./feed.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const numbered = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => `post number ${from + index}`);

async function postNumbered(url, from, to) {
  for (const title of numbered(from, to)) await post(url, title);
}

test("someone signs up, sets a status, logs out and in again", async (t) => {
  const { url } = await startServer(t);
  const page = await openTab(t, browser, { expected: /status of 401/ });
  await openFeed(page, url);
  await signUp(page, "ada");
  const status = page.getByLabel("Your status");
  await page.waitForFunction(() => document.querySelector("#status-text").value === "I am new!");
  await status.fill("reading");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("saved", { exact: true }).waitFor();

  await page.reload();
  await page.waitForFunction(() => document.querySelector("#status-text").value === "reading");
  await page.getByText("ada@example.com").waitFor();

  await page.getByRole("button", { name: "Log out" }).click();
  await page.locator("#login-details").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0, "nothing is left of the session");
  await logIn(page, "ada", "wrong horse");
  await page.getByText("no account has this email and password").waitFor();
  assert.equal(await page.getByRole("button", { name: "Log out" }).isVisible(), false);
  await logIn(page, "ada");
  await page.waitForFunction(() => document.querySelector("#status-text").value === "reading");
});

test("what the server refuses stands beside the field", async (t) => {
  const { url } = await startServer(t);
  const page = await openTab(t, browser, { expected: /status of 4(22|01)/ });
  await openFeed(page, url);
  await write(page, "nobody asked me", "but I posted");
  await page.getByText("log in first").waitFor();

  await signUp(page, "bob");
  await write(page, "abc", "some content");
  const title = page.locator("#compose-title");
  await page.getByText("title has 3 characters: at least 5 are needed").waitFor();
  assert.equal(await title.getAttribute("aria-invalid"), "true");
  const described = await title.getAttribute("aria-describedby");
  assert.match(await page.locator(`#${described}`).textContent(), /title has 3 characters/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "compose-title");
  await write(page, "abcdef", "some content");
  await untilTitles(page, ["abcdef"]);
  assert.equal(await title.getAttribute("aria-invalid"), null, "what was said is taken back");
  assert.equal(await page.locator(".field-problem").count(), 0);

  const other = await openTab(t, browser, { expected: /status of 422/ });
  await openFeed(other, url);
  await other.locator("summary", { hasText: "Sign up" }).click();
  await other.locator("#signup").getByLabel("Email").fill("bob@example.com");
  await other.locator("#signup").getByLabel("Password").fill("1234");
  await other.locator("#signup").getByRole("button").click();
  await other.getByText("password has 4 characters").waitFor();
  await other.getByText("name has 0 characters").waitFor();
  await other.locator("#signup").getByLabel("Name").fill("Bob");
  await other.locator("#signup").getByLabel("Password").fill("12345");
  await other.locator("#signup").getByRole("button").click();
  await other.getByText("already has an account").waitFor();
});

test("a post, its edit and its end reach another browser live", async (t) => {
  const { url } = await startServer(t, { flags: ["--open"] });
  await postNumbered(url, 1, 11);
  const [writer, reader] = [await openTab(t, browser), await openTab(t, browser)];
  await Promise.all([openFeed(writer, url), openFeed(reader, url)]);
  await signUp(writer, "ada");
  await untilTitles(reader, numbered(2, 11).reverse());

  await write(writer, "hello from ada", "first line\nsecond line");
  const withNew = ["hello from ada", ...numbered(3, 11).reverse()];
  await Promise.all([untilTitles(reader, withNew), untilTitles(writer, withNew)]);
  await reader.getByText("12 posts").waitFor();
  assert.equal(await card(reader, "hello from ada").getByRole("button").count(), 0, "it is not the reader's");
  assert.equal(await writer.locator("#posts").getByRole("button", { name: "Edit" }).count(), 1, "only one's own");

  await card(writer, "hello from ada").getByRole("button", { name: "Edit" }).click();
  const dialog = writer.getByRole("dialog");
  assert.equal(await dialog.getByLabel("Content").inputValue(), "first line\nsecond line");
  await dialog.getByLabel("Title").fill("hello again from ada");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "hidden" });
  await untilTitles(reader, ["hello again from ada", ...numbered(3, 11).reverse()]);
  await card(reader, "hello again from ada").getByText("edited").waitFor();

  await card(writer, "hello again from ada").getByRole("button", { name: "Delete" }).click();
  await writer.keyboard.press("Escape");
  await writer.getByRole("dialog").waitFor({ state: "hidden" });
  await card(writer, "hello again from ada").getByRole("button", { name: "Delete" }).click();
  await writer.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  const without = numbered(2, 11).reverse();
  await Promise.all([untilTitles(reader, without), untilTitles(writer, without)]);
  await reader.getByText("11 posts").waitFor();
});

test("pages turn, and new posts do not move the one being read", async (t) => {
  const { url } = await startServer(t, { flags: ["--open"] });
  await postNumbered(url, 1, 25);
  const page = await openTab(t, browser);
  await openFeed(page, url);
  await untilTitles(page, numbered(16, 25).reverse());
  const [newer, older] = [page.getByRole("button", { name: "Newer" }), page.getByRole("button", { name: "Older" })];
  assert.equal(await newer.isDisabled(), true);
  await older.click();
  await untilTitles(page, numbered(6, 15).reverse());
  await older.click();
  await untilTitles(page, numbered(1, 5).reverse());
  await page.getByText("Page 3 of 3").waitFor();
  assert.equal(await older.isDisabled(), true);

  await post(url, "while you read");
  await page.getByRole("button", { name: "Show 1 new post" }).waitFor();
  assert.deepEqual(await titles(page), numbered(1, 5).reverse());
  await newer.click();
  await untilTitles(page, numbered(7, 16).reverse());
  await page.getByRole("button", { name: "Show 1 new post" }).click();
  await untilTitles(page, ["while you read", ...numbered(17, 25).reverse()]);
});

test("held posts wait until they are wanted", async (t) => {
  const { url } = await startServer(t, { flags: ["--open"] });
  await postNumbered(url, 1, 3);
  const page = await openTab(t, browser);
  await openFeed(page, url);
  await untilTitles(page, numbered(1, 3).reverse());
  const hold = page.getByRole("button", { name: "Hold new posts" });
  await hold.click();
  await page.locator('#hold[aria-pressed="true"]').waitFor();
  await postNumbered(url, 4, 5);
  await page.getByRole("button", { name: "Show 2 new posts" }).waitFor();
  assert.deepEqual(await titles(page), numbered(1, 3).reverse());
  await hold.click();
  await untilTitles(page, numbered(1, 5).reverse());
});

test("hostile text is shown and does nothing", async (t) => {
  const { url } = await startServer(t, { flags: ["--open"] });
  const hostile = [
    `<script>window.hacked = 1</script>`,
    `<img src=x onerror="window.hacked = 2">`,
    `"><svg onload=window.hacked=3>`,
    `</h3></template><style>*{display:none}</style>`,
    `\u202Egnp.exe \u0000 javascript:alert(1)`,
  ];
  const page = await openTab(t, browser);
  await openFeed(page, url);
  for (const text of hostile) await post(url, text, text);
  await untilTitles(page, [...hostile].reverse());
  assert.deepEqual(await page.locator("#posts .content").allTextContents(), [...hostile].reverse());
  await page.reload();
  await untilTitles(page, [...hostile].reverse());
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator("#posts :is(script, img, svg, style)").count(), 0);
});

test("the page comes back with a server that was away, and catches up", async (t) => {
  const first = await startServer(t, { flags: ["--open"] });
  const page = await openTab(t, browser, { expected: /WebSocket|status of 401|ERR_CONNECTION_REFUSED/ });
  await openFeed(page, first.url);
  await signUp(page, "ada");
  await post(first.url, "before it went");
  await untilTitles(page, ["before it went"]);
  await first.stop();
  await page.locator('#connection[data-state="offline"]').waitFor();
  await write(page, "into the void");
  await page.getByText("the server does not answer").waitFor();

  // On the same port, and with nothing of what the first one kept: posts, users, the key of the tokens.
  const second = await startServer(t, { port: new URL(first.url).port, flags: ["--open"] });
  await post(second.url, "while you were away");
  await untilLive(page);
  await untilTitles(page, ["while you were away"]);
  await write(page, "with a dead token");
  await page.getByText("log in again").first().waitFor();
  assert.equal(await page.locator("#compose-title").inputValue(), "with a dead token", "nothing typed is lost");
});

test("heartbeats are answered, and a server that falls silent is noticed", async (t) => {
  const { url, signal } = await startServer(t, { flags: ["--ping-interval", "300ms", "--ping-timeout", "700ms"] });
  const page = await openTab(t, browser, { expected: /WebSocket/ });
  const first = page.waitForEvent("websocket");
  await page.goto(url);
  const socket = await first;
  for (let beat = 0; beat < 5; beat += 1) await socket.waitForEvent("framesent", ({ payload }) => payload === "3");
  await untilLive(page);
  assert.equal(socket.isClosed(), false, "the server was content");
  signal("SIGSTOP");
  await page.locator('#connection:not([data-state="live"])').waitFor();
  signal("SIGCONT");
  await untilLive(page);
});

test("a server that refuses sockets without a token is live after logging in", async (t) => {
  const { url } = await startServer(t, { flags: ["--socket-auth"] });
  const page = await openTab(t, browser);
  await page.goto(url);
  await page.getByText("not live: not authenticated").waitFor();
  await signUp(page, "ada");
  await untilLive(page);
  await write(page, "seen by those who may");
  await untilTitles(page, ["seen by those who may"]);
});

test("by keyboard alone", async (t) => {
  const { url } = await startServer(t, { flags: ["--open"] });
  const page = await openTab(t, browser);
  await openFeed(page, url);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.id === "posts-heading");
  await page.keyboard.press("Shift+Tab"); // the button of the form before it
  for (const text of ["content by keyboard", "title by keyboard"]) {
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.type(text);
  }
  await page.keyboard.press("Enter");
  await untilTitles(page, ["title by keyboard"]);
  await page.waitForFunction(() => document.querySelector("#compose-title").value === "");
});

for (const colorScheme of ["light", "dark"]) {
  test(`on a phone, ${colorScheme}: nothing sticks out, everything can be read`, async (t) => {
    const { url } = await startServer(t, { flags: ["--open"] });
    const page = await openTab(t, browser, { viewport: PHONE, colorScheme, expected: /status of 422/ });
    await openFeed(page, url);
    await assertContrast(page);
    await post(url, "W".repeat(200), "M".repeat(5_000));
    await signUp(page, "a".repeat(60));
    await write(page, "mine ".repeat(40));
    await page.locator("#posts li").nth(1).waitFor();
    await write(page, "abc", "abc");
    await page.getByText("content has 3 characters").waitFor();
    // What came live is tinted for a moment.
    await page.waitForFunction(() => document.getAnimations().length === 0);
    await assertNoSideScroll(page);
    await assertContrast(page);
    await page.getByRole("button", { name: "Edit" }).click();
    await assertNoSideScroll(page);
    await assertContrast(page);
    assert.equal(await isDark(page), colorScheme === "dark");
  });
}

test("it stays usable while a run posts", async (t) => {
  const { url } = await startServer(t, { flags: ["--open"] });
  const page = await openTab(t, browser);
  await openFeed(page, url);
  await signUp(page, "ada");
  const out = join(await temporaryFolder(t), "run");
  const run = feedmark("run", "--url", url, "-c", 50, "-r", "25/s", "-d", "8s", "--warmup", "1s", "--deadline", "1s", "--quiet", "--out", out);
  await page.waitForFunction(() => parseInt(document.querySelector("#total").textContent, 10) > 50);
  await write(page, "between all the others");
  await card(page, "between all the others").waitFor();

  await page.getByRole("button", { name: "Hold new posts" }).click();
  await page.locator('#hold[aria-pressed="true"]').waitFor();
  const held = await titles(page);
  await page.waitForFunction(() => parseInt(document.querySelector("#waiting").textContent.slice(5), 10) > 25);
  assert.deepEqual(await titles(page), held);
  await page.locator("#waiting").click();
  await page.waitForFunction((old) => document.querySelector("#posts h3").textContent !== old, held[0]);
  assert.equal((await titles(page)).length, 10, "the page does not grow");

  const { code, stderr } = await run;
  assert.ok([0, 97, 98].includes(code), `the run went through: ${code} ${stderr}`);
  const { posts, totalItems } = await serverPage(url);
  await untilTitles(page, posts.map((shown) => shown.title));
  await page.getByText(`${totalItems.toLocaleString("en-US")} posts`).waitFor();
});
