// Files out of what was dropped or chosen, folders included.
const AUDIO = /\.(mp3|wav|wave|flac|ogg|oga|opus|m4a|mp4|aac|webm|mka)$/i;

async function entriesOf(folder) {
  const reader = folder.createReader();
  const all = [];
  // The browser gives a hundred at a time, and none at the end.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) {
      return all;
    }
    all.push(...some);
  }
}

async function filesOf(entry) {
  if (entry.isFile) {
    return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  }
  const files = [];
  for (const inner of await entriesOf(entry)) {
    files.push(...(await filesOf(inner)));
  }
  return files;
}

// Of a folder only what looks like audio: nobody means its cover pictures and hidden files.
function audioOnly(files) {
  const audio = files.filter((file) => !file.name.startsWith(".") && (AUDIO.test(file.name) || file.type.startsWith("audio/")));
  return { files: audio, leftOut: files.length - audio.length };
}

// { files, folder (its name, or null), leftOut }. The list of dropped things is gone after the first wait.
export async function filesOfDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const folder = entries.find((entry) => entry.isDirectory)?.name ?? null;
  if (folder === null) {
    return { files: [...transfer.files], folder, leftOut: 0 };
  }
  const files = (await Promise.all(entries.map(filesOf))).flat();
  return { folder, ...audioOnly(files) };
}

export function filesOfInput(input) {
  const files = [...input.files];
  input.value = ""; // choosing the same file again is a change too
  if (!input.webkitdirectory) {
    return { files, folder: null, leftOut: 0 };
  }
  return { folder: files[0]?.webkitRelativePath.split("/")[0] ?? "", ...audioOnly(files) };
}
