// The items that this page holds: the one that is shown, and the next one, so that nobody waits for it.

import { ask } from "./server.js";

const AHEAD = 1;

export class Items {
  constructor(wish, onHeld) {
    this.wish = wish; // () => what to ask the server for
    this.onHeld = onHeld;
    this.waiting = [];
    this.filling = null;
    this.open = null;
  }

  async next(current) {
    if (!this.waiting.length) await this.fill(current);
    const item = this.waiting.shift() ?? null;
    if (item) this.fill(item).catch(() => {}); // what is wrong is told when it is needed
    return item;
  }

  back(item) { this.waiting.unshift(item); }

  drop(key) {
    const at = this.waiting.findIndex((item) => item.key === key);
    if (at >= 0) this.waiting.splice(at, 1);
  }

  clear() {
    this.waiting = [];
    this.filling = null;
  }

  fill(current) {
    if (!this.filling) {
      const mine = this.#fetch(current).finally(() => { if (this.filling === mine) this.filling = null; });
      this.filling = mine;
    }
    return this.filling;
  }

  async #fetch(current) {
    const kept = this.waiting;
    while (kept.length < AHEAD) {
      const held = [current, ...kept].filter(Boolean).map((item) => item.key);
      const found = await ask("/api/next", { ...this.wish(), held });
      if (kept !== this.waiting) return; // something else is asked for meanwhile
      this.open = found.open;
      if (!found.item) return;
      kept.push(found.item);
      this.onHeld(found.item);
    }
  }
}
