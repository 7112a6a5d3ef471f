// Who is logged in, in this tab: {token, userId, email} or null.
//
// The token is in sessionStorage: a reload keeps it, and the end of the tab ends it. A cookie would go along with every
// request, also with those that other sites cause; local storage would outlive the tab and be shared with all others.
// Script could read the storage, but the page's policy lets none run but ours, and no text becomes script.

const KEY = "session";

export function remembered() {
  return JSON.parse(sessionStorage.getItem(KEY));
}

export function remember(session) {
  sessionStorage.setItem(KEY, JSON.stringify(session));
}

export function forget() {
  sessionStorage.removeItem(KEY);
}
