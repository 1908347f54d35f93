// Copies the few browser files that the portal serves from the installed packages to static/vendor.
import { copyFileSync, mkdirSync } from "node:fs";
import { basename } from "node:path";

const target = "static/vendor";
const files = [
  "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
  "htmx.org/dist/htmx.min.js",
  "swagger-ui-dist/swagger-ui.css",
  "swagger-ui-dist/swagger-ui-bundle.js",
  "swagger-ui-dist/swagger-ui-standalone-preset.js",
];

mkdirSync(target, { recursive: true });
for (const file of files) {
  copyFileSync(`node_modules/${file}`, `${target}/${basename(file)}`);
}
