"""What frozen teachers say of the segments of a store, kept beside it, so that pseudo labels are made anew in seconds.

``STORE/teachers/NAME.MODALITY.safetensors`` holds one of two forms, with ``lengths`` [N] beside it:

* :class:`TeacherScores`: embeddings of the segments, of one prompt a class and, where a method wants them, of prompts
  for label subsets. Every score is a product of two of them. Tensors: ``segments`` [sum T, E], ``texts`` [C, E],
  ``subset_texts`` [P, E], ``subset_members`` [P, C];
* :class:`ScoreTable`: logits of a network that knows a fixed list of names. Tensor: ``logits`` [sum T, C]. A segment
  that the network could not see or hear is a row of NaN, a class that it knows no name of is a column of NaN and is
  named in ``unjudged``: pseudo labels then keep the weak label's word of that class.

The metadata name videos, classes, prompts, checkpoint and logit scale, and hold a checksum. The store itself is not
touched. Videos that are appended to it later have no scores until the teacher is asked again.
"""

from avparse.data.scores.embeddings import Subsets, TeacherScores
from avparse.data.scores.loading import load_scores
from avparse.data.scores.logits import ScoreTable
from avparse.data.scores.stored import FOLDER, SegmentScores, TeacherInfo

__all__ = [
    "FOLDER",
    "ScoreTable",
    "SegmentScores",
    "Subsets",
    "TeacherInfo",
    "TeacherScores",
    "load_scores",
]
