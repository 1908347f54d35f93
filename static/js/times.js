// The server writes times in UTC; here they become the reader's own.
function localise(root) {
  const language = document.documentElement.lang;
  const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const full = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });
  for (const element of root.querySelectorAll("time[data-local]")) {
    const moment = new Date(element.dateTime);
    element.textContent = format.format(moment);
    element.title = full.format(moment);
    element.removeAttribute("data-local");
  }
}

export function startTimes() {
  localise(document);
  document.addEventListener("htmx:load", (event) => localise(event.detail.elt.parentElement ?? document));
}
