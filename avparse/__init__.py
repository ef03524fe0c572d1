"""avparse: weakly-supervised audio-visual video parsing.

It finds which events are heard, which are seen and which are both, second by second, and learns from video-level
labels.

The names below are the public interface. Each is imported when it is first used, so that ``import avparse`` is fast and
parsing a file loads no training code::

    import avparse

    timeline = avparse.parse("clip.mp4", run="runs/demo")
    run = avparse.train("rlld", "data/features", "runs/rlld")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "FeatureStore": "avparse.data.store",
    "Failed": "avparse.media.pipeline",
    "Run": "avparse.training.run",
    "Timeline": "avparse.data.timeline",
    "UserError": "avparse.foundation.errors",
    "create_parser": "avparse.app.create",
    "denoise": "avparse.app.denoising",
    "evaluate": "avparse.app.scoring",
    "list_recipes": "avparse.training.recipe",
    "load_recipe": "avparse.training.recipe",
    "parse": "avparse.app.parsing",
    "score_parsing": "avparse.evaluation.parsing",
    "train": "avparse.training.train",
}

if TYPE_CHECKING:  # the same names for editors and type checkers, which do not run __getattr__
    from avparse.app.create import create_parser
    from avparse.app.denoising import denoise
    from avparse.app.parsing import parse
    from avparse.app.scoring import evaluate
    from avparse.data.store import FeatureStore
    from avparse.data.timeline import Timeline
    from avparse.evaluation.parsing import score_parsing
    from avparse.foundation.errors import UserError
    from avparse.media.pipeline import Failed
    from avparse.training.recipe import list_recipes, load_recipe
    from avparse.training.run import Run
    from avparse.training.train import train

__all__ = [
    "Failed",
    "FeatureStore",
    "Run",
    "Timeline",
    "UserError",
    "__version__",
    "create_parser",
    "denoise",
    "evaluate",
    "list_recipes",
    "load_recipe",
    "parse",
    "score_parsing",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a name of the public interface when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'avparse' has no attribute '{name}'; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
