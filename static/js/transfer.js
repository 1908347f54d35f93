// One file on its way to the server, and its row in the table.
const number = (value) => new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 }).format(value);
const percent = (share) => new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(share);

function sizeOf(bytes) {
  return bytes >= 1e6 ? `${number(bytes / 1e6)} MB` : bytes >= 1e3 ? `${number(bytes / 1e3)} kB` : `${bytes} B`;
}

// After signing in again in another tab the token of this page is an old one.
async function renewToken() {
  const answer = await fetch("/help", { headers: { accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const token = fresh.querySelector("meta[name=csrf-token]")?.content;
  if (token) {
    document.querySelector("meta[name=csrf-token]").content = token;
    document.body.setAttribute("hx-headers", JSON.stringify({ "x-csrf-token": token }));
  }
}

export class Transfer {
  constructor(form, file, { onRetry, onCancel }) {
    this.file = file;
    this.texts = form.dataset;
    this.limitBytes = Number(form.dataset.limitBytes);
    this.row = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
    this.find("name").textContent = file.name;
    this.find("size").textContent = sizeOf(file.size);
    this.bar = this.row.querySelector("progress");
    this.bar.setAttribute("aria-label", file.name);
    this.say(this.texts.textWaiting);
    this.find("cancel").addEventListener("click", () => {
      this.request?.abort();
      onCancel(this);
      this.fail(this.texts.textCancelled);
    });
    this.find("retry").addEventListener("click", () => {
      this.show({ busy: true });
      this.say(this.texts.textWaiting);
      onRetry(this);
    });
    document.getElementById("upload-rows").prepend(this.row);
  }

  find(part) {
    return this.row.querySelector(`[data-${part}]`);
  }

  say(text, { failed = false } = {}) {
    const status = this.find("status");
    status.textContent = text;
    status.classList.toggle("badge", failed);
    status.classList.toggle("failed", failed);
  }

  show({ busy, retry = !busy }) {
    this.find("cancel").hidden = !busy;
    this.find("retry").hidden = !retry;
    this.bar.hidden = !busy;
    this.bar.value = 0;
  }

  fail(text, { retry = true } = {}) {
    this.show({ busy: false, retry });
    this.say(text, { failed: true });
    document.getElementById("announcer").textContent = `${this.file.name}: ${text}`;
  }

  // What can be told without sending anything.
  check() {
    const problem =
      this.file.size === 0
        ? this.texts.textEmpty
        : this.file.size > this.limitBytes
          ? this.texts.textTooLarge
          : null;
    if (problem) {
      this.fail(problem, { retry: false });
    }
    return problem === null;
  }

  async start() {
    if (this.tokenIsOld) {
      await renewToken().catch(() => {});
    }
    const body = new FormData();
    body.append("file", this.file);
    this.request = new XMLHttpRequest();
    await new Promise((resolve) => {
      this.request.upload.addEventListener("progress", (event) => this.progress(event));
      this.request.addEventListener("load", () => resolve(this.answered()));
      this.request.addEventListener("error", () => resolve(this.fail(this.texts.textOffline)));
      this.request.addEventListener("abort", resolve);
      this.request.open("POST", "/uploads");
      this.request.setRequestHeader("hx-request", "true");
      this.request.setRequestHeader("x-csrf-token", document.querySelector("meta[name=csrf-token]").content);
      this.request.send(body);
    });
  }

  progress({ loaded, total }) {
    this.bar.value = loaded / total;
    this.say(loaded < total ? percent(loaded / total) : this.texts.textReceiving);
  }

  answered() {
    const { status, responseText } = this.request;
    this.tokenIsOld = status === 401 || status === 403;
    if (status === 401) {
      this.fail(this.texts.textSignedOut);
    } else if (status >= 400) {
      this.refused(responseText, status);
    } else {
      htmx.swap(this.row, responseText, { swapStyle: "outerHTML" });
    }
  }

  refused(html, status) {
    const words = new DOMParser().parseFromString(html, "text/html").querySelector("[data-detail]");
    // What is wrong with the file stays wrong; anything else may pass.
    const lasting = status === 400 || status === 413 || status === 415;
    this.fail(words?.textContent ?? this.texts.textOffline, { retry: !lasting });
  }
}
