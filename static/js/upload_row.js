// A file on its way, as a row of the table on the start page; the server's row takes its place.
import { percent, sizeOf } from "./format.js";

export class UploadRow {
  constructor(item, texts, { retry, cancel }) {
    this.texts = texts;
    this.row = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
    this.part("name").textContent = item.file.name;
    this.part("size").textContent = sizeOf(item.file.size);
    this.bar = this.row.querySelector("progress");
    this.bar.setAttribute("aria-label", item.file.name);
    this.part("cancel").addEventListener("click", () => cancel(item));
    this.part("retry").addEventListener("click", () => retry(item));
    document.getElementById("upload-rows").prepend(this.row);
  }

  part(name) {
    return this.row.querySelector(`[data-${name}]`);
  }

  show(item) {
    if (item.state === "done") {
      htmx.swap(this.row, item.text, { swapStyle: "outerHTML" });
      return;
    }
    const over = item.state === "failed" || item.state === "cancelled";
    this.part("cancel").hidden = over;
    this.part("retry").hidden = !over || item.lasting;
    this.bar.hidden = over;
    this.bar.value = item.share;
    this.say(this.wordsOf(item), over);
    if (item.state === "failed") {
      document.getElementById("announcer").textContent = `${item.file.name}: ${item.words}`;
    }
  }

  say(words, failed) {
    const status = this.part("status");
    status.textContent = words;
    status.classList.toggle("badge", failed);
    status.classList.toggle("failed", failed);
  }

  wordsOf(item) {
    switch (item.state) {
      case "sending":
        return item.share < 1 ? percent(item.share) : this.texts.textReceiving;
      case "cancelled":
        return this.texts.textCancelled;
      default:
        return item.words || this.texts.textWaiting;
    }
  }
}
