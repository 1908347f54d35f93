// The server writes times in the zone that this cookie names, or in UTC; here they become the reader's own at once.
const YEAR_S = 365 * 24 * 3600;

function nameTimeZone() {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  document.cookie = `earmark_time_zone=${zone}; Path=/; Max-Age=${YEAR_S}; SameSite=Lax${secure}`;
}

function localise() {
  const page = document.documentElement.lang.split("-")[0];
  // English has many ways to write a date; the browser knows which of them its owner likes.
  const language = navigator.languages.find((code) => code.split("-")[0] === page) ?? page;
  const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const full = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });
  for (const element of document.querySelectorAll("time[data-local]")) {
    const moment = new Date(element.dateTime);
    element.textContent = format.format(moment);
    element.title = full.format(moment);
    element.removeAttribute("data-local");
  }
}

export function startTimes() {
  nameTimeZone();
  localise();
  document.addEventListener("htmx:afterSwap", localise);
  document.addEventListener("htmx:load", localise);
}
