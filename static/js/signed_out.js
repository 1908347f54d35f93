// The session has ended while files were on their way: nothing is lost, the queue waits until somebody has signed in
// again in another tab. Every page tells the others that it was opened, so they look at once.
import { renewToken } from "./sending.js";

const others = new BroadcastChannel("earmark-pages");
let waiting = null;

export function announcePage() {
  others.postMessage("opened");
}

// Resolves once there is a session again.
export function signedInAgain() {
  waiting ??= new Promise((resolve) => {
    const banner = () => document.querySelector("[data-signed-out]");
    banner().hidden = false;
    const stop = new AbortController();
    const look = async () => {
      if (await renewToken().catch(() => false)) {
        stop.abort();
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
