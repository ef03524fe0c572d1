"use strict";
/* A table of any length of which only the rows in sight are in the page. Every row has one button; one of all the
   buttons can be reached by Tab, the arrows move between them. */
const SPARE = 6; // rows above and below those in sight
class LongTable {
  // box scrolls, body is its <tbody>, height the pixels of a row. fill(item) returns the cells, one of which holds the
  // button with the class "go"; open(item) is what a click or Enter does.
  constructor(box, body, height, fill, open) {
    Object.assign(this, { box, body, height, fill, open, items: [], active: 0, first: -1, last: -1, current: null });
    box.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(box);
    body.addEventListener("keydown", (event) => this.onKey(event));
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-i]");
      if (row) this.choose(Number(row.dataset.i), event);
    });
  }
  show(items) {
    this.items = items;
    this.active = clamp(this.active, 0, Math.max(0, items.length - 1));
    this.body.parentElement.setAttribute("aria-rowcount", items.length + 1);
    this.draw(true);
  }
  draw(anew = false) {
    const room = this.box.clientHeight, count = this.items.length;
    const top = Math.min(this.box.scrollTop, Math.max(0, count * this.height - 1));
    const first = Math.max(0, Math.floor(top / this.height) - SPARE);
    const last = Math.min(count, Math.ceil((top + room) / this.height) + SPARE);
    if (!anew && first === this.first && last === this.last) return;
    Object.assign(this, { first, last });
    const focused = this.body.contains(document.activeElement);
    const rows = [this.space(first)];
    for (let i = first; i < last; i++) rows.push(this.row(i));
    rows.push(this.space(count - last));
    this.body.replaceChildren(...rows.filter(Boolean));
    if (focused) (this.button(this.active) ?? this.box).focus({ preventScroll: true });
  }
  row(i) {
    const row = element("tr");
    row.append(...this.fill(this.items[i]));
    row.dataset.i = i;
    row.setAttribute("aria-rowindex", i + 2);
    row.querySelector(".go").tabIndex = i === this.active ? 0 : -1;
    if (this.items[i] === this.current) row.setAttribute("aria-current", "true");
    row.item = this.items[i];
    return row;
  }
  space(count) {
    if (!count) return null;
    const row = element("tr", "space"), cell = element("td");
    row.setAttribute("aria-hidden", "true");
    cell.style.height = `${count * this.height}px`;
    cell.colSpan = this.body.parentElement.tHead.rows[0].cells.length;
    row.append(cell);
    return row;
  }
  button(i) { return this.body.querySelector(`tr[data-i="${i}"] .go`); }
  // Scrolls as little as needed, below the head that stays on top.
  reveal(i) {
    const head = this.body.parentElement.tHead?.offsetHeight ?? 0, top = i * this.height;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + this.height + head > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + this.height + head - this.box.clientHeight;
    this.draw();
  }
  // Marks a row as the one that is shown elsewhere; null for none.
  mark(item, reveal = true) {
    this.current = item;
    const i = this.items.indexOf(item);
    if (i >= 0) {
      this.active = i;
      if (reveal) this.reveal(i);
    }
    this.draw(true);
  }
  focus(i) {
    this.active = clamp(i, 0, this.items.length - 1);
    this.reveal(this.active);
    this.draw(true);
    this.button(this.active)?.focus({ preventScroll: true });
  }
  choose(i, event) {
    this.active = i;
    this.open(this.items[i], event);
  }
  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.items.length, End: this.items.length };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.focus(this.active + steps[event.key]);
  }
}
