"""Makers of pseudo labels of segments, listed by name: ``maker(store, indices) -> SegmentLabels``."""

from avparse.labels.pseudo.from_teachers import PseudoLabels

PSEUDO_LABELS: dict[str, type[PseudoLabels]] = {"teachers": PseudoLabels}

__all__ = ["PSEUDO_LABELS", "PseudoLabels"]
