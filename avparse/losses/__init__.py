"""Losses: ``loss(output, targets, batch, step) -> scalar``, each logged under its label, listed here by name."""

from avparse.losses.contrastive import SegmentContrast
from avparse.losses.coteaching import CoTeaching, JoCoR
from avparse.losses.loss import Loss
from avparse.losses.video import VideoCrossEntropy

LOSSES: dict[str, type[Loss]] = {
    "video_bce": VideoCrossEntropy,
    "segment_contrast": SegmentContrast,
    "coteaching": CoTeaching,
    "jocor": JoCoR,
}
