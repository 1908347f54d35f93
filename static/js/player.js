// "Play from here" beside each stretch that the model heard.
export function startPlayer() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-seek]");
    const player = document.getElementById("player");
    if (button && player) {
      player.currentTime = Number(button.dataset.seek);
      player.play();
    }
  });
}
