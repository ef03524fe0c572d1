// The probabilities of the video as lanes: what is asked about first, with its event and the seconds of doubt.

import { SENSE } from "./server.js";

const lanes = document.querySelector("#lanes");

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Lanes {
  constructor(onSeek) {
    this.drawn = [];
    this.seconds = null;
    new ResizeObserver(() => this.draw()).observe(lanes);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    lanes.addEventListener("click", (event) => {
      if (event.target.tagName !== "CANVAS") return;
      const box = event.target.getBoundingClientRect();
      onSeek((event.clientX - box.left) / box.width * this.item.duration);
    });
  }

  show(item, event) {
    this.item = item;
    this.event = event;
    this.drawn = [];
    lanes.replaceChildren();
    const senses = item.modality === "audio" ? ["audio", "visual"] : ["visual", "audio"];
    const shown = item.lanes.length ? item.lanes : [{ class: item.class, [item.modality]: [] }];
    for (const lane of shown) {
      for (const sense of senses) if (sense in lane) this.#row(lane, sense);
    }
    this.#add("", "axis", document.createElement("canvas"));
    this.draw();
  }

  #row(lane, sense) {
    const asked = lane.class === this.item.class && sense === this.item.modality;
    const name = `${lane.class.replaceAll("_", " ")}, ${SENSE[sense]}`;
    if (lane[sense] === null) {
      const absent = document.createElement("span");
      absent.className = "absent";
      absent.textContent = sense === "audio" ? "no sound in this file" : "no picture in this file";
      this.#add(name, asked ? "asked" : "", absent);
      return;
    }
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Probabilities of ${name}`);
    this.#add(name, asked ? "asked" : "", canvas);
    this.drawn.push({ canvas, values: lane[sense], sense, asked, class: lane.class });
  }

  #add(name, kind, part) {
    const title = document.createElement("span");
    title.className = `name ${kind}`;
    title.textContent = title.title = name;
    if (kind === "axis") part.className = "axis";
    lanes.append(title, part);
  }

  at(seconds) {
    if (seconds === this.seconds) return;
    this.seconds = seconds;
    this.draw();
  }

  draw() {
    if (!this.item) return;
    for (const row of this.drawn) this.#lane(row);
    const axis = lanes.querySelector("canvas.axis");
    if (axis) this.#axis(axis);
  }

  #sheet(canvas) {
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * scale);
    canvas.height = Math.round(canvas.clientHeight * scale);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    return [pen, canvas.clientWidth, canvas.clientHeight];
  }

  #lane({ canvas, values, sense, asked, class: name }) {
    const [pen, width, height] = this.#sheet(canvas);
    const { duration, segment_seconds: unit, against, beside } = this.item;
    const x = (seconds) => seconds / duration * width;
    pen.fillStyle = colour(`--${sense}`);
    const step = Math.max(1, Math.floor(values.length / (2 * width)));
    for (let s = 0; s < values.length; s += step) {
      const most = step === 1 ? values[s] : Math.max(...values.slice(s, s + step));
      const top = height * (1 - most / 100);
      pen.globalAlpha = 0.25 + 0.6 * most / 100;
      pen.fillRect(x(s * unit), top, x(Math.min((s + step) * unit, duration)) - x(s * unit) + 0.5, height - top);
    }
    pen.globalAlpha = 1;
    pen.lineWidth = 1;
    pen.strokeStyle = colour("--soft");
    for (const other of beside) {
      if (other.class !== name || other.modality !== sense || other.onset === null) continue;
      pen.strokeRect(x(other.onset) + 0.5, 1.5, x(other.offset) - x(other.onset) - 1, height - 3);
    }
    if (asked) {
      pen.fillStyle = colour("--doubt");
      for (const [from, to] of against) pen.fillRect(x(from), 0, x(to) - x(from), 4);
      if (this.event) this.#event(pen, x, height);
    }
    this.#now(pen, x, height);
  }

  #event(pen, x, height) {
    const { onset, offset, held } = this.event;
    pen.strokeStyle = colour("--text");
    pen.lineWidth = 2;
    pen.strokeRect(x(onset) + 1, 1, x(offset) - x(onset) - 2, height - 2);
    if (!held) return;
    pen.fillStyle = colour("--accent");
    pen.fillRect(x(held === "onset" ? onset : offset) - 3, 0, 6, height);
  }

  #axis(canvas) {
    const [pen, width, height] = this.#sheet(canvas);
    const { duration } = this.item;
    const step = [1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600].find((s) => duration / s <= 12) ?? 7200;
    pen.fillStyle = colour("--soft");
    pen.font = "12px system-ui, sans-serif";
    for (let s = 0; s < duration; s += step) {
      const text = step < 60 ? `${s} s` : `${Math.floor(s / 60)} min`, at = s / duration * width;
      const half = pen.measureText(text).width / 2;
      pen.fillText(text, Math.min(Math.max(0, at - half), width - 2 * half), height - 4);
    }
  }

  #now(pen, x, height) {
    if (this.seconds === null) return;
    pen.fillStyle = colour("--play");
    pen.fillRect(x(this.seconds) - 1, 0, 2, height);
  }
}
