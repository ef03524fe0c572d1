"""Judges that are networks of texts."""

from __future__ import annotations

import torch

from avparse.data.other_things import other_things
from avparse.data.prompt_styles import prompt_style
from avparse.foundation.arrays import Float32Array
from avparse.media.towers.tower import Tower
from avparse.models.training_free.scorers.texts import TextScorer

_STYLE = "valor"  # whose prompts are asked


def text_scorer(
    tower: Tower, extractor: str, stream: str, classes: tuple[str, ...], title: str, unrelated: Float32Array | None
) -> TextScorer:
    """Return a network that is asked with prompts of the classes and of other things.

    Args:
        tower: network that embeds segments and texts.
        extractor: name of the extractor that makes its embeddings of segments.
        stream: name of the stream of these embeddings.
        classes: names of the wanted classes.
        title: name of the network without its checkpoint.
        unrelated: mean embedding of material in which nothing happens; None for a network with calibrated logits.

    Raises:
        UserError: a prompt is longer than the network reads.
    """
    prompts = prompt_style(_STYLE).prompts(tower.modality)
    asked = (*prompts.class_prompts(classes), *map(prompts.text, other_things(tower.modality, classes)))
    return TextScorer(
        modality=tower.modality,
        extractor=extractor,
        stream=stream,
        classes=classes,
        texts=torch.from_numpy(tower.texts(asked)),
        scale=tower.logit_scale,
        title=f"{title} of {tower.identity.partition(',')[0]}",
        bias=tower.logit_bias,
        unrelated=None if unrelated is None else torch.from_numpy(unrelated),
    )
