// A feed server of Express 5 and the real socket.io 4: the contract of target-server, written on another stack.
// Interop tests drive it with `feedmark run --url`. Posts live in memory and end with the process; loopback only.

import { createHmac, randomBytes, randomUUID, scrypt, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { parseArgs, promisify } from "node:util";

import express from "express";
import { Server } from "socket.io";

const USAGE = `usage: node server.mjs [options]
  --port N              port on 127.0.0.1, 0 = any free one (default 0)
  --open                accept posts without a token, for load tests
  --event NAME          event that carries a post (default posts)
  --namespace NAME      Socket.IO namespace of the feed (default /)
  --path PATH           path of the Socket.IO endpoint (default /socket.io/)
  --auth TOKEN          refuse a Socket.IO CONNECT whose auth payload is not {"token": TOKEN}
  --ping-interval MS    time between two heartbeats (default 25000)
  --ping-timeout MS     time a subscriber has to answer one (default 20000)
  --stop-on-stdin-eof   end when stdin ends, as well as on SIGTERM and SIGINT`;

const PER_PAGE_DEFAULT = 2;
const PER_PAGE_MAX = 100;
const TEXT_CHARACTERS_MIN = 5;
const BODY_BYTES_MAX = 1_000_000;
const TOKEN_LIFETIME_MS = 3_600_000;
const CONNECT_BACKLOG = 4096;
const ANONYMOUS = { _id: "00000000-0000-0000-0000-000000000000", name: "anonymous" }; // the creator of posts that came without a token

// ---- the command line

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: "string", default: "0" },
        open: { type: "boolean", default: false },
        event: { type: "string", default: "posts" },
        namespace: { type: "string", default: "/" },
        path: { type: "string", default: "/socket.io/" },
        auth: { type: "string" },
        "ping-interval": { type: "string", default: "25000" },
        "ping-timeout": { type: "string", default: "20000" },
        "stop-on-stdin-eof": { type: "boolean", default: false },
      },
    });
    for (const name of ["port", "ping-interval", "ping-timeout"]) {
      if (!/^\d+$/.test(values[name])) throw new Error(`--${name} ${values[name]}: not a whole number`);
      values[name] = Number(values[name]);
    }
    if (values.port > 65535) throw new Error(`--port ${values.port}: above 65535`);
    return values;
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

const options = readOptions();

// ---- storage: newest post last

const users = new Map(); // id -> user
const usersByEmail = new Map();
const posts = new Map(); // id -> post, in the order of creation

// ---- what is refused, and why

class Refusal extends Error {
  constructor(status, message, data) {
    super(message);
    Object.assign(this, { status, data });
  }
}

/** Throws 422 naming every field whose rule does not hold. */
function check(body, rules) {
  const data = Object.entries(rules)
    .filter(([field, rule]) => !rule.holds(body[field]))
    .map(([field, rule]) => ({ field, message: `${field} must be ${rule.is}` }));
  if (data.length > 0) throw new Refusal(422, "Validation failed.", data);
}

const text = (least) => ({
  holds: (value) => typeof value === "string" && value.trim().length >= least,
  is: `text of at least ${least} characters`,
});
const optional = (rule) => ({ ...rule, holds: (value) => value === undefined || value === null || rule.holds(value) });
const email = {
  holds: (value) => typeof value === "string" && /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(value),
  is: "an e-mail address",
};
const POST_RULES = { title: text(TEXT_CHARACTERS_MIN), content: text(TEXT_CHARACTERS_MIN), imageUrl: optional(text(1)) };

function wholeNumber(field, value, fallback, max) {
  const number = value === undefined ? fallback : Number(value);
  if (!Number.isInteger(number) || number < 1 || number > max) {
    throw new Refusal(422, "Validation failed.", [{ field, message: `${field} must be 1 to ${max}` }]);
  }
  return number;
}

// ---- passwords and tokens

const deriveKey = promisify(scrypt);
const tokenKey = randomBytes(32);
const mac = (claims) => createHmac("sha256", tokenKey).update(claims).digest();

function issueToken(userId) {
  const claims = Buffer.from(JSON.stringify({ userId, expires: Date.now() + TOKEN_LIFETIME_MS })).toString("base64url");
  return `${claims}.${mac(claims).toString("base64url")}`;
}

/** The user whose valid token the request carries; undefined if it carries none; 401 if it carries a wrong one. */
function bearer(request) {
  const header = request.get("authorization");
  if (header === undefined) return undefined;
  const [, claims, tag] = /^Bearer ([\w-]+)\.([\w-]+)$/.exec(header) ?? [];
  const given = Buffer.from(tag ?? "", "base64url");
  const genuine = claims !== undefined && given.length === 32 && timingSafeEqual(given, mac(claims));
  const { userId, expires } = genuine ? JSON.parse(Buffer.from(claims, "base64url")) : {};
  if (!genuine || expires < Date.now()) throw new Refusal(401, "Not authenticated.");
  return users.get(userId);
}

function signedIn(request, _response, next) {
  request.user = bearer(request);
  if (request.user === undefined) throw new Refusal(401, "Not authenticated.");
  next();
}

function signedInOrOpen(request, response, next) {
  if (!options.open || request.get("authorization") !== undefined) return signedIn(request, response, next);
  request.user = ANONYMOUS;
  next();
}

function postOf(request) {
  const post = posts.get(request.params.id);
  if (post === undefined) throw new Refusal(404, "Could not find post.");
  return post;
}

function ownPostOf(request) {
  const post = postOf(request);
  if (post.creator._id !== request.user._id) throw new Refusal(403, "Not authorized!");
  return post;
}

// ---- the feed: stored first, then emitted, then answered

const app = express();
const server = createServer(app);
const io = new Server(server, {
  path: options.path,
  pingInterval: options["ping-interval"],
  pingTimeout: options["ping-timeout"],
});
const feed = io.of(options.namespace);
if (options.auth !== undefined) {
  feed.use((socket, next) => next(socket.handshake.auth.token === options.auth ? undefined : new Error("Not authenticated.")));
}

const announce = (action, post) => feed.emit(options.event, { action, post });

function json(request, _response, next) {
  const hasBody = request.get("transfer-encoding") !== undefined || Number(request.get("content-length") ?? 0) > 0;
  if (hasBody && !request.is("application/json")) throw new Refusal(415, "Send the body as application/json.");
  next();
}

app.disable("x-powered-by");
app.use(json, express.json({ limit: BODY_BYTES_MAX }));
app.use((request, _response, next) => {
  request.body ??= {};
  next();
});

app.put("/auth/signup", async ({ body }, response) => {
  check(body, { email, name: text(1), password: text(TEXT_CHARACTERS_MIN) });
  const salt = randomBytes(16);
  const user = { _id: randomUUID(), email: body.email.toLowerCase(), name: body.name.trim(), status: "I am new!", salt };
  user.key = await deriveKey(body.password, salt, 32);
  if (usersByEmail.has(user.email)) {
    throw new Refusal(422, "Validation failed.", [{ field: "email", message: "email is taken" }]);
  }
  users.set(user._id, user);
  usersByEmail.set(user.email, user);
  response.status(201).json({ message: "User created!", userId: user._id });
});

app.post("/auth/login", async ({ body }, response) => {
  check(body, { email, password: text(1) });
  const user = usersByEmail.get(body.email.toLowerCase());
  const key = await deriveKey(body.password, user?.salt ?? "", 32);
  if (user === undefined || !timingSafeEqual(key, user.key)) throw new Refusal(401, "Wrong e-mail or password.");
  response.json({ token: issueToken(user._id), userId: user._id });
});

app.get("/auth/status", signedIn, ({ user }, response) => response.json({ status: user.status }));

app.patch("/auth/status", signedIn, ({ user, body }, response) => {
  check(body, { status: text(1) });
  user.status = body.status;
  response.json({ message: "User updated." });
});

app.get("/feed/posts", signedInOrOpen, ({ query }, response) => {
  const page = wholeNumber("page", query.page, 1, Number.MAX_SAFE_INTEGER);
  const perPage = wholeNumber("per_page", query.per_page, PER_PAGE_DEFAULT, PER_PAGE_MAX);
  const newestFirst = [...posts.values()].reverse();
  const shown = newestFirst.slice((page - 1) * perPage, page * perPage);
  response.json({ message: "Fetched posts successfully.", posts: shown, totalItems: posts.size });
});

app.post("/feed/post", signedInOrOpen, ({ user, body }, response) => {
  check(body, POST_RULES);
  const creator = { _id: user._id, name: user.name };
  const now = new Date().toISOString();
  const { title, content, imageUrl = null } = body;
  const post = { _id: randomUUID(), title, content, imageUrl, creator, createdAt: now, updatedAt: now };
  posts.set(post._id, post);
  announce("create", post);
  response.status(201).json({ message: "Post created successfully!", post, creator });
});

app.get("/feed/post/:id", signedInOrOpen, (request, response) => {
  response.json({ message: "Post fetched.", post: postOf(request) });
});

app.put("/feed/post/:id", signedIn, (request, response) => {
  const post = ownPostOf(request);
  check(request.body, POST_RULES);
  const { title, content, imageUrl = post.imageUrl } = request.body;
  Object.assign(post, { title, content, imageUrl, updatedAt: new Date().toISOString() });
  announce("update", post);
  response.json({ message: "Post updated!", post });
});

app.delete("/feed/post/:id", signedIn, (request, response) => {
  const post = ownPostOf(request);
  posts.delete(post._id);
  announce("delete", post);
  response.json({ message: "Deleted post." });
});

app.use((request) => {
  throw new Refusal(404, `No such route: ${request.method} ${request.path}`);
});

// Express knows an error handler by its four parameters.
app.use((error, _request, response, _next) => {
  const status = error.status ?? 500;
  if (status >= 500) console.error(error);
  response.status(status).json({ message: status >= 500 ? "Internal error." : error.message, data: error.data });
});

// ---- start and stop

server.on("error", (error) => {
  console.error(`cannot listen on 127.0.0.1:${options.port}: ${error.code}; choose another --port, or 0 for any`);
  process.exitCode = 1;
});
server.listen({ host: "127.0.0.1", port: options.port, backlog: CONNECT_BACKLOG }, () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});

let stopping = false;
function stop() {
  if (stopping) return;
  stopping = true;
  process.stdin.destroy(); // an open stdin would keep the process alive
  io.close(); // disconnects every subscriber and closes the HTTP server
  server.closeAllConnections();
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
if (options["stop-on-stdin-eof"]) process.stdin.on("close", stop).resume();
