// The upload field: few files become rows below it; a folder, or many files, become a batch with a page of its own.
import { BatchQueue } from "./batch_queue.js";
import { filesOfDrop, filesOfInput } from "./folders.js";
import { UploadQueue } from "./queue.js";
import { SignedOut, ask } from "./sending.js";
import { announcePage, signedInAgain } from "./signed_out.js";
import { UploadRow } from "./upload_row.js";

const MANY = 10;
let loose = null;
let batch = null;

const here = () => location.pathname + location.search;
let shown = here();

const form = () => document.getElementById("uploader");
const option = (name) => form().elements[name];

function noteAddress() {
  shown = here();
}

function refuse(file) {
  const { limitBytes, textEmpty, textTooLarge } = form().dataset;
  if (file.size === 0) {
    return textEmpty;
  }
  return file.size > Number(limitBytes) ? textTooLarge : null;
}

function complain(words) {
  const toast = document.getElementById("upload-problem").content.firstElementChild.cloneNode(true);
  toast.querySelector("[data-detail]").textContent = words;
  document.getElementById("toasts").append(toast);
}

// --- few files

function looseQueue() {
  const rows = new Map();
  const texts = form().dataset;
  const queue = new UploadQueue({
    refuse,
    texts,
    changed: (item) => {
      if (!rows.has(item)) {
        rows.set(item, new UploadRow(item, texts, { retry: (one) => queue.retry(one), cancel: (one) => queue.cancel(one) }));
      }
      rows.get(item).show(item);
    },
    idle: () => {},
  });
  return queue;
}

function addLoose(files) {
  loose ??= looseQueue();
  for (const file of files) {
    loose.add(file, option("whole").checked ? "/uploads?analyse=full" : "/uploads");
  }
  document.getElementById("uploads").hidden = false;
  form().classList.add("used");
  loose.next();
}

// --- a batch

function nameFor(folder) {
  const now = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" }).format();
  return (option("name").value.trim() || folder || `${form().dataset.textBatch} ${now}`).slice(0, 200);
}

// The page of the batch takes the place of this one, without leaving it: the files can't be taken along elsewhere.
async function enterBatch(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  const html = await answer.text();
  history.pushState(null, "", address);
  noteAddress();
  const fresh = new DOMParser().parseFromString(html, "text/html");
  document.title = fresh.title;
  document.querySelector(".nav").replaceWith(fresh.querySelector(".nav"));
  htmx.swap("#main", html, { swapStyle: "outerHTML" }, { select: "#main" });
  bind();
}

async function makeBatch(folder) {
  const wanted = { name: nameFor(folder), private: option("private").checked };
  for (;;) {
    try {
      return (await (await ask("/batches", wanted)).json()).address;
    } catch (error) {
      if (!(error instanceof SignedOut)) {
        throw error;
      }
      await signedInAgain();
    }
  }
}

async function add({ files, folder, leftOut }) {
  if (files.length === 0 && !leftOut) {
    return;
  }
  if (files.length === 0) {
    complain(form().dataset.textNoAudio);
    return;
  }
  if (!batch && folder === null && files.length < MANY && !option("as_batch").checked) {
    addLoose(files);
    return;
  }
  const whole = option("whole").checked;
  if (!batch) {
    form().inert = true; // one drop makes one batch
    try {
      await enterBatch(await makeBatch(folder));
    } catch (error) {
      complain(error.message);
      return;
    } finally {
      form().inert = false;
    }
  }
  batch.add(files, leftOut, whole);
}

// --- the field

function acceptDrops() {
  let depth = 0; // moving over a child leaves the parent; only the last leave counts
  const over = (change) => {
    depth = Math.max(0, depth + change);
    form().classList.toggle("over", depth > 0);
  };
  form().addEventListener("dragenter", () => over(1));
  form().addEventListener("dragleave", () => over(-1));
  form().addEventListener("drop", async (event) => {
    depth = 0;
    over(0);
    add(await filesOfDrop(event.dataTransfer));
  });
}

// To the field of the page as it is now.
function bind() {
  if (!form()) {
    return;
  }
  for (const input of form().querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => add(filesOfInput(input)));
  }
  form().addEventListener("submit", (event) => event.preventDefault());
  acceptDrops();
  const section = document.getElementById("queue");
  batch = section ? new BatchQueue(section, refuse) : null;
  document.documentElement.dataset.uploads = "ready";
}

const active = () => Boolean(loose?.active || batch?.queue.active);

// When the sign-in has ended, whatever updates itself would lead to the sign-in page and take the list along.
function keepList() {
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.status === 401 && active()) {
      event.preventDefault();
    }
  });
}

export function addFiles(files) {
  add({ files, folder: null, leftOut: 0 });
}

export function startUploads() {
  announcePage();
  bind();
  batch?.recall();
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-choose]");
    if (button) {
      document.getElementById(button.dataset.choose).click();
    }
  });
  // A file dropped beside the field must not replace the page.
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => event.preventDefault());
  }
  keepList();
  document.addEventListener("htmx:pushedIntoHistory", noteAddress);
  addEventListener("popstate", (event) => {
    // A link within the page, such as the one to its content, comes here too: the page stays.
    if (!event.state?.htmx && here() !== shown) {
      location.reload();
    }
    noteAddress();
  });
  addEventListener("beforeunload", (event) => {
    batch?.expected.saveNow();
    if (active()) {
      event.preventDefault();
    }
  });
}
