// Which files were to be sent to a batch, kept by this tab over a reload: what has not arrived can be chosen again.
import { ask } from "./sending.js";

const ASKED_AT_ONCE = 500;
const SAVE_AFTER_MS = 500;

export class Expected {
  constructor(batch) {
    this.batch = batch;
    this.key = `earmark-expected:${batch}`;
    this.files = new Map(JSON.parse(sessionStorage.getItem(this.key) ?? "[]"));
  }

  static id({ name, size }) {
    return `${size}/${name}`;
  }

  add(file) {
    this.files.set(Expected.id(file), { name: file.name, size: file.size });
    this.save();
  }

  drop(file) {
    this.files.delete(Expected.id(file));
    this.save();
  }

  clear() {
    this.files.clear();
    this.save();
  }

  save() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.saveNow(), SAVE_AFTER_MS);
  }

  saveNow() {
    if (this.files.size === 0) {
      sessionStorage.removeItem(this.key);
      return;
    }
    try {
      sessionStorage.setItem(this.key, JSON.stringify([...this.files]));
    } catch {
      // Too many for the browser's small store: after a reload the whole folder is chosen again, which works as well.
    }
  }

  // Those that the server does not have.
  async missing() {
    const files = [...this.files.values()];
    const missing = [];
    for (let start = 0; start < files.length; start += ASKED_AT_ONCE) {
      const some = files.slice(start, start + ASKED_AT_ONCE);
      const asked = some.map(({ name, size }) => ({ name, size_bytes: size }));
      const known = await (await ask(`/batches/${this.batch}/known`, { files: asked })).json();
      missing.push(...some.filter((_, index) => known[index].arrival === "new"));
    }
    return missing;
  }
}
