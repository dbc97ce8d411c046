// LiveSource is the transport behind htmx's sse extension: a source of
// server-sent events that does what EventSource does not. It sends the cursor as
// a header, so that nothing is missed; it goes on trying after every answer but
// those that are final; it notices a connection that has gone silent; and it
// tells the page what state it is in.
//
// To htmx it looks like an EventSource that never fails: all reconnecting is done
// here, so the extension never opens a second one.
"use strict";

const CONNECT_TIMEOUT = 10_000;  // ms until an answer must have begun
const BACKOFF = [1, 2, 4, 8, 16, 30]; // s before each try; the last one repeats
const JITTER = 0.1;              // of the delay, so that many screens don't come at once
const FAILURES_TO_DISCONNECTED = 5; // tries in a row that failed

// Answers that no retry mends.
const FINAL = { 401: "signed_out", 403: "signed_out", 404: "removed", 204: "ended" };

// Parses an event stream as it comes, whatever the pieces are cut at.
// Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
class EventParser {
  constructor(emit) {
    this.emit = emit;
    this.rest = "";
    this.started = false;
    this.reset();
  }

  reset() { this.event = ""; this.data = []; }

  feed(text) {
    if (!this.started && text) {
      this.started = true;
      if (text[0] === "\ufeff") text = text.slice(1);
    }
    this.rest += text;
    let from = 0;
    for (;;) {
      const end = this.endOfLine(from);
      if (end < 0) break;
      this.line(this.rest.slice(from, end));
      from = end + (this.rest.startsWith("\r\n", end) ? 2 : 1);
    }
    this.rest = this.rest.slice(from);
  }

  // A CR at the very end may be half of a CRLF, so its line waits.
  endOfLine(from) {
    for (let i = from; i < this.rest.length; i++) {
      const c = this.rest[i];
      if (c === "\n" || (c === "\r" && i + 1 < this.rest.length)) return i;
    }
    return -1;
  }

  line(line) {
    if (line === "") {
      if (this.data.length) this.emit(this.event || "message", this.data.join("\n"), this.id);
      this.reset();
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value[0] === " ") value = value.slice(1);
    if (field === "event") this.event = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id" && !value.includes("\0")) this.id = value;
  }
}

class LiveSource extends EventTarget {
  // url: gives the address to connect to; headers: gives headers; both are asked
  // anew for each try. cursor: id of the state that the page shows. silence: ms
  // without a byte after which the connection is given up.
  constructor({ url, headers, cursor, silence }) {
    super();
    this.makeURL = url;
    this.makeHeaders = headers;
    this.cursor = cursor;
    this.silence = silence;
    this.readyState = 0;
    this.failures = 0; // tries in a row that brought nothing
    this.phase = "idle";
  }

  get url() { return this.makeURL(); }

  // The page sets onchange; htmx sets onopen and onerror, and is told of neither.
  change(phase, detail = {}) {
    this.phase = phase;
    if (this.onchange) this.onchange(phase, detail);
  }

  // Connects now, whatever was going on.
  connect() {
    this.stop();
    const attempt = this.attempt = new AbortController();
    this.change("connecting");
    this.run(attempt).then(
      (why) => this.ended(attempt, why),
      (error) => this.ended(attempt, { error: String(error) }),
    );
  }

  // Ends the connection and the waiting for one. The cursor stays.
  stop() {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    const attempt = this.attempt;
    this.attempt = null;
    if (attempt) attempt.abort();
    this.phase = "idle";
  }

  // htmx calls it when the element goes away.
  close() { this.stop(); this.readyState = 2; }

  async run(attempt) {
    this.arm(attempt, CONNECT_TIMEOUT);
    const headers = { Accept: "text/event-stream", ...this.makeHeaders() };
    if (this.cursor) headers["Last-Event-ID"] = this.cursor;
    const response = await fetch(this.makeURL(), { headers, signal: attempt.signal, cache: "no-store" });
    if (FINAL[response.status]) return { final: FINAL[response.status], status: response.status };
    if (!response.ok) {
      return { status: response.status, wait: parseInt(response.headers.get("Retry-After"), 10) || 0 };
    }
    if (!(response.headers.get("Content-Type") || "").startsWith("text/event-stream")) return { status: response.status };
    let goodbye = null;
    let caughtUp = false; // what the page lacked comes before the first heartbeat
    const parser = new EventParser((event, data, id) => {
      if (attempt.signal.aborted) return;
      if (id) this.cursor = id;
      if (event === "goodbye") goodbye = JSON.parse(data).reason || "ended";
      const message = new MessageEvent(event, { data, lastEventId: id || "" });
      message.catchUp = !caughtUp;
      if (event === "heartbeat") caughtUp = true;
      this.dispatchEvent(message);
    });
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      // What was removed, the dashboard or the user, the next answer says: 404 or 401.
      if (done) return { final: goodbye === "removed" ? "" : goodbye };
      if (attempt.signal.aborted) return {};
      this.arm(attempt, this.silence);
      if (this.phase !== "live") {
        this.failures = 0;
        this.readyState = 1;
        this.change("live");
      }
      parser.feed(decoder.decode(value, { stream: true }));
    }
  }

  // Gives the connection up when nothing comes for so long.
  arm(attempt, timeout) {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => attempt.abort(), timeout);
  }

  ended(attempt, why) {
    if (this.attempt !== attempt) return; // stopped, or replaced by a newer try
    clearTimeout(this.watchdog);
    this.readyState = 0;
    if (why.final) {
      this.attempt = null;
      this.change("ended", { reason: why.final });
      return;
    }
    if (this.phase !== "live") this.failures++; // a connection that was live is lost, which is no failed try
    const delay = Math.max(BACKOFF[Math.min(this.failures, BACKOFF.length - 1)] * (1 + Math.random() * JITTER), why.wait || 0);
    this.change(this.failures >= FAILURES_TO_DISCONNECTED ? "disconnected" : "reconnecting",
      { next: Date.now() + delay * 1000, status: why.status });
    this.timer = setTimeout(() => this.connect(), delay * 1000);
  }

  // Tries at once if it was waiting to.
  hurry() {
    if (this.phase === "reconnecting" || this.phase === "disconnected") this.connect();
  }
}

window.LiveSource = LiveSource;
