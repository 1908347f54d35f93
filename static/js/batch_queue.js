// Many files on their way into one batch: totals, what is being sent, what failed, what is here already, what waits.
import { Expected } from "./expected.js";
import { fill, number, percent, sizeOf } from "./format.js";
import { UploadQueue } from "./queue.js";
import { ask } from "./sending.js";

// Reading a file of this size to compute its hash takes about a second, and its size in memory.
const HASHED_UP_TO_BYTES = 200e6;

const LISTS = { sending: "sending", failed: "failed", cancelled: "failed", here: "here", waiting: "waiting" };

// Only where the page came over https or from this very machine can a browser compute hashes.
async function hashOf(file) {
  if (!crypto.subtle || file.size > HASHED_UP_TO_BYTES) {
    return null;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class BatchQueue {
  constructor(section, refuse) {
    this.section = section;
    this.batch = section.dataset.batch;
    this.texts = section.dataset;
    this.rows = new Map();
    this.hashes = new Map();
    this.expected = new Expected(this.batch);
    this.queue = new UploadQueue({
      refuse,
      texts: this.texts,
      compare: (items) => this.compare(items),
      changed: (item) => this.place(item),
      idle: () => this.ended(),
    });
    this.listen();
  }

  part(name) {
    return this.section.querySelector(`[data-${name}]`);
  }

  listen() {
    this.part("pause").addEventListener("click", () => this.pause(true));
    this.part("resume").addEventListener("click", () => this.pause(false));
    this.part("retry-all").addEventListener("click", () => this.each("failed", (item) => this.queue.retry(item)));
    this.part("send-here").addEventListener("click", () => this.each("here", (item) => this.queue.retry(item)));
    this.part("stop").addEventListener("click", () => this.stop());
  }

  each(state, change) {
    for (const item of this.queue.items.filter((one) => one.state === state && !one.lasting && !one.arrived)) {
      change(item);
    }
  }

  add(files, leftOut, whole) {
    this.section.hidden = false;
    this.part("interrupted").hidden = true;
    this.part("running").hidden = false;
    this.part("left-out").hidden = leftOut === 0;
    this.part("left-out").textContent = fill(this.texts.textLeftOut, { count: number(leftOut) });
    const address = `/uploads?batch_id=${this.batch}&analyse=${whole ? "full" : "start"}`;
    for (const file of files) {
      const item = this.queue.add(file, address);
      if (item.state === "waiting") {
        this.expected.add(file);
      }
    }
    this.queue.next();
  }

  // What of these the server has, by content where the browser can tell. A file chosen twice is sent once.
  async compare(items) {
    const files = [];
    for (const { file } of items) {
      files.push({ name: file.name, size_bytes: file.size, sha256: await hashOf(file) });
    }
    const known = await (await ask(`/batches/${this.batch}/known`, { files })).json();
    return known.map((one, index) => this.judge(one, items[index], files[index].sha256));
  }

  judge({ arrival, address, words }, item, sha256) {
    const first = this.hashes.get(sha256);
    if (arrival === "new" && first && first !== item) {
      return { arrival: "duplicate", words: first.file.name, arrived: first.file.name === item.file.name };
    }
    if (sha256) {
      this.hashes.set(sha256, item);
    }
    return { arrival, words: words ?? "", target: address, arrived: arrival === "arrived" };
  }

  // Each item has one row, in the list of its state; what is done has none: the server shows it further down.
  place(item) {
    if (item.state === "done" || item.arrived) {
      this.rows.get(item)?.remove();
      this.rows.delete(item);
    } else {
      this.row(item);
    }
    if (item.state === "cancelled" || (item.state === "failed" && item.lasting) || (item.state === "here" && !item.arrived)) {
      this.expected.drop(item.file);
    }
    this.drawSoon();
  }

  row(item) {
    const row = this.rows.get(item) ?? this.newRow(item);
    const list = this.part(`list="${LISTS[item.state]}"`);
    if (row.parentElement !== list) {
      list.append(row);
      row.querySelector("[data-retry]").hidden = item.lasting || item.state === "sending" || item.state === "waiting";
      row.querySelector("[data-cancel]").hidden = item.state !== "sending" && item.state !== "waiting";
    }
    const words = row.querySelector("[data-words]");
    words.textContent = item.state === "sending" ? percent(item.share) : this.wordsOf(item);
    words.href = item.target ?? "";
    words.toggleAttribute("href", Boolean(item.target));
    row.querySelector("progress").value = item.share;
  }

  wordsOf(item) {
    return item.state === "cancelled" ? this.texts.textCancelled : item.words;
  }

  newRow(item) {
    const row = document.getElementById("queue-row").content.firstElementChild.cloneNode(true);
    row.querySelector("[data-name]").textContent = item.file.webkitRelativePath || item.file.name;
    row.querySelector("[data-size]").textContent = sizeOf(item.file.size);
    row.querySelector("[data-retry]").addEventListener("click", () => this.queue.retry(item));
    row.querySelector("[data-cancel]").addEventListener("click", () => this.queue.cancel(item));
    this.rows.set(item, row);
    return row;
  }

  pause(paused) {
    this.queue.pause(paused);
    this.drawSoon();
    this.part(paused ? "resume" : "pause").focus();
  }

  stop() {
    for (const item of this.queue.items.filter(({ state }) => state === "waiting" || state === "sending")) {
      this.queue.cancel(item);
    }
    this.queue.next();
  }

  // Once a frame, however many items change.
  drawSoon() {
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      this.draw();
    });
  }

  draw() {
    const count = { waiting: 0, sending: 0, done: 0, here: 0, failed: 0, cancelled: 0, arrived: 0, again: 0 };
    let bytes = 0;
    let sent = 0;
    for (const item of this.queue.items) {
      count[item.arrived ? "arrived" : item.state] += 1;
      count.again += item.state === "failed" && !item.lasting;
      if (item.state === "waiting" || item.state === "sending" || item.state === "done") {
        bytes += item.file.size;
        sent += item.file.size * item.share;
      }
    }
    const over = count.waiting + count.sending === 0;
    this.part("bar").value = over ? 1 : sent / (bytes || 1);
    this.part("title").textContent = this.titleOf(count, over);
    this.part("totals").textContent = this.totalsOf(count, sent, bytes);
    this.drawButtons(count, over);
  }

  titleOf(count, over) {
    const sent = count.done + count.arrived;
    const values = { sent: number(sent), total: number(sent + count.waiting + count.sending) };
    const text = over ? this.texts.textSent : this.queue.paused ? this.texts.textPaused : this.texts.textSending;
    return fill(text, values);
  }

  totalsOf(count, sent, bytes) {
    const parts = [fill(this.texts.textBytes, { sent: sizeOf(sent), total: sizeOf(bytes) })];
    for (const [name, text] of [["arrived", "textArrived"], ["here", "textHere"], ["failed", "textFailed"]]) {
      if (count[name] > 0) {
        parts.push(fill(this.texts[text], { count: number(count[name]) }));
      }
    }
    return parts.join(" · ");
  }

  drawButtons(count, over) {
    this.part("pause").hidden = over || this.queue.paused;
    this.part("resume").hidden = over || !this.queue.paused;
    this.part("stop").hidden = over;
    this.part("retry-all").hidden = count.again === 0;
    for (const name of ["waiting", "here"]) {
      this.part(`box="${name}"`).hidden = count[name] === 0;
      this.part(`count="${name}"`).textContent = number(count[name]);
    }
  }

  // All is sent: the batch is complete as it stands, unless something is left to try again.
  async ended() {
    this.draw();
    const open = this.queue.items.some((item) => item.state === "failed" && !item.lasting);
    document.getElementById("announcer").textContent = this.part("title").textContent;
    if (open) {
      return;
    }
    this.expected.clear();
    this.expected.saveNow();
    await ask(`/batches/${this.batch}/close`, {}).catch(() => {}); // the server closes idle batches by itself
    document.querySelectorAll('[data-live="*"]').forEach((element) => htmx.trigger(element, "refresh"));
  }

  // After a reload: what had been chosen and is not here.
  async recall() {
    const missing = this.expected.files.size > 0 ? await this.expected.missing().catch(() => []) : [];
    if (missing.length === 0) {
      return;
    }
    const arrived = this.expected.files.size - missing.length;
    const values = { arrived: number(arrived), missing: number(missing.length) };
    this.part("interrupted-words").textContent = fill(this.texts.textInterrupted, values);
    this.part("missing").replaceChildren(...missing.map(({ name }) => Object.assign(document.createElement("li"), { textContent: name })));
    this.part("interrupted").hidden = false;
    this.section.hidden = false;
    this.part("running").hidden = true;
  }
}
