// Times as the viewer's clock says them. The server draws once for all viewers, in
// UTC; this writes the labels under plots and the ends of ranges anew, in the browser's
// time zone or in that of ?tz=. The steps stay those of UTC: only what is said of them
// changes.
"use strict";

(() => {
  const board = document.getElementById("board");
  if (!board || !window.Intl || !window.MutationObserver) return;

  const DAY = 86400;
  // As in views/chart.go.
  const LABEL_STEPS = [15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY];
  const MAX_LABELS = 7;
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const SVG = "http://www.w3.org/2000/svg";

  const asked = new URLSearchParams(location.search).get("tz");
  const format = formatOf(asked) || formatOf(undefined);
  if (!format) return;
  const zone = format.resolvedOptions().timeZone;
  const root = document.documentElement;
  root.dataset.zone = zone;

  function formatOf(timeZone) {
    try {
      return timeZone === null ? null : new Intl.DateTimeFormat("en-GB", {
        timeZone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
      });
    } catch {
      return null; // there is no such zone
    }
  }

  // local gives what the zone's clock shows at an instant, in seconds as if it were UTC.
  function local(at) {
    const p = {};
    for (const { type, value } of format.formatToParts(new Date(at * 1000))) p[type] = Number(value);
    return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) / 1000;
  }

  const offset = (at) => local(at) - at;

  // instants gives when the zone's clock shows that: once; never, where it is put
  // forward; twice, where it is put back.
  function instants(shown) {
    const offsets = new Set([offset(shown - DAY), offset(shown + DAY)]);
    return Array.from(offsets, (o) => shown - o).filter((at) => local(at) === shown).sort((a, b) => a - b);
  }

  const two = (n) => String(n).padStart(2, "0");
  const dayOf = (d) => d.getUTCDate() + " " + MONTHS[d.getUTCMonth()];
  const timeOf = (d) => two(d.getUTCHours()) + ":" + two(d.getUTCMinutes());

  function label(shown, w) {
    const d = new Date(shown * 1000);
    const days = w.to - w.from > 2 * DAY;
    if (w.step < 60) return timeOf(d) + ":" + two(d.getUTCSeconds());
    if (days && shown % DAY === 0) return dayOf(d);
    return days ? dayOf(d) + " " + timeOf(d) : timeOf(d);
  }

  // roundTimes gives when the zone's clock shows a multiple of every, in order. A time for
  // more than an hour stands once where the clock shows its hour twice, and a midnight
  // that is left out is the moment after it.
  function roundTimes(from, to, every) {
    const begin = local(from), end = local(to), change = Math.abs(offset(to) - offset(from));
    const all = [];
    for (let shown = Math.ceil((Math.min(begin, end) - change) / every) * every; shown <= Math.max(begin, end) + change; shown += every) {
      const when = instants(shown);
      if (!when.length && shown % DAY === 0) when.push(shown - offset(shown - DAY));
      for (const at of every > 3600 ? when.slice(0, 1) : when) if (at >= from && at < to) all.push({ at, shown });
    }
    return all.sort((a, b) => a.at - b.at);
  }

  // labels does what timeLabels in views/chart.go does, with times that are round here.
  function labels(w) {
    const last = w.to - w.step, span = last - w.from;
    const end = { x: "100%", text: label(local(last), w), kind: "label-last" };
    if (span <= 0) return [end];
    const every = LABEL_STEPS.find((s) => s >= w.step && span / s < MAX_LABELS + 1) || LABEL_STEPS[LABEL_STEPS.length - 1];
    const long = end.text.length > 8; // and takes the room of another, or of two where there is little
    const all = [];
    for (const { at, shown } of roundTimes(w.from, last, every)) {
      const fraction = (at - w.from) / span;
      if (fraction < 0.03 || fraction > (long ? 0.8 : 0.84)) continue;
      const odd = all.length % 2 || (long && fraction > 0.6);
      all.push({ x: (100 * fraction).toFixed(2) + "%", text: label(shown, w), kind: odd ? "label-odd" : "label" });
    }
    return [...all, end];
  }

  function drawTimes(svg) {
    const [from, to, step] = svg.dataset.window.split(" ").map(Number);
    svg.replaceChildren(...labels({ from, to, step }).map((l) => {
      const text = document.createElementNS(SVG, "text");
      text.setAttribute("class", l.kind);
      text.setAttribute("x", l.x);
      text.setAttribute("y", "14");
      text.textContent = l.text;
      return text;
    }));
  }

  function drawSpan(span) {
    const [from, to] = span.dataset.span.split(" ").map((at) => new Date(local(Number(at)) * 1000));
    const begin = dayOf(from) + " " + timeOf(from);
    const sameDay = dayOf(from) === dayOf(to) && from.getUTCFullYear() === to.getUTCFullYear();
    span.textContent = begin + " – " + (sameDay ? timeOf(to) : dayOf(to) + " " + timeOf(to));
  }

  function drawAll() {
    for (const svg of document.querySelectorAll("[data-window]:not([data-drawn])")) {
      svg.dataset.drawn = "";
      drawTimes(svg);
    }
    for (const span of document.querySelectorAll("[data-span]:not([data-drawn])")) {
      span.dataset.drawn = "";
      drawSpan(span);
    }
  }

  const words = (asked && !formatOf(asked) ? "There is no time zone " + asked + ". " : "") + "Times are those of " + zone + ".";
  for (const e of document.querySelectorAll("[data-zone-note]")) e.textContent = words;
  for (const e of document.querySelectorAll("#range > summary")) e.title = words;

  // Before what a swap brought is painted.
  new MutationObserver(drawAll).observe(board, { childList: true, subtree: true });
  drawAll();
})();
