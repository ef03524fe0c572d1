"""Does the interval of the noise left hold the real share? Drawn labels, decided in the active order.

    python -m benchmarks.review_noise [--worlds N] [--scores KIND ...]

Each world has 400 videos with a label in both modalities, of eight classes; half of the labels are of one class. Scores
and classes differ in how often labels are right. Three kinds of scores: ``linear`` keeps the assumptions of the
estimate, ``levelling`` scores say nothing of labels beyond a logit of 1, and ``empty`` scores nothing at all. After 0,
40 and 160 decisions the share of wrong labels among those that are kept is estimated with a 95 % interval: how often it
holds the real share, its width in points, and the mean error of the estimate.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from avparse.foundation.arrays import Float64Array
from avparse.labels.reviewing.decision import Decision, Verdict
from avparse.labels.reviewing.item import ReviewItem
from avparse.labels.reviewing.noise_left import BOTH, noise_left
from avparse.labels.reviewing.order import ActiveOrder
from avparse.labels.reviewing.state import suggestions

KINDS = ("linear", "levelling", "empty")
DECISIONS = (0, 40, 160)
FEW = 4  # the order follows every few decisions
VIDEOS, CLASSES = 400, 8
LEVEL = (2.5, 0.8)  # mean logit of the scores, audio and visual


def world(kind: str, seed: int) -> tuple[list[ReviewItem], dict[str, bool]]:
    """Return items, and whether each is right by its key."""
    random = np.random.default_rng([seed, KINDS.index(kind)])
    own = random.normal(0, 0.5) + random.normal(0, 0.6, (2, CLASSES))
    steepness = 1 + random.normal(0, 0.2)
    items, right = [], {}
    for n in range(VIDEOS):
        number = int(random.integers(CLASSES)) if random.random() < 0.5 else 0
        for side in (0, 1):
            score = random.normal(LEVEL[side], 1.2)
            real = {"linear": steepness * score, "levelling": 1.5 * min(score, 1.0), "empty": LEVEL[side]}[kind]
            name = f"c{number}"
            item = ReviewItem(f"v{n}", name, "visual" if side else "audio", float(1 / (1 + np.exp(-score))))
            items.append(item)
            right[item.key] = bool(random.random() < 1 / (1 + np.exp(-(real + own[side, number]))))
    return items, right


def estimates(items: list[ReviewItem], right: dict[str, bool]) -> dict[int, Float64Array]:
    """Return real share, estimate, and ends of the interval in percent, by the number of decisions."""
    order, decisions, found = ActiveOrder(items), list[Decision](), {}
    for count in range(max(DECISIONS) + 1):
        if count in DECISIONS:
            kept = [right[key] for key, keep in suggestions(items, decisions).items() if keep]
            share = noise_left(items, decisions, draws=1000).kept[BOTH]
            found[count] = np.array((100 - 100 * np.mean(kept), share.value, share.low, share.high))
        if count % FEW == 0:
            best = np.argsort(-order.values(), kind="stable")[:FEW]
        key = items[int(best[count % FEW])].key
        decisions.append(Decision(key, Verdict.KEEP if right[key] else Verdict.REMOVE))
        order.decided(decisions[-1])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=60)
    parser.add_argument("--scores", nargs="*", default=KINDS)
    arguments = parser.parse_args()
    print("| scores | decisions | wrong labels | interval holds it | width | error |\n|---|--:|--:|--:|--:|--:|")
    for kind in arguments.scores:
        rows: dict[int, list[Float64Array]] = defaultdict(list)
        for seed in range(arguments.worlds):
            for count, row in estimates(*world(kind, seed)).items():
                rows[count].append(row)
        for count, found in rows.items():
            real, value, low, high = np.stack(found, axis=-1)
            held = 100 * np.mean((low <= real) & (real <= high))
            cells = f"{real.mean():.1f} % | {held:.0f} % | {np.mean(high - low):.1f} | {np.mean(value - real):+.1f}"
            print(f"| {kind} | {count} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
