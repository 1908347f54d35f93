// The small loudspeaker beside the name of a genre: opens a small player with the example of that genre.
let region = null;
let pressed = null;

function stop() {
  region?.replaceChildren();
  pressed?.setAttribute("aria-pressed", "false");
  pressed = null;
}

function place() {
  if (!region) {
    region = document.createElement("div");
    region.className = "hearing";
    document.body.append(region);
    // Media events do not bubble.
    region.addEventListener("ended", stop, true);
    region.addEventListener("error", () => {
      region.querySelector("[data-missing]").hidden = false;
    }, true);
  }
}

async function play(button) {
  stop();
  place();
  pressed = button;
  button.setAttribute("aria-pressed", "true");
  const answer = await fetch(`/genres/${button.dataset.hear}/player`, { headers: { "hx-request": "true" } });
  if (pressed !== button) {
    return; // another one was pressed meanwhile
  }
  const html = await answer.text();
  if (answer.ok) {
    htmx.swap(region, html, { swapStyle: "innerHTML" });
  } else {
    stop();
    htmx.swap("#toasts", html, { swapStyle: "beforeend" });
  }
}

export function startHearing() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-hear]");
    if (button) {
      event.preventDefault();
      button === pressed ? stop() : play(button);
    } else if (event.target.closest("[data-stop-hearing]")) {
      const opener = pressed;
      stop();
      opener?.focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && pressed) {
      stop();
    }
  });
}
