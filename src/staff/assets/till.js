// What the staff console does beyond plain pages: keys, times in the reader's zone, and one click that counts once.
// Every page works without it. Nothing here holds words a person reads: those are in the pages.
(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // -- htmx: no code from attributes, no styles of its own, no other host -----------------------------------------
  if (window.htmx) {
    Object.assign(window.htmx.config, {
      allowEval: false,
      includeIndicatorStyles: false,
      selfRequestsOnly: true,
      allowScriptTags: false,
      scrollBehavior: "instant",
    });
  }

  // -- times: the reader's zone and language; the exact one on hover ----------------------------------------------
  const parts = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" };
  const thisYear = new Intl.DateTimeFormat(undefined, parts);
  const anyYear = new Intl.DateTimeFormat(undefined, { year: "numeric", ...parts });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const ago = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  const language = exact.resolvedOptions().locale;
  const short = (moment) => {
    const now = moment.getFullYear() === new Date().getFullYear();
    return (now ? thisYear : anyYear).format(moment);
  };
  const steps = [["second", 60], ["minute", 60], ["hour", 24], ["day", 14], ["week", Infinity]];
  const sizes = { second: 1, minute: 60, hour: 3600, day: 86400, week: 604800 };

  const relative = (moment) => {
    const seconds = (moment - Date.now()) / 1000;
    const [unit] = steps.find(([name, most]) => Math.abs(seconds) / sizes[name] < most);
    return ago.format(Math.round(seconds / sizes[unit]), unit);
  };

  const tell = (time) => {
    const moment = new Date(time.dateTime);
    // A date without a time is the same day everywhere.
    if (!time.dateTime.includes("T") || Number.isNaN(moment.getTime())) return;
    time.lang = language;
    time.title = exact.format(moment);
    time.textContent = "relative" in time.dataset ? relative(moment) : short(moment);
    if ("relative" in time.dataset) {
      const whole = document.createElement("span");
      whole.className = "hidden";
      whole.textContent = ` (${short(moment)})`;
      time.append(whole);
    }
  };

  // -- one click counts once ---------------------------------------------------------------------------------------
  // The server would carry out the second one no further; a person should not have to wonder.
  const release = (form) => {
    delete form.dataset.sent;
    for (const button of all("button[data-held]", form)) {
      button.disabled = false;
      delete button.dataset.held;
    }
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if ("sent" in form.dataset) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    form.dataset.sent = "";
    // Only after the browser has read the form: a disabled button is not sent along.
    setTimeout(() => {
      for (const button of all("button:not([type=button]):not([disabled])", form)) {
        button.disabled = true;
        button.dataset.held = "";
      }
    });
  }, true);

  // The back button shows the page as it was left: with its buttons held.
  window.addEventListener("pageshow", () => all("form[data-sent]").forEach(release));
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.target.closest?.("form");
    if (form) release(form);
  });

  // -- what is typed is what is meant: its choice is chosen ----------------------------------------------------------
  document.addEventListener("input", (event) => {
    const { target } = event;
    const box = target.closest?.("[data-picks]");
    if (!box || target.value.trim() === "" || target.value.trim() === "0") return;
    const choice = box.closest("form").querySelector(`input[type=radio][value="${CSS.escape(box.dataset.picks)}"]`);
    if (choice) choice.checked = true;
  });

  // -- amounts: digits as the reader's language has them, exact because they are never numbers here -----------------
  const formats = new Map();
  const written = new WeakSet();
  const write = (span) => {
    if (written.has(span)) return;
    written.add(span);
    const text = span.dataset.amount;
    const digits = text.split(".")[1]?.length ?? 0;
    if (!formats.has(digits)) {
      const exactly = { minimumFractionDigits: digits, maximumFractionDigits: digits };
      formats.set(digits, new Intl.NumberFormat(undefined, exactly));
    }
    const sign = span.classList.contains("negative") ? "\u2212" : "";
    // What stands behind the digits, a currency at least, stays as it is.
    const shown = span.firstChild.nodeValue;
    span.firstChild.nodeValue = `${sign}${formats.get(digits).format(text)}${shown.slice(shown.search(/\s/))}`;
  };

  // -- keys ----------------------------------------------------------------------------------------------------------
  const OFF = "till-keys-off";
  const off = () => {
    try { return localStorage.getItem(OFF) !== null; } catch { return false; }
  };
  const ROW = "main tbody tr, [data-key=row]";
  const rowLink = (row) => row.querySelector("a[data-key=open]") || row.querySelector("a[href]");
  const rows = () => all(ROW).map(rowLink).filter((link) => link?.offsetParent);

  const move = (step) => {
    const links = rows();
    if (!links.length) return;
    const row = document.activeElement?.closest(ROW);
    const at = row ? links.indexOf(rowLink(row)) : -1;
    const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
    links[next].focus();
    links[next].scrollIntoView({ block: "nearest" });
  };

  const keys = {
    "/": () => {
      const field = document.querySelector("[type=search]");
      field?.focus();
      field?.select();
    },
    "?": () => document.getElementById("keys")?.showModal(),
    j: () => move(1),
    k: () => move(-1),
  };

  const typing = (element) => element?.closest?.("input, select, textarea, [contenteditable], dialog");
  let leader = 0;

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (event.target.matches?.("input, textarea")) event.target.blur();
      const menu = event.target.closest?.(".switcher[open], .person[open]");
      if (menu) menu.querySelector("summary").focus();
      menus(null);
    }
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (typing(event.target) || document.querySelector("dialog[open]")) return;
    if (off() && event.key !== "?") return;
    const led = event.timeStamp - leader < 1500;
    leader = 0;
    if (led) {
      const link = document.querySelector(`[data-keys="g ${CSS.escape(event.key)}"]`);
      if (link) {
        event.preventDefault();
        link.click();
        return;
      }
    }
    if (event.key === "g") leader = event.timeStamp;
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-keys-on]")) return;
    try {
      if (event.target.checked) localStorage.removeItem(OFF);
      else localStorage.setItem(OFF, "");
    } catch { /* A browser that keeps nothing keeps the keys on. */ }
  });

  // Menus close when something else is used.
  const menus = (except) => {
    for (const menu of all(".switcher[open], .person[open]")) {
      if (!menu.contains(except)) menu.open = false;
    }
  };

  document.addEventListener("focusin", (event) => menus(event.target));
  document.addEventListener("click", (event) => {
    menus(event.target);
    if (event.target.closest("[data-keys-list]")) keys["?"]();
    // A row opens wherever it is clicked, unless something in it has a use of its own or text is being selected.
    const row = event.target.closest(ROW);
    if (!row || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (event.target.closest("a, button, input, select, label, summary, details, form")) return;
    if (!getSelection().isCollapsed) return;
    rowLink(row)?.click();
  });

  // -- every piece of page, at first and after each swap ---------------------------------------------------------------
  const begin = (part) => {
    if (part.matches?.("time[datetime]")) tell(part);
    all("time[datetime]", part).forEach(tell);
    if (part.matches?.("[data-amount]")) write(part);
    all("[data-amount]", part).forEach(write);
    for (const box of all("[data-keys-on]", part)) box.checked = !off();
  };
  document.addEventListener("htmx:load", (event) => begin(event.detail.elt));
  begin(document);
  // Without this script every time is in UTC; each page names the zone its times are in.
  const named = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });
  const { timeZone } = named.resolvedOptions();
  const offset = named.formatToParts(new Date()).find((part) => part.type === "timeZoneName")?.value;
  for (const zone of all("[data-zone]")) {
    zone.textContent = offset && offset !== timeZone ? `${timeZone} (${offset})` : timeZone;
  }
  // A browser keeps the cookie of a session only where what it is sent cannot be read on the way.
  if (!window.isSecureContext) for (const warning of all("[data-insecure]")) warning.hidden = false;
  // On a small screen the navigation is a strip: where one is comes into sight.
  const strip = document.querySelector(".pages");
  const current = strip?.querySelector("[aria-current]");
  if (current && strip.scrollWidth > strip.clientWidth) {
    strip.scrollLeft = current.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2;
  }
})();
