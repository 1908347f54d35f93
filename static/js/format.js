// Numbers and sizes as the reader of the page writes them.
const language = document.documentElement.lang;
const plain = new Intl.NumberFormat(language);
const oneDecimal = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const share = new Intl.NumberFormat(language, { style: "percent" });

export const number = (value) => plain.format(value);
export const percent = (value) => share.format(value);

export function sizeOf(bytes) {
  for (const [unit, factor] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (bytes >= factor) {
      return `${oneDecimal.format(bytes / factor)} ${unit}`;
    }
  }
  return `${plain.format(bytes)} B`;
}

// "{sent} of {total}" with the values in place.
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
