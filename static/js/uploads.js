// The upload queue: three files at a time, each with a real progress bar; then the server's row takes over.
import { Transfer } from "./transfer.js";

const AT_A_TIME = 3;
const waiting = [];
let running = 0;

function next() {
  while (running < AT_A_TIME && waiting.length > 0) {
    running += 1;
    waiting.shift().start().finally(() => {
      running -= 1;
      next();
    });
  }
}

function enqueue(transfer) {
  waiting.push(transfer);
  next();
}

function withdraw(transfer) {
  const place = waiting.indexOf(transfer);
  if (place >= 0) {
    waiting.splice(place, 1);
  }
}

function add(form, files) {
  for (const file of files) {
    const transfer = new Transfer(form, file, { onRetry: enqueue, onCancel: withdraw });
    if (transfer.check()) {
      enqueue(transfer);
    }
  }
  if (files.length > 0) {
    document.getElementById("uploads").hidden = false;
    form.classList.add("used");
  }
}

function acceptDrops(form) {
  let depth = 0; // moving over a child leaves the parent; only the last leave counts
  const over = (change) => {
    depth = Math.max(0, depth + change);
    form.classList.toggle("over", depth > 0);
  };
  form.addEventListener("dragenter", () => over(1));
  form.addEventListener("dragleave", () => over(-1));
  // A file dropped beside the field must not replace the page.
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => event.preventDefault());
  }
  form.addEventListener("drop", (event) => {
    depth = 0;
    over(0);
    add(form, event.dataTransfer.files);
  });
}

// When the sign-in has ended, whatever updates itself would lead to the sign-in page and take the list along.
function keepList() {
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.status === 401 && document.querySelector("#upload-rows [data-cancel]")) {
      event.preventDefault();
    }
  });
}

export function startUploads() {
  const form = document.getElementById("uploader");
  if (!form) {
    return;
  }
  const input = form.querySelector("input[type=file]");
  form.querySelector("[data-choose]").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    add(form, input.files);
    input.value = ""; // choosing the same file again is a change too
  });
  acceptDrops(form);
  keepList();
  addEventListener("beforeunload", (event) => {
    if (running > 0) {
      event.preventDefault();
    }
  });
}
