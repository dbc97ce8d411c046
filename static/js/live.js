// The live page: what it says about its connection, and what its controls do.
// All numbers are drawn by the server; nothing here knows what they mean.
"use strict";

(() => {
  const root = document.documentElement;
  const board = document.getElementById("board");
  const banner = document.getElementById("banner");
  const announcer = document.getElementById("announcer");
  const pauseButton = document.querySelector("[data-action=pause]");
  const refreshForm = document.getElementById("refresh");
  const notes = document.getElementById("notes");
  if (!board || !window.LiveSource || !window.htmx) return;

  const BANNER_DELAY = 2000;   // ms: a short hiccup is nobody's business
  const FLASH_INTERVAL = 1000; // ms: at most one flash a widget
  const HIDDEN_TIMEOUT = 60_000; // ms until a hidden tab gives its stream back
  const RELOAD_INTERVAL = 5000;
  const screen = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
  const embedded = board.hasAttribute("data-embed");
  const past = board.hasAttribute("data-past");
  const token = embedded ? new URLSearchParams(location.search).get("token") : null;
  const streamURL = board.getAttribute("sse-connect");

  let paused = past || board.dataset.refresh === "off";
  let asOf = Date.parse(board.dataset.asOf) || Date.now();
  let clockSkew = Date.now() - asOf; // of this machine against the server, roughly
  let next = 0;        // when the next try comes
  let reason = "";     // why the stream ended for good
  let once = false;    // the stream is open for one update only
  let bannerTimer = 0;

  // ---- The stream -------------------------------------------------------

  const source = new LiveSource({
    cursor: board.dataset.cursor,
    silence: Number(board.dataset.silence),
    url() {
      const url = new URL(streamURL, location.href);
      url.searchParams.set("format", "html");
      url.searchParams.set("screen", screen);
      const refresh = board.dataset.refresh;
      if (refresh && refresh !== "off") url.searchParams.set("refresh", refresh);
      return url.href;
    },
    headers: () => (token ? { Authorization: "Bearer " + token } : {}),
  });

  source.onchange = (phase, detail) => {
    next = detail.next || 0;
    reason = detail.reason || "";
    if (phase === "connecting") {
      // A first connection and each try keep the look of what was before.
      if (root.dataset.live === "paused" && !once) show("connecting");
      return;
    }
    if (phase === "live") { asOf = Date.now(); clockSkew = 0; }
    if (phase === "ended") {
      // A newer stream of this screen took over: this one has nothing to say.
      if (reason === "replaced") return;
      show("disconnected");
      return;
    }
    if (!once || phase !== "live") show(phase);
  };

  source.addEventListener("heartbeat", () => {
    fresh();
    // It follows what the page lacked, or says that it lacked nothing.
    if (once) setTimeout(finishOnce, 0);
  });
  source.addEventListener("metric_update", (e) => {
    fresh();
    flashing = !e.catchUp && !once;
    // htmx swaps on the same event, after this listener; flashes belong to its swaps.
    setTimeout(() => { flashing = false; }, 0);
  });
  source.addEventListener("reload", () => {
    const last = Number(sessionStorage.getItem("pulseboard-reload")) || 0;
    const wait = Math.max(0, last + RELOAD_INTERVAL - Date.now());
    setTimeout(() => {
      sessionStorage.setItem("pulseboard-reload", String(Date.now()));
      location.reload();
    }, wait);
  });

  function fresh() { asOf = Date.now(); clockSkew = 0; tick(); }

  function finishOnce() {
    if (!once) return;
    once = false;
    source.stop();
    show("paused");
  }

  // htmx asks for an EventSource when it finds the board; it gets ours.
  window.htmx.createEventSource = () => {
    if (!paused) source.connect();
    return source;
  };

  addEventListener("online", () => { if (!paused) source.hurry(); });
  addEventListener("pagehide", () => source.stop());
  addEventListener("pageshow", (e) => { if (e.persisted && !paused) source.connect(); });

  let hiddenTimer = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = setTimeout(() => { if (!paused && source.phase === "live") source.stop(); }, HIDDEN_TIMEOUT);
    } else if (!paused) {
      if (source.phase === "idle" && !reason) source.connect();
      else source.hurry();
    }
  });

  // ---- What the page says about it ---------------------------------------

  const WORDS = {
    connecting: "Connecting…", live: "Live", reconnecting: "Reconnecting…",
    disconnected: "Disconnected", paused: "Paused",
  };

  function show(state) {
    const before = root.dataset.live;
    root.dataset.live = state;
    text("[data-status=word]", state === "paused" && board.dataset.refresh === "off" && !past ? "Off" : WORDS[state]);
    const icon = document.querySelector("link[rel=icon]");
    if (icon && icon.dataset[state]) icon.href = icon.dataset[state];
    if (pauseButton) {
      pauseButton.setAttribute("aria-pressed", String(paused));
      pauseButton.querySelector("[data-label]").textContent = paused ? "Resume" : "Pause";
      pauseButton.disabled = past || Boolean(reason); // what has ended can't be paused
    }
    clearTimeout(bannerTimer);
    if (state === "live" || state === "connecting") banner.hidden = true;
    else if (state === "reconnecting" && before !== "reconnecting") bannerTimer = setTimeout(openBanner, BANNER_DELAY);
    else if (state === "reconnecting" && banner.hidden) bannerTimer = setTimeout(openBanner, BANNER_DELAY / 2);
    else openBanner();
    if (before !== state && before !== "connecting") {
      announce({ live: "Live again", reconnecting: "Reconnecting", disconnected: "Disconnected", paused: "Paused" }[state]);
    }
    tick();
  }

  function openBanner() { banner.hidden = false; tick(); }

  function tick() {
    const state = root.dataset.live;
    const seconds = Math.max(0, Math.round((Date.now() - asOf - clockSkew) / 1000));
    text("[data-status=age]", state === "live" ? "as of " + age(seconds) : "as of " + clock(asOf));
    if (!banner.hidden) drawBanner(state);
  }

  function drawBanner(state) {
    const wait = Math.max(0, Math.ceil((next - Date.now()) / 1000));
    const end = state === "disconnected" && reason ? endOf(reason) : null;
    let words = "";
    if (state === "reconnecting") words = "Reconnecting… " + (next ? "next try in " + wait + " s" : "trying now");
    else if (end) words = end.words;
    else if (state === "disconnected") words = "Disconnected. The server has not answered since " + clock(asOf) + ".";
    else if (past) words = "Paused. This range lies in the past, so it does not change.";
    else if (state === "paused" && board.dataset.refresh === "off") words = "Paused. Automatic refresh is off.";
    else if (state === "paused") words = "Paused. The numbers are those of " + clock(asOf) + ".";
    const strong = words.match(/^[^.…]*[.…]/);
    const p = banner.querySelector("[data-banner=text]");
    if (p.dataset.words !== words) {
      p.dataset.words = words;
      p.replaceChildren(Object.assign(document.createElement("b"), { textContent: strong ? strong[0] : "" }),
        words.slice(strong ? strong[0].length : 0));
    }
    const retry = banner.querySelector("[data-action=retry]");
    retry.hidden = !(state === "reconnecting" || state === "disconnected") || Boolean(end && !end.retry);
    retry.querySelector("[data-label]").textContent = state === "disconnected" ? "Retry now" : "Try now";
    const link = banner.querySelector("[data-banner=link]");
    link.hidden = !(end && end.link);
    if (end && end.link) { link.textContent = end.link; link.href = end.href; }
    banner.querySelector("[data-action=once]").hidden = state !== "paused" || past;
  }

  // What to say when the stream ended for good, and what a person can do about it.
  function endOf(reason) {
    if (reason === "removed") {
      const words = "Disconnected. This dashboard no longer exists.";
      return embedded ? { words } : { words, link: "All dashboards", href: "/dashboards" };
    }
    if (reason === "signed_out" || reason === "expired" || reason === "revoked") {
      if (embedded) return { words: "Disconnected. This link no longer works. Ask the owner for a new one." };
      const next = encodeURIComponent(location.pathname + location.search);
      return { words: "Signed out. Sign in again to go on.", link: "Sign in", href: "/login?next=" + next };
    }
    return { words: "Disconnected. The server ended the updates.", retry: true };
  }

  function age(seconds) {
    if (seconds < 60) return seconds + " s ago";
    return Math.floor(seconds / 60) + " min ago";
  }

  function clock(ms) { return new Date(ms).toLocaleTimeString([], { hour12: false, timeZone: root.dataset.zone }); }

  function text(selector, words) {
    for (const e of document.querySelectorAll(selector)) if (e.textContent !== words) e.textContent = words;
  }

  function announce(words) { if (words) announcer.textContent = words; }

  setInterval(tick, 1000);

  // ---- Flashes -----------------------------------------------------------

  let flashing = false;
  const flashed = new Map(); // widget id → when it last flashed
  const states = new Map();  // widget id → its state, for those who can't see it

  function widgetOf(element) { return element.closest ? element.closest(".widget") : null; }

  document.body.addEventListener("htmx:oobAfterSwap", (e) => {
    const element = e.target;
    const widget = widgetOf(element);
    if (!widget) return;
    tellState(widget);
    // What only moves on with time is no change to look at.
    if (!flashing || element.hasAttribute("data-calm") || root.dataset.live !== "live") return;
    const now = Date.now();
    if (now - (flashed.get(widget.id) || 0) < FLASH_INTERVAL && !widget.querySelector(".flash")) return;
    flashed.set(widget.id, now);
    element.classList.add("flash");
  });

  document.body.addEventListener("animationend", (e) => {
    if (e.target.classList && e.target.classList.contains("flash")) e.target.classList.remove("flash");
  });

  function tellState(widget) {
    const state = widget.dataset.state;
    const before = states.get(widget.id);
    states.set(widget.id, state);
    if (before !== undefined && before !== state && (state === "warning" || state === "critical")) {
      const title = widget.querySelector("h2");
      announce((title ? title.textContent + ": " : "") + state);
    }
  }
  for (const w of document.querySelectorAll(".widget")) states.set(w.id, w.dataset.state);

  // ---- Controls ----------------------------------------------------------

  document.addEventListener("click", (e) => {
    const button = e.target.closest ? e.target.closest("[data-action]") : null;
    const action = button && button.dataset.action;
    if (action === "pause") setPaused(!paused);
    else if (action === "once") { once = true; source.connect(); }
    else if (action === "retry") source.connect();
    else if (action === "dismiss") button.closest(".note").remove();
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(e.target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (e) => {
    if (e.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  function setPaused(to) {
    paused = to;
    once = false;
    if (!paused && board.dataset.refresh === "off") board.dataset.refresh = "5s"; // a chosen pace comes back with the form
    if (paused) { source.stop(); show("paused"); } else source.connect();
    markRefresh();
  }

  function markRefresh() {
    if (!refreshForm) return;
    for (const b of refreshForm.querySelectorAll("button")) {
      b.setAttribute("aria-pressed", String(b.value === board.dataset.refresh));
    }
  }

  if (refreshForm) refreshForm.addEventListener("submit", async (e) => {
    const button = e.submitter;
    if (!button) return;
    e.preventDefault();
    const before = board.dataset.refresh;
    const choice = button.value;
    choose(choice);
    try {
      const response = await fetch(refreshForm.action, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams({ refresh: choice }),
      });
      if (response.ok) { notes.replaceChildren(); return; }
      choose(before);
      note(response.status === 401 ? "Not saved. Sign in again and choose once more." : "Not saved. The server refused the choice.");
    } catch {
      choose(before);
      note("Not saved. The server did not answer: choose once more.");
    }
  });

  // Says that something went wrong, until it is read and dismissed or done after all.
  function note(words) {
    const shown = document.getElementById("note").content.cloneNode(true);
    shown.querySelector("p").textContent = words;
    notes.replaceChildren(shown);
  }

  // Takes a pace over: the cursor stays, so nothing is drawn twice and nothing missed.
  function choose(refresh) {
    board.dataset.refresh = refresh;
    paused = past || refresh === "off";
    markRefresh();
    if (paused) { source.stop(); show("paused"); } else source.connect();
  }

  for (const form of document.querySelectorAll("form[data-autosubmit]")) {
    form.addEventListener("change", () => form.requestSubmit());
  }

  if (paused) show("paused");
})();
