"""Settings of the extractor ``published``: as defaults what is known of the published features, and what is not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from avparse.foundation.settings import Settings

# Seconds of sound that are read for a window, and the first of their log-mel frames that VGGish sees.
WINDOWS = {0.96: (0.975, 0), 1.0: (1.0, 2)}


class PublishedSettings(Settings):
    """Settings of the extractor ``published``.

    Attributes:
        window_s: 0.96 gives VGGish the 96 log-mel frames from the start of a segment on; 1.0 the middle 96 of its 100.
        postprocess: ``none`` leaves VGGish's output; ``pca`` gives it after PCA, clipped to [-2, 2]; ``pca8`` codes
            that in 8 bit.
        frames_resize: ``crop`` cuts the middle out for ResNet-152; ``squash`` takes the whole frame.
        clips_resize: ``squash`` takes the whole frame for R(2+1)D-18; ``crop`` scales the shorter side to 128 and
            cuts the middle out.
        channels: order of the colours that the networks get.
        offset_s: seconds by which sound and pictures are taken later.
        keep_frames: whether the eight frames of a segment stay one after the other, unaveraged.
    """

    window_s: float = 0.96
    postprocess: Literal["none", "pca", "pca8"] = "none"
    frames_resize: Literal["crop", "squash"] = "crop"
    clips_resize: Literal["squash", "crop"] = "squash"
    channels: Literal["rgb", "bgr"] = "rgb"
    offset_s: float = Field(default=0.0, ge=0.0, le=10.0)
    keep_frames: bool = False

    @field_validator("window_s")
    @classmethod
    def _known_window(cls, value: float) -> float:
        if value not in WINDOWS:
            raise ValueError(f"give {' or '.join(map(str, WINDOWS))}")
        return value
