// Searching all sixteen genres by typing. The options are the buttons that decide; the field only moves among them.
function fits(option, query) {
  const words = option.dataset.words;
  return query.split(/\s+/).every((part) => words.includes(part));
}

// Names that begin with what was typed come before those that only contain it.
function rank(option, query) {
  return option.textContent.toLowerCase().startsWith(query) ? 0 : option.dataset.words.startsWith(query) ? 1 : 2;
}

export function startSearch(item, { foundText, leave }) {
  const field = item.querySelector("#genre-search");
  const list = item.querySelector("#genre-options");
  const all = [...list.children];
  let shown = [];
  let at = 0;

  function mark(index) {
    at = index;
    for (const option of all) {
      option.setAttribute("aria-selected", String(option === shown[at]));
    }
    shown[at]?.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", shown[at]?.id ?? "");
  }

  function open(isOpen) {
    list.hidden = !isOpen;
    field.setAttribute("aria-expanded", String(isOpen));
  }

  function search() {
    const query = field.value.trim().toLowerCase();
    shown = all.filter((option) => fits(option, query)).sort((a, b) => rank(a, query) - rank(b, query));
    for (const option of all) {
      option.hidden = !shown.includes(option);
    }
    list.append(...shown);
    open(shown.length > 0);
    mark(0);
    item.querySelector("[data-found]").textContent = `${foundText} ${shown.length}`;
  }

  field.addEventListener("focus", search);
  field.addEventListener("input", search);
  field.addEventListener("blur", (event) => {
    if (!list.contains(event.relatedTarget)) {
      open(false);
    }
  });
  // Choosing with the mouse must not close the list before the click arrives.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) {
      return;
    }
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves && shown.length) {
      event.preventDefault();
      mark((at + moves[event.key] + shown.length) % shown.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (field.value.trim()) {
        shown[at]?.click();
      }
    } else if (event.key === "Escape") {
      field.value = "";
      open(false);
      leave();
    }
  });
  return () => field.focus();
}
