// The page's idea of the feed, against a feed whose answers and events cross on their way.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

// As a data URL, because the file lies where Node takes .js for CommonJS.
const source = await readFile(new URL("../../target-server/src/page/view.js", import.meta.url));
const { FIRST_VIEW, PER_PAGE, answered, happened, pages } = await import(`data:text/javascript;base64,${source.toString("base64")}`);

const time = (ms) => new Date(ms).toISOString();
const made = (number) => ({ _id: `id ${number}`, title: `post ${number}`, createdAt: time(number), updatedAt: time(number) });
const create = (post) => ({ action: "create", post });
const shown = (view) => view.posts.map(({ title }) => title);
/** What the server answers with for a page of this feed. */
const answerOf = (feed, page) => ({
  posts: feed.slice((page - 1) * PER_PAGE, page * PER_PAGE),
  totalItems: feed.length,
  newest: feed[0],
});
const feedOf = (length) => Array.from({ length }, (_, n) => made(length - n));
const full = answered(FIRST_VIEW, 1, answerOf(feedOf(20), 1), []);

test("a new post goes on top, the last one of the page drops, and twice is once", () => {
  const once = happened(full, create(made(21)));
  assert.deepEqual(shown(once), [`post 21`, ...shown(full).slice(0, -1)]);
  assert.equal(once.total, 21);
  assert.deepEqual(happened(once, create(made(21))), once);
});

test("an event that an answer knew of already changes nothing", () => {
  assert.deepEqual(happened(full, create(made(1))), full);
});

test("an older version does not replace a newer one", () => {
  const post = { ...made(20), title: "new words", updatedAt: time(30) };
  const edited = happened(full, { action: "update", post });
  assert.equal(edited.posts[0].title, "new words");
  assert.deepEqual(happened(edited, { action: "update", post: made(20) }), edited);
});

test("a deletion leaves a gap until the next answer", () => {
  const view = happened(full, { action: "delete", post: made(20) });
  assert.deepEqual([view.gap, view.posts.length, view.total], [true, PER_PAGE - 1, 19]);
  assert.equal(answered(view, 1, { posts: full.posts, totalItems: 20 }, []).gap, false);
});

test("held posts are counted and do not move the page; so on other pages", () => {
  for (const still of [{ ...full, held: true }, { ...full, page: 2 }]) {
    const view = happened(happened(still, create(made(21))), create(made(22)));
    assert.deepEqual([shown(view), view.waiting, view.total], [shown(full), ["id 21", "id 22"], 22]);
    assert.deepEqual(happened(view, create(made(22))), view, "twice is once");
  }
});

test("a held post that is deleted is not new any more", () => {
  const view = happened(happened({ ...full, held: true }, create(made(21))), { action: "delete", post: made(21) });
  assert.deepEqual([view.waiting, view.total], [[], 20]);
});

test("a post that comes while a later page is fetched is counted once, whether the answer knows of it or not", () => {
  const second = answered(full, 2, answerOf(feedOf(40), 2), []);
  const meanwhile = [create(made(41))];
  const view = meanwhile.reduce(happened, second);
  for (const known of [40, 41]) {
    const third = answered(view, 3, answerOf(feedOf(known), 3), meanwhile);
    assert.deepEqual([third.waiting, third.total], [["id 41"], 41], `${known} known`);
  }
  // Its event comes after the answer that counts it.
  const late = happened(answered(second, 3, answerOf(feedOf(41), 3), []), create(made(41)));
  assert.deepEqual([late.waiting, late.total], [["id 41"], 41]);
});

test("unknown words are let pass", () => {
  assert.deepEqual(happened(full, { action: "praise", post: made(3) }), full);
});

test("an empty feed has one page", () => {
  assert.deepEqual([null, 0, 1, 10, 11, 20, 21].map((total) => pages({ total })), [1, 1, 1, 1, 2, 2, 3]);
});

/** Whatever crosses on the way, in the end a page shows and counts what the server has. */
for (const page of [1, 2]) test(`answers and events that cross, page ${page}`, () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    const random = numbers(seed);
    const chance = (share) => random() < share;
    let [feed, clock, view] = [[], 0, FIRST_VIEW];
    /** Events on their way, in order; an answer being waited for: {since, answer?}. */
    let [events, loading] = [[], null];
    const ask = () => {
      loading = { since: [] };
    };
    const steps = {
      serve() {
        clock += 1;
        const old = Math.floor(random() * feed.length);
        if (chance(0.6) || feed.length === 0) {
          feed = [made(clock), ...feed];
          events.push(create(feed[0]));
        } else if (chance(0.5)) {
          feed = feed.with(old, { ...feed[old], title: `edited at ${clock}`, updatedAt: time(clock) });
          events.push({ action: "update", post: feed[old] });
        } else {
          events.push({ action: "delete", post: feed[old] });
          feed = feed.toSpliced(old, 1);
        }
      },
      deliver() {
        const event = events.shift();
        if (event === undefined) return;
        loading?.since.push(event);
        view = happened(view, event);
      },
      read() {
        if (loading) loading.answer ??= answerOf(feed, page);
      },
      answer() {
        if (!loading?.answer) return;
        view = answered(view, page, loading.answer, loading.since);
        loading = null;
      },
    };
    const settle = () => {
      if (view.gap && loading === null) ask();
    };
    ask();
    for (let step = 0; step < 300; step += 1) {
      const name = ["serve", "deliver", "deliver", "read", "answer"][Math.floor(random() * 5)];
      steps[name]();
      settle();
    }
    while (events.length > 0 || loading !== null) {
      for (const name of ["deliver", "read", "answer"]) steps[name]();
      settle();
    }
    if (page === 1) assert.deepEqual(view.posts, feed.slice(0, PER_PAGE), `seed ${seed}`);
    // Nobody has looked at page 1: all are new.
    const waiting = page === 1 ? [] : feed.map(({ _id }) => _id);
    assert.deepEqual(view.waiting.toSorted(), waiting.toSorted(), `seed ${seed}`);
    assert.equal(view.total, feed.length, `seed ${seed}`);
  }
});

/** A linear congruential generator in [0, 1): the same numbers for the same seed. */
function numbers(seed) {
  let state = seed;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}
