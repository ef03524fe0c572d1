// Plays one part of a video again and again; the file of the next item is loaded meanwhile, in a second element.

const screen = document.querySelector("#screen");
const note = document.querySelector("#player-note");

function element() {
  const video = document.createElement("video");
  video.playsInline = true;
  video.preload = "auto";
  video.dataset.waits = "";
  screen.append(video);
  return video;
}

export class Player {
  constructor(onTime) {
    this.shown = element();
    this.waiting = element();
    this.part = null;
    this.lead = 0;
    this.silenced = false; // by the browser, which wants a key or click before it lets a page sound
    const tick = () => {
      this.#again();
      onTime(this.seconds);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  get playable() { return Boolean(this.shown.dataset.media); }
  get seconds() { return this.playable ? this.shown.currentTime - this.lead : null; }

  prepare(item) {
    if (!item?.media || this.shown.dataset.media === item.media || this.waiting.dataset.media === item.media) return;
    this.waiting.dataset.media = item.media;
    this.waiting.src = item.media;
  }

  show(item) {
    note.hidden = true;
    screen.hidden = !item.media;
    if (item.media !== this.shown.dataset.media) {
      this.shown.pause();
      if (!item.media) {
        delete this.shown.dataset.media;
        this.shown.removeAttribute("src");
      } else {
        this.prepare(item);
        [this.shown, this.waiting] = [this.waiting, this.shown];
        this.waiting.dataset.waits = "";
        delete this.shown.dataset.waits;
        this.shown.onerror = () => this.#refused();
        if (this.shown.error) this.#refused();
      }
    }
    this.lead = item.media_start;
  }

  loop(from, to) {
    this.part = [from, to];
    if (!this.playable) return;
    this.seek(from);
    this.play();
  }

  seek(seconds) {
    if (this.playable) this.shown.currentTime = Math.max(0, seconds + this.lead);
  }

  async play() {
    try {
      await this.shown.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || this.shown.muted) return;
      this.silenced = this.shown.muted = true;
      note.textContent = "The browser keeps the sound off until you press a key.";
      note.hidden = false;
      this.shown.play().catch(() => {});
    }
  }

  awake() { // a key was pressed
    if (!this.silenced) return;
    this.silenced = this.shown.muted = this.waiting.muted = false;
    note.hidden = true;
  }

  toggle() { if (this.shown.paused) this.play(); else this.shown.pause(); }

  mute() { this.shown.muted = this.waiting.muted = !this.shown.muted; }

  #again() {
    if (!this.playable || !this.part || this.shown.paused && !this.shown.ended || this.shown.seeking) return;
    const now = this.seconds, [from, to] = this.part;
    if (now >= to || now < from - 0.5 || this.shown.ended) {
      this.seek(from);
      if (this.shown.ended) this.play();
    }
  }

  #refused() {
    note.textContent = "This browser cannot play the file of this video; judge by the probabilities, or skip.";
    note.hidden = false;
  }
}
