// Puts in what has changed, part by part, and leaves alone what somebody is reading.
(() => {
  "use strict";
  const live = document.getElementById("live"), connection = document.getElementById("connection");

  // A chart that is pointed at or zoomed, and whatever has the focus or a selection.
  const isRead = part => part.matches("figure:hover, :focus-within") || part.querySelector(".unzoom") !== null || isSelected(part);

  function isSelected(part) {
    const selection = getSelection();
    return selection !== null && !selection.isCollapsed && selection.containsNode(part, true);
  }

  // What was opened stays open, what was switched off stays off, and what was scrolled stays where it is.
  function carry(old, part) {
    const opened = [...old.querySelectorAll("details")], switched = [...old.querySelectorAll(".toggle")];
    part.querySelectorAll("details").forEach((details, index) => { details.open = opened[index]?.open ?? false; });
    part.querySelectorAll(".toggle").forEach((toggle, index) => { toggle.checked = switched[index]?.checked ?? true; });
    const scrolled = [...old.querySelectorAll(".scroll")].map(({ scrollLeft, scrollTop }) => [scrollLeft, scrollTop]);
    return () => part.querySelectorAll(".scroll").forEach((box, index) => box.scrollTo(...scrolled[index] ?? [0, 0]));
  }

  // The text that each part is made of: what is the same is left alone, whatever its reader did to it.
  const made = new Map();

  function draw(text) {
    const parts = [...new DOMParser().parseFromString(text, "text/html").body.children];
    let next = live.firstElementChild;
    for (const part of parts) {
      const old = live.querySelector(`:scope > #${part.id}`), text = part.outerHTML;
      if (old && (made.get(part.id) === text || isRead(old))) {
        next = old.nextElementSibling;
        continue;
      }
      made.set(part.id, text);
      if (old) {
        const finish = carry(old, part);
        if (old === next) next = old.nextElementSibling;
        old.replaceWith(part);
        finish();
      } else {
        live.insertBefore(part, next);
      }
      next = part.nextElementSibling;
    }
    document.title = live.querySelector("[data-title]")?.dataset.title ?? document.title;
    document.dispatchEvent(new Event("drawn"));
  }

  function say(text) {
    connection.textContent = text;
    connection.hidden = !text;
  }

  const events = new EventSource("events");
  events.addEventListener("message", event => { say(""); draw(event.data); });
  let wasOpen = false;
  events.addEventListener("open", () => { wasOpen = true; });
  // One that is refused from the start is one too many: whatever else is wrong, this page would not be here.
  events.addEventListener("error", () => say(!wasOpen && events.readyState === EventSource.CLOSED
    ? "Too many pages are open: this one stays what it was. Close another, and load it again."
    : "The connection is lost: this is what was seen last."));
})();
