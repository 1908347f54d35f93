// The session has ended while files were on their way: nothing is lost, the queue waits until somebody has signed in
// again in another tab. Every page tells the others that it was opened, so they look at once.
import { renewToken } from "./sending.js";

const others = new BroadcastChannel("earmark-pages");
let waiting = null;
let signIns = 0;

export function announcePage() {
  others.postMessage("opened");
}

// How often somebody signed in again while this page was open: what a request was sent with.
export function signInCount() {
  return signIns;
}

// Resolves once there is a session again: at once where somebody signed in after the refused request was sent.
export function signedInAgain(since = signIns) {
  if (since < signIns) {
    return Promise.resolve();
  }
  waiting ??= new Promise((resolve) => {
    const banner = () => document.querySelector("[data-signed-out]");
    banner().hidden = false;
    const stop = new AbortController();
    const look = async () => {
      if ((await renewToken().catch(() => false)) && !stop.signal.aborted) {
        stop.abort();
        signIns += 1;
        banner().hidden = true;
        waiting = null;
        resolve();
      }
    };
    others.addEventListener("message", look, { signal: stop.signal });
    addEventListener("focus", look, { signal: stop.signal });
    banner().querySelector("[data-go-on]").addEventListener("click", look, { signal: stop.signal });
  });
  return waiting;
}
