// The microphone: level meter, up to 30 s, listen, send. The sound stays in the browser until "Send" is pressed.
import { addFiles } from "./uploads.js";

const LONGEST_S = 30;
const QUIET = 0.01;
// What browsers can record; Safari only knows MP4.
const KINDS = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/mp4", "m4a"],
  ["audio/ogg;codecs=opus", "ogg"],
];

let dialog;
let take = null; // { stream, recorder, context, chunks, loudest, timer }
let file = null;

const part = (name) => dialog.querySelector(`[data-${name}]`);
const clock = (seconds) => `0:${String(Math.floor(seconds)).padStart(2, "0")}`;

function show({ recording = false, done = false, problem = "" }) {
  part("start").hidden = recording || done;
  part("stop-take").hidden = !recording;
  part("live-part").hidden = !recording;
  part("hint").hidden = recording || done;
  for (const name of ["take", "send-take", "again"]) {
    part(name).hidden = !done;
  }
  part("problem").hidden = problem === "";
  part("problem").textContent = problem;
}

function meter(context, stream) {
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192; // longer than the time between two looks, so that no peak is missed
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  return () => {
    analyser.getFloatTimeDomainData(samples);
    return samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  };
}

function follow(level) {
  const began = performance.now();
  return setInterval(() => {
    const seconds = (performance.now() - began) / 1000;
    const now = level();
    take.loudest = Math.max(take.loudest, now);
    part("level").value = now;
    part("clock").textContent = `${clock(Math.min(seconds, LONGEST_S))} / ${clock(LONGEST_S)}`;
    if (seconds >= LONGEST_S) {
      stop();
    }
  }, 100);
}

async function start() {
  let stream;
  try {
    // Music, not speech: what makes voices clearer takes music apart.
    const wanted = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
  } catch {
    show({ problem: dialog.dataset.textRefused });
    return;
  }
  if (!dialog.open) {
    stream.getTracks().forEach((track) => track.stop());
    return;
  }
  const [type, suffix] = KINDS.find(([kind]) => MediaRecorder.isTypeSupported(kind));
  const recorder = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: 192_000 });
  const context = new AudioContext();
  take = { stream, recorder, context, chunks: [], loudest: 0 };
  recorder.addEventListener("dataavailable", ({ data }) => take.chunks.push(data));
  recorder.addEventListener("stop", () => finish(type, suffix));
  recorder.start();
  take.timer = follow(meter(context, stream));
  show({ recording: true });
  part("stop-take").focus();
}

function stop() {
  clearInterval(take.timer);
  if (take.recorder.state !== "inactive") {
    take.recorder.stop();
  }
}

function release() {
  clearInterval(take.timer);
  take.stream.getTracks().forEach((track) => track.stop());
  take.context.close();
}

function finish(type, suffix) {
  release();
  const { chunks, loudest } = take;
  take = null;
  if (!dialog.open) {
    return; // closed while recording: thrown away
  }
  const moment = new Date().toLocaleString("sv").replaceAll(":", "-"); // 2026-11-21 08-42-00
  file = new File(chunks, `${dialog.dataset.textName} ${moment}.${suffix}`, { type: type.split(";")[0] });
  part("take").src = URL.createObjectURL(file);
  show({ done: true, problem: loudest < QUIET ? dialog.dataset.textQuiet : "" });
  part("take").focus();
}

function forget() {
  URL.revokeObjectURL(part("take").src);
  part("take").removeAttribute("src");
  file = null;
}

function closed() {
  if (take) {
    stop();
  }
  if (file) {
    forget();
  }
}

export function startRecorder() {
  dialog = document.getElementById("recorder");
  const opener = document.querySelector("[data-record]");
  // Browsers give microphones only to pages that came over https or from this very machine.
  if (!dialog || !navigator.mediaDevices || !window.MediaRecorder) {
    return;
  }
  opener.hidden = false;
  opener.addEventListener("click", () => {
    show({});
    dialog.showModal();
  });
  part("start").addEventListener("click", start);
  part("stop-take").addEventListener("click", stop);
  part("again").addEventListener("click", () => {
    forget();
    start();
  });
  part("send-take").addEventListener("click", () => {
    const sent = file;
    dialog.close();
    addFiles([sent]);
  });
  part("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", closed);
}
