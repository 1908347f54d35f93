// The waveform of the part that was analysed, what the model heard below it, and where the player is.
const LARGEST_BYTES = 60_000_000;
const RATE_HZ = 8000;
const BARS = 500;
// Of the item before the reviewer and the one fetched ahead.
const KEPT = 3;
const known = new Map();

async function decode(address) {
  const answer = await fetch(address);
  if (!answer.ok) {
    throw new Error(answer.statusText);
  }
  // An offline context decodes without waiting for the reviewer to allow sound, and at a rate that is enough to look at.
  return new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(await answer.arrayBuffer());
}

export function soundOf(address) {
  if (!known.has(address)) {
    known.set(address, decode(address));
    for (const old of [...known.keys()].slice(0, -KEPT)) {
      known.delete(old);
    }
  }
  return known.get(address);
}

function peaks(sound, spanS) {
  const samples = sound.getChannelData(0);
  const step = (spanS * sound.sampleRate) / BARS;
  return Array.from({ length: BARS }, (_, bar) => {
    let peak = 0;
    for (let at = Math.floor(bar * step); at < Math.min((bar + 1) * step, samples.length); at += 1) {
      peak = Math.max(peak, Math.abs(samples[at]));
    }
    return peak;
  });
}

function outline(values) {
  const loudest = Math.max(...values, 0.05);
  const x = (bar) => (bar * 1000) / BARS;
  const heights = values.map((value) => (value / loudest) * 46);
  const upper = heights.map((height, bar) => `L${x(bar).toFixed(1)} ${(50 - height).toFixed(1)}`);
  const lower = heights.map((height, bar) => `L${x(bar).toFixed(1)} ${(50 + height).toFixed(1)}`).reverse();
  return `M0 50${upper.join("")}L1000 50${lower.join("")}Z`;
}

function place(wave, spanS) {
  const list = wave.querySelector(".stretches");
  for (const stretch of list.children) {
    const { start, end } = stretch.dataset;
    stretch.style.left = `${(start / spanS) * 100}%`;
    stretch.style.width = `${((end - start) / spanS) * 100}%`;
    stretch.firstElementChild.title = stretch.textContent.replace(/\s+/g, " ").trim();
  }
  list.classList.add("placed");
}

function follow(wave, player, spanS) {
  const head = wave.querySelector(".wave-head");
  const move = () => {
    head.hidden = player.currentTime > spanS;
    head.style.left = `${(player.currentTime / spanS) * 100}%`;
    if (!player.paused && wave.isConnected) {
      requestAnimationFrame(move);
    }
  };
  for (const event of ["play", "seeked", "pause"]) {
    player.addEventListener(event, move);
  }
  wave.querySelector(".wave-line").addEventListener("click", (event) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    player.currentTime = ((event.clientX - left) / width) * spanS;
  });
}

export async function startWave(item, player, texts) {
  const wave = item.querySelector("[data-wave]");
  if (!wave) {
    return;
  }
  const spanS = Number(wave.dataset.span);
  place(wave, spanS);
  follow(wave, player, spanS);
  const status = item.querySelector("[data-wave-status]");
  if (Number(wave.dataset.size) > LARGEST_BYTES) {
    status.textContent = texts.textTooLarge;
    return;
  }
  try {
    const sound = await soundOf(wave.dataset.wave);
    wave.querySelector("path").setAttribute("d", outline(peaks(sound, spanS)));
    wave.dataset.drawn = "";
  } catch {
    known.delete(wave.dataset.wave);
    status.textContent = texts.textUnreadable;
  }
}
