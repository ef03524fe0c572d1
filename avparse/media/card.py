"""The card of a stream: what its features are, so that two kinds of features are never taken for one."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from avparse.foundation.settings import Settings
from avparse.media.decoding.views import SoundView, View

_TOLD_ONLY = {"libraries", "licence"}


class Card(Settings):
    """What a stream of features is made of; what does not apply is left empty.

    Attributes:
        extractor, version: name and version of the extractor.
        network: name of the network; empty for features that are computed without one.
        weights_sha256: SHA-256 of its weights.
        sample_rate: samples a second of the sound.
        window_s: seconds of sound that a window holds.
        hop_s: seconds from the start of a window to that of the next.
        lead_s: seconds of sound before a window that the network listens to besides.
        frame_rate: pictures a second.
        picked: rule by which frames are picked, as in :class:`PictureView`.
        size: (width, height) of the pictures in pixels.
        crop: way in which a picture comes to that size.
        offset_s: seconds by which windows or pictures are taken later.
        mean, deviation: number of each channel that is subtracted from its values in [0, 1], and that they are divided
            by then.
        processing: further steps, in words.
        libraries: versions of the libraries that decode and compute; told and never compared, as an update changes last
            bits and not what a number means.
        licence: SPDX name of the licence of the weights; told and never compared.
    """

    extractor: str
    version: str
    network: str = ""
    weights_sha256: str = ""
    sample_rate: int | None = None
    window_s: float | None = None
    hop_s: float | None = None
    lead_s: float = 0.0
    frame_rate: float | None = None
    picked: str = ""
    size: tuple[int, int] | None = None
    crop: str = ""
    offset_s: float = 0.0
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    processing: str = ""
    libraries: dict[str, str] = Field(default_factory=dict)
    licence: str = ""

    @model_serializer(mode="wrap")
    def _without_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is empty, so that a later field changes no checksum of an earlier store."""
        return {name: value for name, value in write(self).items() if value not in (None, "", 0.0, (), [], {})}

    def differences(self, other: Card) -> list[str]:
        """Return in which fields ``other`` differs; empty if both stand for the same features."""
        return [
            f"{name} {_shown(theirs)} in place of {_shown(ours)}"
            for name in type(self).model_fields
            if name not in _TOLD_ONLY and (theirs := getattr(other, name)) != (ours := getattr(self, name))
        ]

    def __str__(self) -> str:
        return ", ".join(f"{name} {_shown(value)}" for name, value in self.model_dump(mode="json").items())


def view_facts(view: View, segment_seconds: float) -> dict[str, Any]:
    """Return what a view says of a stream that is made of it, as fields of its card."""
    if isinstance(view, SoundView):
        return {
            "sample_rate": view.sample_rate,
            "window_s": view.window_s or segment_seconds,
            "hop_s": view.hop_s or segment_seconds,
            "lead_s": view.lead_s,
            "offset_s": view.offset_s,
        }
    crop = "squashed" if view.shorter_side is None else f"middle, shorter side scaled to {view.shorter_side}"
    return {
        "frame_rate": view.count(segment_seconds) / segment_seconds,
        "picked": view.picked,
        "size": view.size,
        "crop": f"{crop} ({view.scaling})",
        "offset_s": view.offset_s,
    }


def library_versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package; one that is not installed is left out."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {number}" for name, number in value.items())
    if isinstance(value, (tuple, list)):
        return "(" + " ".join(f"{number:g}" for number in value) + ")"
    return f"{value:g}" if isinstance(value, float) else str(value) if value not in (None, "") else "nothing"
