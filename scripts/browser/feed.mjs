// The reference server's page and API, as its tests use them.

import assert from "node:assert/strict";

export const PASSWORD = "correct horse";

/** Opens the page and waits until posts arrive live. */
export async function openFeed(page, url) {
  await page.goto(url);
  await untilLive(page);
}

export const untilLive = (page) => page.locator('#connection[data-state="live"]').waitFor();

export async function signUp(page, name) {
  await page.locator("summary", { hasText: "Sign up" }).click();
  const form = page.locator("#signup");
  await form.getByLabel("Name").fill(name);
  await form.getByLabel("Email").fill(`${name}@example.com`);
  await form.getByLabel("Password").fill(PASSWORD);
  await form.getByRole("button").click();
  await page.getByRole("button", { name: "Log out" }).waitFor();
}

export async function logIn(page, name, password = PASSWORD) {
  const form = page.locator("#login");
  if (!(await form.isVisible())) await page.locator("summary", { hasText: "Log in" }).click();
  await form.getByLabel("Email").fill(`${name}@example.com`);
  await form.getByLabel("Password").fill(password);
  await form.getByRole("button").click();
}

/** Through the page's own form. */
export async function write(page, title, content = "some content") {
  const form = page.locator("#compose");
  await form.getByLabel("Title").fill(title);
  await form.getByLabel("Content").fill(content);
  await form.getByRole("button").click();
}

export const card = (page, title) => page.locator("#posts li").filter({ has: page.getByRole("heading", { name: title }) });

export const titles = (page) => page.locator("#posts h3").allTextContents();

/** Waits until the page shows exactly these posts. */
export async function untilTitles(page, wanted) {
  const shown = (texts) => [...document.querySelectorAll("#posts h3")].map((h) => h.textContent).join("\n") === texts;
  await page.waitForFunction(shown, wanted.join("\n")).catch(async (why) => {
    assert.deepEqual(await titles(page), wanted);
    throw why;
  });
}

/** Past the page: a server with --open takes posts from anyone. */
export async function post(url, title, content = "some content") {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/feed/post`, { method: "POST", headers, body: JSON.stringify({ title, content }) });
  assert.equal(response.status, 201, await response.clone().text());
}

/** What the server says is on page 1. */
export async function serverPage(url, perPage = 10) {
  return (await fetch(`${url}/feed/posts?per_page=${perPage}`)).json();
}
