// How Artillery measures here: its engine times only emits with an answer, so its documented custom metrics do it. The
// writer puts the time into the post; the subscriber subtracts it from the time at which its handler runs.

const HOLD_MS = Number(process.env.FEED_HOLD_SECONDS) * 1000;

/** Listens until the posts are over; a virtual user lives as long as its flow. */
function subscribe(context, events, done) {
  const socket = context.sockets[''];
  events.emit('counter', 'feed.subscribed', 1);
  socket.on('posts', ({ post }) => {
    events.emit('histogram', 'feed.delivery_ms', Date.now() - Number(post.title.split(' ')[1]));
  });
  socket.on('disconnect', (reason) => {
    if (reason !== 'io client disconnect') events.emit('counter', 'feed.disconnected', 1);
  });
  setTimeout(done, HOLD_MS);
}

function write(request, context, events, next) {
  request.json = { title: `sent ${Date.now()} ${Math.random()}`, content: 'x'.repeat(200) };
  next();
}

module.exports = { subscribe, write };
