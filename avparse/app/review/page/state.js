// How far the review is: counts, pace, the noise that is left and the agreement of reviewers.

import { ask, SENSE } from "./server.js";

const by = (id) => document.querySelector(`#${id}`);

export class State {
  constructor(who) {
    this.who = who; // () => author and tab
    this.asked = false;
  }

  async refresh() {
    if (this.asked) { this.again = true; return; }
    this.asked = true;
    try {
      do {
        this.again = false;
        this.#show(await ask("/api/progress", this.who()));
      } while (this.again);
    } catch { /* a failing decision tells it */ } finally {
      this.asked = false;
    }
  }

  #show(found) {
    const others = Object.keys(found.reviewers).length - (found.mine ? 1 : 0);
    const mine = others ? `, ${found.mine} by you` : "";
    by("counted").textContent = `${found.decided} of ${found.items}${mine}`;
    by("bar").value = found.items ? found.decided / found.items : 1;
    by("rate").textContent = found.rate === null ? "–" : found.rate.toFixed(0);
    for (const sense of Object.keys(SENSE)) {
      const noise = found.noise[sense];
      by(`noise-${sense}`).textContent = noise
        ? `${noise.value.toFixed(1)} % [${noise.low.toFixed(1)}, ${noise.high.toFixed(1)}]` : "–";
    }
    const { agreement } = found;
    const times = `${agreement.pairs} decided twice`;
    by("kappa").textContent = !agreement.pairs ? "–" : agreement.kappa === null ? times : `${agreement.kappa.toFixed(2)}, ${times}`;
    by("agreement").hidden = !agreement.groups.length;
    by("groups").replaceChildren(...agreement.groups.map((group) => row([
      group.class.replaceAll("_", " "), SENSE[group.modality], group.kappa?.toFixed(2) ?? "–",
      group.observed === null ? "–" : `${Math.round(100 * group.observed)} %`, String(group.pairs),
    ])));
  }
}

function row(cells) {
  const line = document.createElement("tr");
  line.append(...cells.map((text, n) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    if (n > 1) cell.className = "number";
    return cell;
  }));
  return line;
}
