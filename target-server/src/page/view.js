// What is shown of the feed, and what an answer or an event makes of it. Pure: no DOM, no network, no clock.
//
// A view holds one page of posts, newest first. Events may come twice, or late: after an answer that knows of them
// already. So a new post takes its place by its time, a change counts only if it is newer than what is shown, and
// all of them can be applied again.

export const PER_PAGE = 10;

export const FIRST_VIEW = Object.freeze({
  page: 1,
  posts: [],
  /** Posts in all; null until the server has answered. */
  total: null,
  /** New posts do not move the page while they are held; they are counted. */
  held: false,
  /** Ids of the new posts that are not shown. */
  waiting: [],
  /** The newest post that the last answer's total has in it; null if there was none. */
  newest: null,
  /** A post went, and the server has another in its place. */
  gap: false,
});

/**
 * The view after the server answered with a page, and `since` happened while it did. `newest` is the newest post of those
 * that `totalItems` counts: what came up to it is not counted again.
 */
export function answered(view, page, { posts, totalItems, newest = null }, since) {
  // What happened since is told again, to an answer that may not know of it.
  const cameSince = (id) => since.some(({ action, post }) => action === "create" && post._id === id);
  const waiting = page === 1 ? [] : view.waiting.filter((id) => !cameSince(id));
  return since.reduce(happened, { ...view, page, posts, total: totalItems, newest, waiting, gap: false });
}

/** The view after an event. */
export function happened(view, { action, post }) {
  const others = view.posts.filter((shown) => shown._id !== post._id);
  const isThere = others.length < view.posts.length || view.waiting.includes(post._id);
  switch (action) {
    case "create":
      return isThere ? view : created(view, post);
    case "update":
      return {
        ...view,
        posts: view.posts.map((old) => (old._id === post._id && old.updatedAt <= post.updatedAt ? post : old)),
      };
    case "delete": {
      const waiting = view.waiting.filter((id) => id !== post._id);
      return { ...view, posts: others, waiting, total: Math.max(0, view.total - 1), gap: true };
    }
    default:
      return view;
  }
}

function created(view, post) {
  const total = view.total + (isCounted(view, post) ? 0 : 1);
  if (view.held || view.page !== 1) return { ...view, total, waiting: [...view.waiting, post._id] };
  // Times have one format, so they compare as texts. Of two with the same, the later to come is on top.
  const older = view.posts.findIndex((shown) => shown.createdAt <= post.createdAt);
  const place = older === -1 ? view.posts.length : older;
  return { ...view, total, posts: view.posts.toSpliced(place, 0, post).slice(0, PER_PAGE) };
}

function isCounted({ newest }, post) {
  return newest !== null && (post._id === newest._id || post.createdAt < newest.createdAt);
}

/** How many pages there are; an empty feed has one. */
export function pages(view) {
  return Math.max(1, Math.ceil(view.total / PER_PAGE));
}
