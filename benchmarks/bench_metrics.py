"""Time of scoring the 649 validation videos of LLP from probabilities, beside the plain Python twin of the tests.

The timelines are simulated: random runs with the densities of the LLP validation split, and noisy probabilities.
Command: ``python -m benchmarks.bench_metrics``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from avparse.evaluation import score_parsing
from avparse.foundation.arrays import BoolArray
from avparse.models.decoding import DecodingRule
from avparse.models.output import ParserOutput
from tests.plain_metrics import plain_scores

VIDEOS, SEGMENTS, CLASSES = 649, 10, 25
REPEATS = 51
AUDIBLE, VISIBLE = 0.95, 0.63  # shares of the labels of LLP's validation videos that are heard, seen
FULL_LENGTH = {"audio": 0.42, "visual": 0.62}  # shares of those that last all ten segments


def simulated_truth(rng: np.random.Generator) -> tuple[BoolArray, BoolArray]:
    """Return audio and visual timelines ``[N, T, C]``: one to four labels a video, a run for each that occurs."""
    audio = np.zeros((VIDEOS, SEGMENTS, CLASSES), dtype=bool)
    visual = np.zeros_like(audio)
    for n in range(VIDEOS):
        labels = rng.choice(CLASSES, size=rng.choice([1, 2, 3, 4], p=[0.33, 0.56, 0.09, 0.02]), replace=False)
        for c in labels:
            for track, share, full in (
                (audio, AUDIBLE, FULL_LENGTH["audio"]),
                (visual, VISIBLE, FULL_LENGTH["visual"]),
            ):
                if rng.random() < share:
                    ends = np.sort(rng.choice(SEGMENTS + 1, size=2, replace=False))
                    first, last = (0, SEGMENTS) if rng.random() < full else ends
                    track[n, first:last, c] = True
    return audio, visual


def noisy_output(audio: BoolArray, visual: BoolArray, rng: np.random.Generator) -> ParserOutput:
    """Return probabilities of a fair parser: the truth, some classes missed or made up, and noise on every segment."""
    segments = []
    for track in (audio, visual):
        odd = rng.random((VIDEOS, 1, CLASSES)) < 0.02
        value = np.where(track ^ odd, 0.7, 0.2) + rng.normal(0, 0.12, track.shape)
        segments.append(torch.from_numpy(np.clip(value, 0, 1).astype(np.float32)))
    heard, seen = (x.amax(dim=1) for x in segments)
    return ParserOutput(segments[0], segments[1], heard, seen, torch.maximum(heard, seen))


def median_ms(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    rng = np.random.default_rng(0)
    truth = simulated_truth(rng)
    output, rule = noisy_output(*truth, rng), DecodingRule()
    audio, visual = (x.numpy() for x in rule.decide(output))

    decide = median_ms(lambda: rule.decide(output), REPEATS)
    both = median_ms(lambda: score_parsing(*rule.decide(output), *truth), REPEATS)
    plain = median_ms(lambda: plain_scores(audio, visual, *truth), 3)
    scores = score_parsing(audio, visual, *truth)
    difference = np.abs(scores.per_video - np.asarray(plain_scores(audio, visual, *truth))).max()

    density = ", ".join(f"{name} {x.mean():.3f}" for name, x in zip(("audio", "visual"), truth, strict=True))
    print(f"{VIDEOS} simulated videos, {SEGMENTS} segments, {CLASSES} classes; true density {density}")
    print(scores)
    print(f"thresholds and gates {decide:.2f} ms, with both levels {both:.2f} ms (medians of {REPEATS})")
    print(f"plain twin, decisions given, {plain:.0f} ms (median of 3); largest difference {difference:.1e}")
    ratio = f"{plain / both:.0f}x"
    print(f"| scoring {VIDEOS} videos from probabilities | {both:.1f} ms | plain Python {plain:.0f} ms | {ratio} |")


if __name__ == "__main__":
    main()
