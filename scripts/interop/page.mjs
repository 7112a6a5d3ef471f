// The course's page, driven by the real socket.io-client: what a browser does with a feed server, checked step by step.
// It signs up, logs in, reads its status, shows page 1 (2 posts), opens the socket, and then follows what another user
// does through REST: a new post goes on top and the last one is dropped, a change replaces, a deletion reloads.
// After each step the page must equal what GET /feed/posts answers. No step sleeps: each awaits its event or times out.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";

import { io } from "socket.io-client";

const USAGE = `usage: node page.mjs [options] URL
  --transport MODE   websocket | upgrade (polling, then websocket: the client's default) | polling (default websocket)
  --posts K          posts of the other user (default 5)
  --event NAME       event that carries a post (default posts)
  --namespace NAME   Socket.IO namespace of the feed (default /)
  --path PATH        path of the Socket.IO endpoint (default /socket.io/)
  --auth TOKEN       send {"token": TOKEN} with the Socket.IO CONNECT (default: the user's own token)
  --timeout MS       longest wait for one answer or event (default 5000)`;

const PER_PAGE = 2;
const TRANSPORTS = { websocket: ["websocket"], upgrade: ["polling", "websocket"], polling: ["polling"] };

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        transport: { type: "string", default: "websocket" },
        posts: { type: "string", default: "5" },
        event: { type: "string", default: "posts" },
        namespace: { type: "string", default: "/" },
        path: { type: "string", default: "/socket.io/" },
        auth: { type: "string" },
        timeout: { type: "string", default: "5000" },
      },
    });
    if (positionals.length !== 1) throw new Error("give one URL of a feed server");
    if (!URL.canParse(positionals[0])) throw new Error(`${positionals[0]}: not a URL`);
    if (!(values.transport in TRANSPORTS)) throw new Error(`--transport ${values.transport}: not a mode`);
    for (const name of ["posts", "timeout"]) {
      if (!/^[1-9]\d*$/.test(values[name])) throw new Error(`--${name} ${values[name]}: not a whole number above 0`);
      values[name] = Number(values[name]);
    }
    return { ...values, url: new URL(positionals[0]).origin };
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

const options = readOptions();

// ---- the feed server's REST side

/** Sends a request; the status must be the expected one; returns the JSON body. */
async function call(expected, method, path, { token, body } = {}) {
  const headers = {};
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(options.url + path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(options.timeout),
  }).catch((error) => {
    throw new Error(`${method} ${path}: no answer: ${error.cause?.code ?? error.cause?.message ?? error.message}`);
  });
  const answer = await response.text();
  assert.equal(response.status, expected, `${method} ${path}: status ${response.status}, expected ${expected}: ${answer}`);
  return answer === "" ? {} : JSON.parse(answer);
}

/** A new user who is signed up and logged in, with the calls that a page makes for one. */
async function newUser(name) {
  const credentials = { email: `${name}-${randomUUID()}@example.com`, password: "correct horse" };
  await call(201, "PUT", "/auth/signup", { body: { ...credentials, name } });
  await call(401, "POST", "/auth/login", { body: { ...credentials, password: "wrong horse" } });
  const { token, userId } = await call(200, "POST", "/auth/login", { body: credentials });
  assert.equal(typeof token, "string", "POST /auth/login: no token in the answer");
  assert.ok(userId, "POST /auth/login: no userId in the answer");
  return {
    token,
    userId,
    status: () => call(200, "GET", "/auth/status", { token }),
    setStatus: (status) => call(200, "PATCH", "/auth/status", { token, body: { status } }),
    list: () => call(200, "GET", "/feed/posts?page=1", { token }),
    post: (body) => call(201, "POST", "/feed/post", { token, body }),
    change: (id, body, expected = 200) => call(expected, "PUT", `/feed/post/${id}`, { token, body }),
    remove: (id, expected = 200) => call(expected, "DELETE", `/feed/post/${id}`, { token }),
    get: (id, expected = 200) => call(expected, "GET", `/feed/post/${id}`, { token }),
  };
}

// ---- the socket

/** Waits for a promise, and says what did not come. */
function within(promise, what) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${options.timeout} ms`)), options.timeout);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

/** An open socket whose feed events queue up until the page takes them. */
async function openSocket(userToken) {
  const namespace = options.namespace.startsWith("/") ? options.namespace : `/${options.namespace}`;
  const socket = io(options.url + namespace, {
    path: options.path,
    transports: TRANSPORTS[options.transport],
    auth: { token: options.auth ?? userToken },
    reconnection: false,
    forceNew: true,
  });
  const queue = [];
  const waiting = [];
  socket.on(options.event, (event) => {
    if (waiting.length > 0) waiting.shift()(event);
    else queue.push(event);
  });
  const connected = new Promise((resolve, reject) => {
    socket.on("connect", resolve);
    socket.on("connect_error", (error) => reject(new Error(`socket refused: ${error.message}`)));
  });
  const upgraded = new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
  await within(connected, "socket connect").catch((error) => {
    socket.disconnect();
    throw error;
  });
  if (options.transport === "upgrade") await within(upgraded, "upgrade from polling to websocket");
  return {
    id: socket.id,
    transport: () => socket.io.engine.transport.name,
    connected: () => socket.connected,
    next: (what) => (queue.length > 0 ? queue.shift() : within(new Promise((resolve) => waiting.push(resolve)), what)),
    unread: () => queue.length,
    close: () => socket.disconnect(),
  };
}

// ---- the page

class Page {
  constructor(user) {
    this.user = user;
  }

  async load() {
    const { posts, totalItems } = await this.user.list();
    Object.assign(this, { posts, totalItems });
  }

  async apply({ action, post }) {
    if (action === "create") {
      this.posts = [post, ...this.posts].slice(0, PER_PAGE);
      this.totalItems += 1;
    } else if (action === "update") {
      this.posts = this.posts.map((shown) => (shown._id === post._id ? post : shown));
    } else if (action === "delete") {
      await this.load();
    } else {
      throw new Error(`event ${options.event}: unknown action ${JSON.stringify(action)}`);
    }
  }

  /** The page must show what the server would answer now, field for field. */
  async check(step) {
    const { posts, totalItems } = await this.user.list();
    assert.equal(this.totalItems, totalItems, `${step}: the page counts ${this.totalItems} posts, the server ${totalItems}`);
    assert.deepEqual(this.posts, posts, `${step}: the page differs from GET /feed/posts?page=1`);
  }
}

const idOf = (post) => post?._id ?? post; // a deletion may carry the post or only its id

async function follow(page, socket, action, id, step) {
  const event = await socket.next(`${step}: event ${options.event}`);
  assert.equal(event?.action, action, `${step}: event ${JSON.stringify(event)}, expected action ${action}`);
  assert.equal(idOf(event.post), id, `${step}: the event is about post ${idOf(event.post)}, expected ${id}`);
  await page.apply(event);
  await page.check(step);
}

async function main() {
  const reader = await newUser("reader");
  const other = await newUser("other");

  await call(401, "GET", "/auth/status");
  await call(401, "GET", "/auth/status", { token: `${reader.token.slice(0, -4)}AAAA` });
  await call(401, "POST", "/feed/post", { token: "wrong", body: { title: "never shown", content: "never shown" } });
  assert.equal(typeof (await reader.status()).status, "string", "GET /auth/status: no status in the answer");
  await reader.setStatus("reading");
  assert.equal((await reader.status()).status, "reading", "GET /auth/status: not what PATCH /auth/status stored");

  // Posts from before the socket: the page must find them by itself.
  for (const title of ["before one", "before two", "before three"]) await other.post({ title, content: "was here first" });
  const page = new Page(reader);
  await page.load();
  assert.equal(page.posts.length, PER_PAGE, `page 1 holds ${page.posts.length} posts, expected ${PER_PAGE}`);
  assert.equal(page.posts[0].title, "before three", "page 1 does not start with the newest post");

  const socket = await openSocket(reader.token);
  try {
    const ids = [];
    for (let index = 1; index <= options.posts; index += 1) {
      const step = `post ${index} of ${options.posts}`;
      const dropped = page.posts.at(-1)._id;
      const sent = { title: `title ${index}: "ü" ☃ 𝄞`, content: `content ${index}` };
      const { message, post, creator } = await other.post(sent);
      assert.equal(message, "Post created successfully!", `${step}: message of the 201`);
      assert.equal(creator?._id, other.userId, `${step}: creator of the 201`);
      ids.push(post._id);
      await follow(page, socket, "create", post._id, step);
      assert.equal(page.posts[0].title, sent.title, `${step}: the new post is not on top`);
      assert.ok(!page.posts.some((shown) => shown._id === dropped), `${step}: the last post was not dropped`);
    }

    const newest = ids.at(-1);
    await reader.change(newest, { title: "not mine", content: "not mine" }, 403);
    await reader.remove(newest, 403);
    await other.change(newest, { title: "changed title", content: "changed content" });
    await follow(page, socket, "update", newest, "update");
    assert.equal(page.posts[0].title, "changed title", "update: the page still shows the old title");

    await other.remove(newest);
    await follow(page, socket, "delete", newest, "delete");
    assert.ok(!page.posts.some((shown) => shown._id === newest), "delete: the page still shows the post");
    await reader.get(newest, 404);

    const own = await reader.post({ title: "my own post", content: "everyone includes me" });
    await follow(page, socket, "create", own.post._id, "own post");

    assert.equal(socket.unread(), 0, `${socket.unread()} events more than were owed`);
    assert.ok(socket.connected(), "the socket did not stay connected");
    const expected = options.transport === "polling" ? "polling" : "websocket";
    assert.equal(socket.transport(), expected, `the socket is on ${socket.transport()}, expected ${expected}`);
    console.log(`ok: ${options.transport}: ${options.posts} posts, 1 update, 1 delete and 1 own post seen by the page`);
  } finally {
    socket.close();
  }
}

main().catch((error) => {
  console.error(`page: ${error.message}`);
  process.exitCode = 1;
});
