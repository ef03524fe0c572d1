"""Losses: ``loss(output, targets, batch) -> scalar``, each logged under its label, listed here by name."""

from avparse.losses.video import VideoCrossEntropy

LOSSES: dict[str, type[VideoCrossEntropy]] = {"video_bce": VideoCrossEntropy}
