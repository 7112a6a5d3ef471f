// k6 has no Socket.IO: its WebSocket frames carry the packets of Engine.IO 4 and Socket.IO 5, spoken by hand. A hundred sockets a
// virtual user, because its documentation recommends this module for sharing an event loop (one a user costs it far more). How it
// measures: the post carries the time, a Trend gets the difference when the message handler runs; its clock counts ms.

import { check } from 'k6';
import { WebSocket } from 'k6/experimental/websockets';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';

const { FEED_URL } = __ENV;
const [SUBSCRIBERS, RATE, SECONDS] = [__ENV.FEED_SUBSCRIBERS, __ENV.FEED_RATE, __ENV.FEED_SECONDS].map(Number);
const QUIET_SECONDS = Number(__ENV.FEED_CONNECT_SECONDS) + Number(__ENV.FEED_SETTLE_SECONDS);
const HOLD_SECONDS = QUIET_SECONDS + SECONDS + Number(__ENV.FEED_DRAIN_SECONDS);
const SOCKETS_PER_USER = 100;
const USERS = Math.ceil(SUBSCRIBERS / SOCKETS_PER_USER);

const delivery = new Trend('feed_delivery_ms');
const subscribed = new Counter('feed_subscribed');
const disconnected = new Counter('feed_disconnected');

export const options = {
  scenarios: {
    subscribers: {
      executor: 'per-vu-iterations',
      exec: 'subscribers',
      vus: USERS,
      iterations: 1,
      maxDuration: `${HOLD_SECONDS + 30}s`,
    },
    writers: {
      executor: 'constant-arrival-rate',
      exec: 'write',
      startTime: `${QUIET_SECONDS}s`,
      rate: RATE,
      timeUnit: '1s',
      duration: `${SECONDS}s`,
      preAllocatedVUs: 50,
      maxVUs: 200,
    },
  },
  thresholds: { checks: ['rate==1'] },
};

export function subscribers() {
  const first = (__VU - 1) % USERS * SOCKETS_PER_USER;
  for (let index = first; index < Math.min(first + SOCKETS_PER_USER, SUBSCRIBERS); index += 1) subscribe();
}

function subscribe() {
  const socket = new WebSocket(`${FEED_URL.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
  let isOver = false;
  socket.addEventListener('message', ({ data }) => {
    if (data.startsWith('42')) {
      const [event, { post }] = JSON.parse(data.slice(2));
      if (event === 'posts') delivery.add(Date.now() - Number(post.title.split(' ')[1]));
    } else if (data === '2') {
      socket.send('3');
    } else if (data.startsWith('0')) {
      socket.send('40');
    } else if (data.startsWith('40')) {
      subscribed.add(1);
    }
  });
  socket.addEventListener('close', () => {
    if (!isOver) disconnected.add(1);
  });
  setTimeout(() => {
    isOver = true;
    socket.close();
  }, HOLD_SECONDS * 1000);
}

export function write() {
  const body = JSON.stringify({ title: `sent ${Date.now()} ${Math.random()}`, content: 'x'.repeat(200) });
  const reply = http.post(`${FEED_URL}/feed/post`, body, { headers: { 'content-type': 'application/json' } });
  check(reply, { 'status is 201': ({ status }) => status === 201 });
}
