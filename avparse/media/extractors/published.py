"""The features that published systems for LLP read: VGGish, ResNet-152 and R(2+1)D-18 of each second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from avparse.media.extractors.published_pictures import CLIPS, FRAMES, PublishedPictures
from avparse.media.extractors.published_settings import PublishedSettings
from avparse.media.extractors.published_sound import PublishedSound


class PublishedExtractor:
    """The published features, one row a segment.

    Frames are those that ``ffmpeg -r 8`` writes, spread over the video as in the official code. The networks are loaded
    when the first file comes, in every process that works on files.

    Attributes:
        name, version: written beside stored features; the version changes whenever a feature does.
        Config: settings; some of them are open, as the script that made the published features is not public.
        choices: values of the open settings that matter to each stream, the default first.
        streams: ``audio`` 128, ``frames`` 2048 (the mean over eight frames), ``clips`` 512.
    """

    name = "published"
    version = "1"
    Config = PublishedSettings
    choices: ClassVar[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
        "audio": {"window_s": (0.96, 1.0), "postprocess": ("none", "pca", "pca8"), "offset_s": (0.0, 0.5)},
        "frames": {"frames_resize": ("crop", "squash"), "channels": ("rgb", "bgr"), "offset_s": (0.0, 0.5)},
        "clips": {"clips_resize": ("squash", "crop"), "channels": ("rgb", "bgr"), "offset_s": (0.0, 0.5)},
    }

    def __init__(self, settings: PublishedSettings | None = None) -> None:
        self.settings = settings = settings or PublishedSettings()
        self.streams = {
            "audio": PublishedSound(settings).stream,
            "frames": PublishedPictures(FRAMES, settings.frames_resize, settings).stream,
            "clips": PublishedPictures(CLIPS, settings.clips_resize, settings).stream,
        }
