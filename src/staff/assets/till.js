// The console works without this script; it only makes times and keys more convenient.
"use strict";

(() => {
  const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  // Times are sent in UTC; each reader sees their own zone, and the exact time on hover.
  function localTimes(root) {
    let found = false;
    for (const element of root.querySelectorAll("time.when[datetime]")) {
      const at = new Date(element.dateTime);
      if (!Number.isNaN(at.getTime())) {
        element.title = element.dateTime;
        element.textContent = zone.format(at);
        found = true;
      }
    }
    return found;
  }

  function start() {
    localTimes(document);
    for (const note of document.querySelectorAll(".utc")) note.hidden = true;
    document.body.addEventListener("htmx:load", (event) => localTimes(event.target));
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
