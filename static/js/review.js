// The desk: everything by keyboard, one item after another. The buttons do the work, the keys press them.
import { renewToken } from "./sending.js";
import { signedInAgain } from "./signed_out.js";
import { startSearch } from "./review_search.js";
import { soundOf, startWave } from "./review_wave.js";

const RENEW_MS = 100_000;
const SEEK_S = 5;
// A second press of a double click or key must not decide on the item that has just appeared.
const UNHEARD_MS = 400;
const AHEAD_BYTES = 30_000_000;
const AUTOPLAY = "earmark-review-autoplay";

let desk;
let queue;
let shown = null;
let item = null;
let player = null;
let search = null;
let leases = new Map();

const isReady = () => !desk.matches(".desk-busy, .desk-fresh");

function say(text) {
  document.getElementById("announcer").textContent = text;
}

function wish() {
  return new URLSearchParams(new FormData(queue));
}

async function send(address, body, options = {}) {
  const token = document.querySelector("meta[name=csrf-token]").content;
  const headers = { "hx-request": "true", "x-csrf-token": token };
  return fetch(address, { method: "POST", headers, body, ...options });
}

// --- leases

async function renew() {
  if (!item) {
    return;
  }
  const at = item;
  const answer = await send(`/reviews/${at.dataset.review}/renew`).catch(() => null);
  if (answer?.status === 401) {
    await signedInAgain();
  } else if (answer?.status === 409 && at === item) {
    say(desk.dataset.textTaken);
    htmx.trigger(desk, "next-item");
  }
}

function release() {
  const body = new URLSearchParams({ leases: [...leases.values()].join(" ") });
  leases = new Map();
  return send("/reviews/release", body, { keepalive: true }).catch(() => null);
}

// The item after this one: claimed, and its sound on its way while this one is listened to.
async function fetchAhead() {
  const at = item;
  const answer = await send("/reviews/ahead", wish()).catch(() => null);
  const next = answer?.ok ? await answer.json() : null;
  if (next && at === item) {
    leases.set("ahead", next.lease_id);
    if (next.size_bytes < AHEAD_BYTES) {
      soundOf(next.audio).catch(() => {});
    }
  }
}

// --- the player

function play() {
  player?.play().catch((error) => {
    if (error.name === "NotAllowedError") {
      item.querySelector("[data-wave-status]").textContent = desk.dataset.textBlocked;
    }
  });
}

function seek(byS) {
  if (player) {
    player.currentTime = Math.max(0, player.currentTime + byS);
  }
}

// --- an item appears

let settling = 0;

function settle() {
  clearTimeout(settling);
  desk.classList.add("desk-fresh");
  settling = setTimeout(() => desk.classList.remove("desk-fresh"), UNHEARD_MS);
}

function show() {
  shown = desk.firstElementChild;
  item = desk.querySelector("[data-review]");
  player = item?.querySelector("#review-player") ?? null;
  search = null;
  leases = new Map();
  settle();
  desk.querySelector("#review-title")?.focus({ preventScroll: true });
  if (!item) {
    return;
  }
  leases.set("current", item.dataset.lease);
  say(item.dataset.say);
  search = startSearch(item, { foundText: desk.dataset.textFound, leave: () => item.querySelector("#review-title").focus() });
  startWave(item, player, desk.dataset).finally(fetchAhead);
  if (queue.querySelector("[data-autoplay]").checked) {
    play();
  }
}

// --- keys

const OWN_KEYS = "input:not([type=checkbox]), textarea, select, dialog[open]";
const PRESSED_BY_ENTER = "a, button, summary, audio, input";

function actionOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const onControl = event.target.closest(PRESSED_BY_ENTER);
  if ((key === "Enter" || key === " ") && onControl) {
    return null;
  }
  if (event.target.closest("audio") && key.startsWith("Arrow")) {
    return null;
  }
  const button = desk.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (button) {
    return () => button.click();
  }
  if (item && key in MOVES) {
    return MOVES[key];
  }
  return null;
}

const MOVES = {
  " ": () => (player?.paused ? play() : player?.pause()),
  ArrowLeft: () => seek(-SEEK_S),
  ArrowRight: () => seek(SEEK_S),
  "/": () => search(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.target.closest(OWN_KEYS)) {
    return;
  }
  const action = actionOf(event);
  if (action) {
    event.preventDefault();
    if (!event.repeat || event.key.startsWith("Arrow")) {
      action();
    }
  } else if (item && (event.key === "Process" || /^\p{L}$/u.test(event.key))) {
    search(); // the letter itself arrives in the field
  }
}

// --- start

// Who is signed out signs in again in another tab; then what was pressed is pressed once more. So it is, once, with a
// new token where the session is not the one that the page was opened in.
async function pressAgain(event) {
  const { xhr, requestConfig } = event.detail;
  const pressed = requestConfig.triggeringEvent?.submitter ?? requestConfig.elt;
  const isRefused = xhr.status === 403 && !("again" in pressed.dataset);
  if (xhr.status !== 401 && !isRefused) {
    delete pressed.dataset.again;
    return;
  }
  event.preventDefault();
  pressed.dataset.again = "";
  await (xhr.status === 401 ? signedInAgain() : renewToken());
  desk.classList.remove("desk-fresh");
  pressed === desk ? htmx.trigger(desk, "next-item") : pressed.click();
}

// An item that is no longer this reviewer's: the message stays, the next one comes.
function goOn(event) {
  const { xhr, requestConfig } = event.detail;
  if ((xhr.status === 404 || xhr.status === 409) && /decision$|skip$/.test(requestConfig.path)) {
    setTimeout(() => htmx.trigger(desk, "next-item"));
  }
}

function onClick(event) {
  const button = event.target.closest("button");
  if (button?.matches("[data-decide]") && (!isReady() || event.detail > 1)) {
    event.preventDefault();
    event.stopPropagation();
  } else if (button?.matches("[data-play-from]")) {
    player.currentTime = Number(button.dataset.playFrom);
    play();
  } else if (button?.matches("[data-hear]")) {
    player?.pause();
  }
}

async function askAnew() {
  await release();
  history.replaceState(null, "", `/reviews/desk?${wish()}`);
  htmx.trigger(desk, "next-item");
}

export function startReview() {
  desk = document.getElementById("desk");
  queue = document.getElementById("queue");
  if (!desk) {
    return;
  }
  const autoplay = queue.querySelector("[data-autoplay]");
  autoplay.checked = localStorage.getItem(AUTOPLAY) === "yes";
  queue.addEventListener("change", (event) => {
    if (event.target === autoplay) {
      localStorage.setItem(AUTOPLAY, autoplay.checked ? "yes" : "no");
    } else {
      askAnew();
    }
  });
  queue.addEventListener("submit", (event) => event.preventDefault());
  desk.addEventListener("click", onClick, true);
  desk.addEventListener("htmx:beforeRequest", () => desk.classList.add("desk-busy"));
  desk.addEventListener("htmx:afterRequest", () => desk.classList.remove("desk-busy"));
  desk.addEventListener("htmx:beforeOnLoad", pressAgain);
  desk.addEventListener("htmx:responseError", goOn);
  desk.addEventListener("htmx:afterSettle", () => desk.firstElementChild !== shown && show());
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", renew);
  setInterval(renew, RENEW_MS);
  addEventListener("pagehide", release);
  addEventListener("pageshow", (event) => event.persisted && htmx.trigger(desk, "next-item"));
}
