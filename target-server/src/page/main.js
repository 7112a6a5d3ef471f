// The page: what people do and what the server says meet here, and the document follows.

import { Problem, call } from "/page/api.js";
import { Cards } from "/page/cards.js";
import { clear, onSubmit } from "/page/form.js";
import { Live } from "/page/live.js";
import { forget, remember, remembered } from "/page/session.js";
import { FIRST_VIEW, PER_PAGE, answered, happened, pages } from "/page/view.js";

/** A screen reader is told of new posts this often at most. */
const ANNOUNCE_MS = 5_000;

const element = (id) => document.getElementById(id);

let session = remembered();
let view = FIRST_VIEW;

// ---- showing: at most once per frame, however much happens

let drawing = false;
/** Whether what is to be drawn came live, not by turning a page. */
let cameLive = false;

function becomes(next, live) {
  view = next;
  cameLive = live;
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  if (!cards.show(view.posts, session?.userId, cameLive)) element("posts-heading").focus({ preventScroll: true });
  element("total").textContent = view.total === null ? "" : count(view.total, "post");
  element("empty").hidden = view.total !== 0;
  element("hold").hidden = view.page !== 1;
  element("hold").setAttribute("aria-pressed", String(view.held));
  element("waiting").hidden = view.waiting.length === 0;
  element("waiting").textContent = `Show ${count(view.waiting.length, "new post")}`;
  element("pager").hidden = pages(view) === 1 && view.page === 1;
  element("page-number").textContent = `Page ${view.page.toLocaleString()} of ${pages(view).toLocaleString()}`;
  element("newer").disabled = view.page === 1;
  element("older").disabled = view.page >= pages(view);
}

const count = (number, noun) => `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;

const cards = new Cards(element("posts"), element("post"), { onEdit: openEdit, onDelete: openDelete });

let arrived = 0;
let announcing = false;

function announce() {
  announcing = arrived > 0;
  if (!announcing) return;
  element("announcer").textContent = count(arrived, "new post");
  arrived = 0;
  setTimeout(announce, ANNOUNCE_MS);
}

// ---- pages of the feed

/** A page is being asked for: the events since then. */
let loading = null;

const read = (page, perPage) => call("GET", `/feed/posts?page=${page}&per_page=${perPage}`);

async function load(page) {
  const mine = (loading = { since: [] });
  try {
    // Only the first page says how new its total is.
    const [answer, first] = await Promise.all([read(page, PER_PAGE), page === 1 ? null : read(1, 1)]);
    if (loading !== mine) return;
    loading = null;
    element("feed-problem").textContent = "";
    if (answer.posts.length === 0 && page > 1) return await load(page - 1);
    const { totalItems, posts: [newest] } = first ?? answer;
    becomes(answered(view, page, { posts: answer.posts, totalItems, newest }, mine.since), false);
    fillGap();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (loading !== mine) return;
    loading = null;
    element("feed-problem").textContent = problem.message;
  }
}

/** Held posts stay as they are, and one answer at a time is enough. */
function fillGap() {
  if (view.gap && !view.held && loading === null) load(view.page);
}

function release(page) {
  becomes({ ...view, held: false }, false);
  return load(page);
}

element("newer").addEventListener("click", () => release(view.page - 1));
element("older").addEventListener("click", () => release(view.page + 1));
element("waiting").addEventListener("click", () => release(1));
element("hold").addEventListener("click", () => {
  if (view.held) release(view.page);
  else becomes({ ...view, held: true }, false);
});

const live = new Live(`${location.origin.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`, {
  token: () => session?.token,
  onState(state, why) {
    element("connection").dataset.state = state;
    element("connection").textContent = {
      connecting: "connecting",
      live: "live",
      offline: "offline, trying again",
      refused: `not live: ${why}`,
    }[state];
    // What happened before is known to the REST side alone.
    if (state === "live") load(view.page);
  },
  onEvent(name, event) {
    if (name !== "posts") return;
    loading?.since.push(event);
    becomes(happened(view, event), true);
    fillGap();
    if (event.action !== "create") return;
    arrived += 1;
    if (!announcing) announce();
  },
});
addEventListener("online", () => live.connected || live.open());

/** After one's own change: the event has shown it already, unless no events come or the page does not take them. */
async function caughtUp(page) {
  if (!live.connected || page !== view.page || view.held) await release(page);
}

// ---- the account

function showAccount() {
  element("guest").hidden = session !== null;
  element("member").hidden = session === null;
  element("anonymous").hidden = session !== null;
  element("email").textContent = session?.email ?? "";
  becomes(view, false);
}

function logOut(why) {
  forget();
  session = null;
  element("status").reset();
  element("ended").textContent = why;
  showAccount();
}

/** Asks as the one who is logged in. A token that is refused ends the session. */
async function ask(method, path, body) {
  try {
    return await call(method, path, { token: session?.token, body });
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    if (session === null) throw new Problem(401, "this server takes posts only from those who are logged in: log in first");
    logOut(problem.message);
    throw new Problem(401, "not sent: log in again, then repeat it");
  }
}

async function readStatus() {
  const { status } = await ask("GET", "/auth/status");
  element("status-text").value = status;
}

async function logIn({ email, password }) {
  const { token, userId } = await call("POST", "/auth/login", { body: { email, password } });
  session = { token, userId, email: email.trim() };
  remember(session);
  for (const form of ["login", "signup"]) element(form).reset();
  element("ended").textContent = "";
  showAccount();
  element("member-heading").focus();
  if (!live.connected) live.open();
  await readStatus();
}

onSubmit(element("login"), logIn);
onSubmit(element("signup"), async ({ name, email, password }) => {
  await call("PUT", "/auth/signup", { body: { name, email, password } });
  await logIn({ email, password });
});
onSubmit(element("status"), async ({ status }) => {
  const done = element("status").querySelector(".done");
  done.textContent = "";
  await ask("PATCH", "/auth/status", { status });
  done.textContent = "saved";
});
element("logout").addEventListener("click", () => {
  logOut("");
  element("guest-heading").focus();
});

// ---- one's own posts

onSubmit(element("compose"), async ({ title, content }) => {
  await ask("POST", "/feed/post", { title, content });
  element("compose").reset();
  element("announcer").textContent = "your post is published";
  await caughtUp(1);
});

const pathOf = (post) => `/feed/post/${encodeURIComponent(post._id)}`;

/** The post that a dialog is about. */
let chosen = null;

function open(dialog, post) {
  chosen = post;
  clear(dialog.querySelector("form"));
  dialog.showModal();
}

function openEdit(post) {
  element("edit-title").value = post.title;
  element("edit-content").value = post.content;
  open(element("edit-dialog"), post);
}

function openDelete(post) {
  element("delete-dialog").querySelector('[data-part="title"]').textContent = post.title;
  open(element("delete-dialog"), post);
}

onSubmit(element("edit"), async ({ title, content }) => {
  const { post } = await ask("PUT", pathOf(chosen), { title, content });
  element("edit-dialog").close();
  becomes(happened(view, { action: "update", post }), true);
});
onSubmit(element("delete"), async () => {
  await ask("DELETE", pathOf(chosen));
  element("delete-dialog").close();
  if (!live.connected) await load(view.page);
});
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector('[data-part="cancel"]').addEventListener("click", () => dialog.close());
}

// ---- the start

showAccount();
if (session) {
  readStatus().catch((problem) => {
    if (!(problem instanceof Problem)) throw problem;
    if (session) element("status").querySelector("[role=alert]").textContent = problem.message;
  });
}
load(1);
live.open();
