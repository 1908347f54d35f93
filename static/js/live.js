// Keeps what is shown of unfinished jobs up to date. The server names the jobs that changed on one stream;
// their elements (data-live="<id>") fetch themselves anew; those that sum up many jobs (data-live="*") do so at any change,
// but not more often than once in a while. A hidden page closes its stream: browsers
// allow only a few connections to one server over all tabs.
const RECONNECT_MS = 5000;
const SUMS_EVERY_MS = 1500;
const said = new Map();
let stream = null;
let sumsDue = null;

function refresh(selector) {
  for (const element of document.querySelectorAll(selector)) {
    htmx.trigger(element, "refresh");
  }
}

function refreshSums() {
  sumsDue ??= setTimeout(() => {
    sumsDue = null;
    refresh('[data-live="*"]');
  }, SUMS_EVERY_MS);
}

function open() {
  if (stream || document.hidden || !document.querySelector("[data-live]")) {
    return;
  }
  stream = new EventSource("/events");
  // What happened before the stream was there is fetched once.
  stream.addEventListener("ready", () => refresh("[data-live]"));
  stream.addEventListener("job", (event) => {
    refresh(`[data-live="${CSS.escape(event.data)}"]`);
    refreshSums();
  });
  stream.addEventListener("error", () => {
    if (stream?.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, RECONNECT_MS);
      // If the sign-in has ended, this leads to the sign-in page.
      refresh("[data-live]");
    }
  });
}

function close() {
  stream?.close();
  stream = null;
}

function follow() {
  if (document.hidden || !document.querySelector("[data-live]")) {
    close();
  } else {
    open();
  }
}

// Screen readers hear of a change once, however often an element is fetched.
function announce() {
  for (const element of document.querySelectorAll("[data-announce]")) {
    const words = element.dataset.announce;
    if (said.has(element.id) && said.get(element.id) !== words) {
      document.getElementById("announcer").textContent = words;
    }
    said.set(element.id, words);
  }
}

export function startLive() {
  follow();
  announce();
  document.addEventListener("visibilitychange", follow);
  document.addEventListener("htmx:afterSettle", () => {
    follow();
    announce();
  });
}
