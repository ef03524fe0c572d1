"""Networks that know a fixed list of names: what they make of a stream of features, listed here by name.

They serve as teachers (their scores are stored) and as scorers (they judge files without a run). One file each.
"""

from collections.abc import Callable

from avparse.data.taggers.audioset import AudiosetTagger
from avparse.data.taggers.imagenet import ImagenetTagger
from avparse.data.taggers.speech import SpeechTagger
from avparse.data.taggers.tagger import Tagger

TAGGERS: dict[str, Callable[[], Tagger]] = {
    "imagenet": ImagenetTagger,
    "audioset": AudiosetTagger,
    "speech": SpeechTagger,
}

__all__ = ["TAGGERS", "Tagger"]
