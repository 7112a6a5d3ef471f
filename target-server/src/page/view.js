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
  /** New posts that are not shown. */
  waiting: 0,
  /** Time of the newest post that the last answer knew. */
  known: "",
  /** A post went, and the server has another in its place. */
  gap: false,
});

/** The view after the server answered with a page, and `since` happened while it did. */
export function answered(view, page, { posts, totalItems }, since) {
  const first = page === 1;
  const known = first ? (posts[0]?.createdAt ?? "") : view.known;
  const waiting = first ? 0 : view.waiting;
  return since.reduce(happened, { ...view, page, posts, total: totalItems, known, waiting, gap: false });
}

/** The view after an event. */
export function happened(view, { action, post }) {
  const others = view.posts.filter((shown) => shown._id !== post._id);
  const shown = others.length < view.posts.length;
  switch (action) {
    case "create":
      return shown ? view : created(view, post);
    case "update":
      return {
        ...view,
        posts: view.posts.map((old) => (old._id === post._id && old.updatedAt <= post.updatedAt ? post : old)),
      };
    case "delete":
      return { ...view, posts: others, total: Math.max(0, view.total - 1), gap: true };
    default:
      return view;
  }
}

function created(view, post) {
  const total = view.total + (post.createdAt >= view.known ? 1 : 0);
  if (view.held || view.page !== 1) return { ...view, total, waiting: view.waiting + 1 };
  // Times have one format, so they compare as texts. Of two with the same, the later to come is on top.
  const older = view.posts.findIndex((shown) => shown.createdAt <= post.createdAt);
  const place = older === -1 ? view.posts.length : older;
  return { ...view, total, posts: view.posts.toSpliced(place, 0, post).slice(0, PER_PAGE) };
}

/** How many pages there are; an empty feed has one. */
export function pages(view) {
  return Math.max(1, Math.ceil(view.total / PER_PAGE));
}
