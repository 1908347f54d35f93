// Requests of the upload scripts: with this session's token, and aware that a session can end while they run.
export class SignedOut extends Error {}

function token() {
  return document.querySelector("meta[name=csrf-token]");
}

// After signing in again in another tab this page's token is an old one. Is anybody signed in?
export async function renewToken() {
  const answer = await fetch("/help", { headers: { accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const content = fresh.querySelector("meta[name=csrf-token]")?.content;
  if (content) {
    token().content = content;
    document.body.setAttribute("hx-headers", JSON.stringify({ "x-csrf-token": content }));
  }
  return Boolean(content);
}

async function post(address, body) {
  const headers = { "hx-request": "true", "x-csrf-token": token().content, "content-type": "application/json" };
  return fetch(address, { method: "POST", headers, body: JSON.stringify(body) });
}

// The answer to a small request; throws SignedOut, or an error with the server's words.
export async function ask(address, body) {
  let answer = await post(address, body);
  if (answer.status === 403 && (await renewToken())) {
    answer = await post(address, body);
  }
  if (answer.status === 401) {
    throw new SignedOut();
  }
  if (!answer.ok) {
    throw new Error(wordsOf(await answer.text()) ?? answer.statusText);
  }
  return answer;
}

// What a refusal says to people.
export function wordsOf(html) {
  return new DOMParser().parseFromString(html, "text/html").querySelector("[data-detail]")?.textContent;
}

// Sends one file; resolves to { status, text, retryAfterS }, status 0 when the connection broke. Progress goes from 0 to 1.
export function sendFile(address, file, { progress, started }) {
  const body = new FormData();
  body.append("file", file, file.name);
  const request = new XMLHttpRequest();
  started(request);
  return new Promise((resolve) => {
    const settle = () =>
      resolve({
        status: request.status,
        text: request.responseText,
        retryAfterS: Number(request.getResponseHeader("retry-after")) || 0,
      });
    request.upload.addEventListener("progress", ({ loaded, total }) => progress(loaded / total));
    for (const end of ["load", "error", "abort"]) {
      request.addEventListener(end, settle);
    }
    request.open("POST", address);
    request.setRequestHeader("hx-request", "true");
    request.setRequestHeader("x-csrf-token", token().content);
    request.send(body);
  });
}
