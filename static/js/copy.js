// "Copy link": the address of a recording or comparison, for somebody else.
async function copy(address) {
  try {
    await navigator.clipboard.writeText(address);
  } catch {
    copyTheOldWay(address);
  }
}

// Without https browsers have no clipboard for scripts, but still this command.
function copyTheOldWay(address) {
  const field = Object.assign(document.createElement("textarea"), { value: address });
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

export function startCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) {
      return;
    }
    await copy(new URL(button.dataset.copy, location.href).href);
    button.classList.add("copied");
    button.title = button.dataset.textCopied;
    document.getElementById("announcer").textContent = button.dataset.textCopied;
    const note = Object.assign(document.createElement("p"), { className: "copied-note", textContent: button.dataset.textCopied });
    document.querySelector(".copied-note")?.remove();
    document.body.append(note);
    setTimeout(() => note.remove(), 4000);
  });
}
