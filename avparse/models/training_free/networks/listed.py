"""Judges that are networks with a fixed list of names."""

from __future__ import annotations

from pathlib import Path

from avparse.data.class_names import find_classes
from avparse.data.class_names.class_map import shipped_map
from avparse.data.taggers import Tagger
from avparse.data.vocabulary import composed
from avparse.foundation.errors import closest
from avparse.models.training_free.parser import Judge
from avparse.models.training_free.scorers.listed import ListedScorer
from avparse.models.training_free.thresholds import LogOdds


def listed_judge(tagger: Tagger, cut: float, classes: tuple[str, ...], class_map: Path | None) -> Judge:
    """Return a network that knows a fixed list of names as a judge.

    Args:
        tagger: network that knows the list.
        cut: probability from which on a class counts as present.
        classes: names of the wanted classes.
        class_map: path of a class map of one's own; None for the shipped one alone.

    Raises:
        UserError: the class map cannot be read, or names something that the list lacks.
    """
    listed = find_classes(classes, tagger.names, class_map)
    mapped = shipped_map().entries  # what is in it for another list is no typing error
    unknown = [name for name in listed.unknown if composed(name) not in mapped]
    made = tagger.made()
    scorer = ListedScorer(
        tagger.modality, tagger.extractor, tagger.stream, made.dimension, tagger.outputs, listed, tagger.title
    )
    return Judge(scorer, LogOdds(cut), {name: closest(name, [*mapped, *tagger.names.names]) for name in unknown})
