// A plain load test of the kind that teams write: one socket.io-client per subscriber, `fetch` on an interval. How it measures:
// the post carries the time at which it was sent; a delivery took until its handler ran. Everything is in one process.

import { createHistogram } from 'node:perf_hooks';
import { io } from 'socket.io-client';

const { FEED_URL } = process.env;
const number = (name) => Number(process.env[`FEED_${name}`]);
const [SUBSCRIBERS, RATE, SECONDS] = ['SUBSCRIBERS', 'RATE', 'SECONDS'].map(number);
const [CONNECT_SECONDS, SETTLE_SECONDS, DRAIN_SECONDS] = ['CONNECT_SECONDS', 'SETTLE_SECONDS', 'DRAIN_SECONDS'].map(number);

const CONNECT_SECONDS_MAX = 60;
const US_PER_MS = 1000;
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const nowMs = () => performance.timeOrigin + performance.now();

const latencyUs = createHistogram();
const counted = { connected: 0, disconnected: 0, posts: 0, failed: 0 };

function subscribe() {
  const socket = io(FEED_URL, { transports: ['websocket'], forceNew: true });
  socket.once('connect', () => (counted.connected += 1));
  socket.on('disconnect', () => (counted.disconnected += 1));
  socket.on('posts', ({ post }) => {
    const tookUs = Math.round((nowMs() - Number(post.title.split(' ')[1])) * US_PER_MS);
    latencyUs.record(Math.max(tookUs, 1));
  });
}

async function post() {
  counted.posts += 1;
  const body = JSON.stringify({ title: `sent ${nowMs().toFixed(3)} ${counted.posts}`, content: 'x'.repeat(200) });
  try {
    const reply = await fetch(`${FEED_URL}/feed/post`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    await reply.arrayBuffer();
    if (!reply.ok) counted.failed += 1;
  } catch {
    counted.failed += 1;
  }
}

for (let index = 0; index < SUBSCRIBERS; index += 1) {
  subscribe();
  if (index % 50 === 49) await pause((50 / SUBSCRIBERS) * CONNECT_SECONDS);
}
for (let waited = 0; counted.connected < SUBSCRIBERS && waited < CONNECT_SECONDS_MAX; waited += 1) await pause(1);
await pause(SETTLE_SECONDS);
const posting = setInterval(post, 1000 / RATE);
await pause(SECONDS);
clearInterval(posting);
await pause(DRAIN_SECONDS);

const ms = (q) => latencyUs.percentile(q) / US_PER_MS;
console.log(
  JSON.stringify({
    ...counted,
    expected: counted.posts * SUBSCRIBERS,
    received: latencyUs.count,
    p50_ms: latencyUs.count ? ms(50) : null,
    p99_ms: latencyUs.count ? ms(99) : null,
  }),
);
process.exit(0);
