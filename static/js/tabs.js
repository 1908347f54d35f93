// Where a row of links is too narrow for all of them, the one of this page is in sight.
export function startTabs() {
  for (const current of document.querySelectorAll(".nav [aria-current], .tabs [aria-current]")) {
    const row = current.parentElement;
    row.scrollLeft = current.offsetLeft - row.offsetLeft - (row.clientWidth - current.offsetWidth) / 2;
  }
}
