// The upload queue: three files at a time. It knows no page; whoever shows it is told of every change of an item.
import { SignedOut, renewToken, sendFile, wordsOf } from "./sending.js";
import { signInCount, signedInAgain } from "./signed_out.js";

const AT_A_TIME = 3;
const COMPARED_AT_ONCE = 25;
const TRIES = 4;
const PAUSE_MS = 1000;
const FULL = 503;
const PASSING = new Set([0, 429, 502, 503, 504]);
// What is wrong with the file stays wrong; anything else may pass.
const LASTING = new Set([400, 413, 415]);

// States of an item: waiting, sending, done, here (needs no sending), failed, cancelled.
export class UploadQueue {
  // refuse(file): words why it can't be sent, or null. compare(items), if given: for each item what is known of it.
  constructor({ refuse, compare = null, changed, idle, texts }) {
    Object.assign(this, { refuse, compare, changed, idle, texts });
    this.items = [];
    this.unknown = [];
    this.ready = [];
    this.running = 0;
    this.busy = 0; // comparisons and retries under way
    this.paused = false;
    this.halted = false;
    this.held = false;
    this.engaged = false;
  }

  get active() {
    return this.running + this.busy + this.ready.length + this.unknown.length > 0;
  }

  add(file, address) {
    this.engaged = true;
    const item = { file, address, state: "waiting", share: 0, tries: 0, words: "", lasting: false };
    this.items.push(item);
    const problem = this.refuse(file);
    if (problem) {
      this.set(item, "failed", { words: problem, lasting: true });
    } else {
      (this.compare ? this.unknown : this.ready).push(item);
      this.set(item, "waiting");
    }
    return item;
  }

  set(item, state, values = {}) {
    Object.assign(item, { state, words: "", share: 0 }, values);
    this.changed(item);
  }

  retry(item) {
    item.tries = 0;
    this.engaged = true;
    this.ready.push(item);
    this.set(item, "waiting");
    this.next();
  }

  cancel(item) {
    for (const list of [this.unknown, this.ready]) {
      if (list.includes(item)) {
        list.splice(list.indexOf(item), 1);
      }
    }
    this.set(item, "cancelled");
    item.request?.abort();
  }

  pause(paused) {
    this.paused = paused;
    this.next();
  }

  next() {
    if (this.paused || this.halted || this.held) {
      return;
    }
    while (this.running < AT_A_TIME && this.ready.length > 0) {
      this.send(this.ready.shift());
    }
    if (this.unknown.length > 0 && this.ready.length < AT_A_TIME && !this.comparing) {
      this.compareSome();
    }
    if (this.engaged && !this.active) {
      this.engaged = false;
      this.idle();
    }
  }

  // Nothing is sent until there is a session again.
  async halt(since) {
    this.halted = true;
    await signedInAgain(since);
    this.halted = false;
    this.next();
  }

  async compareSome() {
    this.comparing = true;
    this.busy += 1;
    const items = this.unknown.splice(0, COMPARED_AT_ONCE);
    const since = signInCount();
    try {
      const known = await this.compare(items);
      items.forEach((item, index) => this.sort(item, known[index]));
    } catch (error) {
      if (error instanceof SignedOut) {
        this.unknown.unshift(...items);
        this.halt(since);
      } else {
        // Sending twice does less harm than not sending.
        this.ready.push(...items);
      }
    }
    this.busy -= 1;
    this.comparing = false;
    this.next();
  }

  sort(item, known) {
    if (item.state !== "waiting") {
      return; // cancelled meanwhile
    }
    if (known.arrival === "new") {
      this.ready.push(item);
    } else {
      this.set(item, "here", known);
    }
  }

  async send(item) {
    this.running += 1;
    item.tries += 1;
    const since = signInCount();
    this.set(item, "sending");
    const answer = await sendFile(item.address, item.file, {
      started: (request) => {
        item.request = request;
      },
      progress: (share) => {
        item.share = share;
        this.changed(item);
      },
    });
    item.request = null;
    await this.answered(item, answer, since);
    this.running -= 1;
    this.next();
  }

  async answered(item, { status, text, retryAfterS }, since) {
    if (item.state === "cancelled") {
      return;
    }
    if (status === 401) {
      item.tries = 0;
      this.ready.unshift(item);
      this.set(item, "waiting");
      this.halt(since);
    } else if (status === 403 && item.tries === 1 && (await renewToken().catch(() => false))) {
      this.ready.unshift(item);
      this.set(item, "waiting");
    } else if (status === FULL && retryAfterS > 0) {
      this.hold(item, wordsOf(text), retryAfterS);
    } else if (PASSING.has(status) && item.tries < TRIES) {
      this.later(item, retryAfterS * 1000 || PAUSE_MS * 4 ** (item.tries - 1));
    } else if (status >= 200 && status < 300) {
      this.set(item, "done", { share: 1, text });
    } else {
      this.set(item, "failed", { words: wordsOf(text) ?? this.texts.textOffline, lasting: LASTING.has(status) });
    }
  }

  // The server has no room for more, or is not well, and says when to come back: everything waits, however often it says so.
  hold(item, words, pauseS) {
    item.tries = 0;
    this.ready.unshift(item);
    this.set(item, "waiting", { words: words ?? this.texts.textSoon });
    if (!this.held) {
      this.held = true;
      setTimeout(() => {
        this.held = false;
        this.next();
      }, pauseS * 1000);
    }
  }

  // The line is down or the server busy: the item takes its turn again after a while.
  later(item, pauseMs) {
    this.busy += 1;
    this.set(item, "waiting", { words: this.texts.textSoon });
    setTimeout(() => {
      this.busy -= 1;
      if (item.state === "waiting") {
        this.ready.push(item);
      }
      this.next();
    }, pauseMs);
  }
}
