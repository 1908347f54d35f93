// Light or dark: as the system has it until somebody chooses. The choice is a cookie, so that the server
// can put it into the page and nothing flashes.
const YEAR_S = 365 * 24 * 3600;
const system = matchMedia("(prefers-color-scheme: dark)");

function current() {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
}

function show(button) {
  for (const part of button.querySelectorAll("[data-for-theme]")) {
    part.hidden = part.dataset.forTheme !== current();
  }
}

export function startTheme() {
  const button = document.querySelector("[data-theme-switch]");
  show(button);
  system.addEventListener("change", () => show(button));
  button.addEventListener("click", () => {
    const theme = current() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `earmark_theme=${theme}; Path=/; Max-Age=${YEAR_S}; SameSite=Lax${secure}`;
    show(button);
  });
}
