"""Pseudo labels of segments: ``maker(store, indices) -> SegmentLabels``, listed here by name."""

from avparse.labels.pseudo.from_teachers import PseudoLabels

PSEUDO_LABELS: dict[str, type[PseudoLabels]] = {"teachers": PseudoLabels}

__all__ = ["PSEUDO_LABELS", "PseudoLabels"]
