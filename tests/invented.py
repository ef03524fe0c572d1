"""Invented videos for the tests of the report: random probabilities, decoded by the real rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from avparse.app.report.video import ReportVideo
from avparse.data.timeline import Event, Timeline, events_of
from avparse.data.vocabulary import MODALITIES
from avparse.models.decoding import DecodingRule
from avparse.models.output import ParserOutput

NASTY = "a </script><script>alert(1)</script> <img src=x onerror=alert(2)> & 'b\".mp4"
CLASSES = ("Dog", "Frying_(food)", "Speech", "Cello")
RULE = DecodingRule(
    gate="own", segment_threshold=0.5, audio_gate_threshold=0.4, visual_gate_threshold=(0.3, 0.4, 0.5, 0.6)
)


def decode(
    segments: dict[str, np.ndarray | None], gates: dict[str, np.ndarray], rule: DecodingRule, duration: float
) -> list[Event]:
    """Return the events that the real rule gives, with the names ``CLASSES`` and segments of 1 s."""
    present = next(s for s in segments.values() if s is not None)
    side = {m: torch.from_numpy(np.zeros_like(present) if (s := segments[m]) is None else s)[None] for m in MODALITIES}
    gate = {m: torch.from_numpy(gates[m])[None] for m in MODALITIES}
    output = ParserOutput(side["audio"], side["visual"], gate["audio"], gate["visual"], gate["audio"])
    decisions = dict(zip(MODALITIES, rule.decide(output), strict=True))
    return [
        event
        for m in MODALITIES
        if (values := segments[m]) is not None
        for event in events_of(decisions[m][0].numpy(), values, m, CLASSES, 1.0, duration)
    ]


def make_video(
    seed: int = 0,
    segments: int = 4,
    rule: DecodingRule = RULE,
    absent: str = "",
    attention: bool = False,
    **values: Any,
) -> ReportVideo:
    """Invent a video; its events are decoded by ``rule``, its last segment is partly filled.

    Probabilities are rounded to hundredths, so that many are equal to a threshold.
    """
    rng = np.random.default_rng(seed)
    shape, duration = (segments, len(CLASSES)), segments - 0.25
    truth = {m: rng.random(shape) < 0.4 for m in MODALITIES}
    noisy = {m: np.clip(0.25 + 0.5 * truth[m] + 0.25 * rng.standard_normal(shape), 0, 1).round(2) for m in MODALITIES}
    probabilities = {m: None if m == absent else noisy[m].astype(np.float32) for m in MODALITIES}
    gates = {m: rng.random(len(CLASSES)).astype(np.float32) ** 0.5 for m in MODALITIES}
    events = decode(probabilities, gates, rule, duration)
    attended = {m: rng.dirichlet(np.ones(segments), len(CLASSES)).T.astype(np.float32) for m in MODALITIES}
    spread = {m: None if m == absent else attended[m] for m in MODALITIES} if attention else None
    timeline = Timeline("clip.mp4", duration, 1.0, CLASSES, probabilities, events, spread)
    return ReportVideo(timeline, **{"truth": truth, "gates": gates, "weak_labels": ["Cello"], **values})
