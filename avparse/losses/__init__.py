"""Loss functions, listed by name in :data:`LOSSES`.

A loss is called as ``loss(output, targets, batch, step)``, returns a scalar tensor and is logged under its ``label``.
"""

from avparse.losses.contrastive import SegmentContrast
from avparse.losses.coteaching import CoTeaching, JoCoR
from avparse.losses.cross_video import CrossVideoContrast
from avparse.losses.guides import FollowGuide, GuideCrossEntropy, KeepApart
from avparse.losses.leap import SegmentSimilarity
from avparse.losses.loss import Loss
from avparse.losses.mutual import MutualLearning
from avparse.losses.positive_count import PositiveCount
from avparse.losses.reference_networks import ClassConsistency, ReferenceContrast, ReferenceLabels
from avparse.losses.richness import Richness
from avparse.losses.segment import SegmentCrossEntropy
from avparse.losses.tokens import TokenIdentity
from avparse.losses.video import VideoCrossEntropy
from avparse.losses.video_contrast import VideoContrast

LOSSES: dict[str, type[Loss]] = {
    "video_bce": VideoCrossEntropy,
    "segment_bce": SegmentCrossEntropy,
    "richness": Richness,
    "positive_count": PositiveCount,
    "segment_contrast": SegmentContrast,
    "video_contrast": VideoContrast,
    "mutual": MutualLearning,
    "reference_labels": ReferenceLabels,
    "class_consistency": ClassConsistency,
    "reference_contrast": ReferenceContrast,
    "segment_similarity": SegmentSimilarity,
    "cross_video_contrast": CrossVideoContrast,
    "token_identity": TokenIdentity,
    "guide_bce": GuideCrossEntropy,
    "follow_guide": FollowGuide,
    "keep_apart": KeepApart,
    "coteaching": CoTeaching,
    "jocor": JoCoR,
}
