// Buttons that open a question, and messages that can be closed.
export function startDialogs() {
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
