// The first half of a double click may close a question or exchange what was clicked; the second half must not press what lies
// beneath by then.
function startCatchingDoubleClicks() {
  let clicked = null;
  window.addEventListener(
    "click",
    (event) => {
      const { target } = event;
      const control = target.closest("label")?.control ?? target.closest("a, button, input, select, summary") ?? target;
      if (event.detail > 1 && control !== clicked) {
        event.preventDefault();
        event.stopImmediatePropagation();
      } else {
        clicked = control;
      }
    },
    true,
  );
}

// Buttons that open a question, and messages that can be closed.
export function startDialogs() {
  startCatchingDoubleClicks();
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open-dialog]");
    if (opener) {
      document.getElementById(opener.dataset.openDialog).showModal();
    }
    event.target.closest("[data-close-dialog]")?.closest("dialog").close();
    if (event.target.closest("[data-dismiss]")) {
      event.target.closest(".toast").remove();
    }
  });
  // A message about a failed action must not hide behind the question that led to it.
  document.addEventListener("htmx:responseError", () => document.querySelector("dialog[open]")?.close());
  // Answered with yes: what was asked for is done.
  document.addEventListener("htmx:beforeSwap", (event) => event.detail.requestConfig?.elt.closest("dialog")?.close());
}
