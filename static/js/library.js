// The library: choosing several recordings, and unfolding one.
const MOST = 500;
let lastChosen = null;

const boxes = () => [...document.querySelectorAll("#results input[name=job]")];

function showCount() {
  const bar = document.getElementById("selection");
  const chosen = boxes().filter((box) => box.checked);
  bar.hidden = chosen.length === 0;
  bar.querySelector("[data-chosen]").textContent = chosen.length;
  const all = document.querySelector("[data-choose-all]");
  if (all) {
    all.checked = chosen.length > 0 && chosen.length === Math.min(boxes().length, MOST);
    all.indeterminate = chosen.length > 0 && !all.checked;
  }
}

// With Shift everything between the last choice and this one.
function chooseUpTo(box) {
  const every = boxes();
  const [from, to] = [every.indexOf(lastChosen), every.indexOf(box)].sort((a, b) => a - b);
  if (from >= 0) {
    for (const between of every.slice(from, to + 1)) {
      between.checked = box.checked;
    }
  }
}

function chosen(event) {
  const box = event.target;
  if (box.matches("[data-choose-all]")) {
    boxes().forEach((each, place) => (each.checked = box.checked && place < MOST));
  } else if (box.matches("#results input[name=job]")) {
    if (event.shiftKey && lastChosen) {
      chooseUpTo(box);
    }
    lastChosen = box;
  }
}

// A row that has changed comes anew from the server, which doesn't know that it was chosen.
let replaced = null;

function rememberChoice(event) {
  const row = event.detail.target;
  replaced = row.matches("tbody[id]") ? (row.querySelector("input[name=job]:checked")?.id ?? null) : null;
}

function restoreChoice() {
  const box = replaced && document.getElementById(replaced);
  if (box) {
    box.checked = true;
  }
  replaced = null;
}

function unfold(button) {
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", open);
  document.getElementById(button.getAttribute("aria-controls")).hidden = !open;
}

export function startLibrary() {
  if (!document.getElementById("selection")) {
    return;
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[aria-controls].unfold");
    if (button) {
      unfold(button);
    }
    if (event.target.closest("[data-choose-none]")) {
      boxes().forEach((box) => (box.checked = false));
      lastChosen = null;
    }
    chosen(event);
    showCount();
  });
  document.addEventListener("htmx:beforeSwap", rememberChoice);
  document.addEventListener("htmx:afterSwap", restoreChoice);
  document.addEventListener("htmx:afterSettle", showCount);
  showCount();
}
