"""Still pictures: a file of one picture is one segment that shows it, without sound."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from avparse.foundation.arrays import Float32Array, UInt8Array
from avparse.media.decoding.chunks import Chunk
from avparse.media.decoding.guard import DEFAULT_LIMITS, Limits
from avparse.media.decoding.orientation import upright
from avparse.media.decoding.problems import MediaError
from avparse.media.decoding.views import PictureView, SoundView, View
from avparse.media.files import STILLS

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # of the content, whatever the ending


def is_still(path: str | Path) -> bool:
    """Return whether a file is read as a picture, by its ending."""
    return Path(path).suffix.lower() in STILLS


def read_still(
    path: str | Path, views: Iterable[View], *, segment_seconds: float = 1.0, limits: Limits = DEFAULT_LIMITS
) -> Chunk:
    """Read a picture as a file of one segment in which it stands still; there is no sound.

    Args:
        path: the picture: PNG, JPEG, WebP or BMP; of several pictures in it, the first counts.
        views: views of the sound and of the pictures; every picture of a view is the same.
        segment_seconds: length of the segment.
        limits: limits of the size of the picture.

    Raises:
        MediaError: there is no such file, it is no picture or a cut one, or it has too many pixels.
    """
    frame = VideoFrame.from_ndarray(_pixels(path, limits), format="rgb24")
    sounds: dict[SoundView, Float32Array] = {}
    pictures: dict[PictureView, UInt8Array] = {}
    for view in views:
        if isinstance(view, SoundView):
            windows = len(view.offsets(segment_seconds))
            sounds[view] = np.zeros((1, windows, view.samples(segment_seconds)), dtype=np.float32)
        else:
            shown = upright(VideoReformatter(), frame, view)
            pictures[view] = np.repeat(shown[None, None], view.count(segment_seconds), axis=1)
    return Chunk(
        start_s=0.0,
        end_s=segment_seconds,
        segments=1,
        segment_seconds=segment_seconds,
        sounds=sounds,
        pictures=pictures,
        audio_present=np.zeros(1, dtype=bool),
        visual_present=np.ones(1, dtype=bool),
    )


def _pixels(path: str | Path, limits: Limits) -> UInt8Array:
    """Return a picture as RGB ``[H, W, 3]``, turned as its camera noted, transparent parts white."""
    # Loads what most files do not need.
    from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415

    try:
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > limits.max_pixels:
                asks = f"{width * height} pixels, where {limits.max_pixels} are allowed"
                raise MediaError("limit", f"{path}: the picture has {asks}; make it smaller, or raise 'max_pixels'")
            turned = ImageOps.exif_transpose(image)
            if turned.has_transparency_data:
                turned = turned.convert("RGBA")
                turned = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned)
            return np.asarray(turned.convert("RGB"), dtype=np.uint8)
    except MediaError:
        raise
    except FileNotFoundError:
        raise MediaError("missing", f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise MediaError("missing", f"{path}: is a folder; name a picture") from None
    except PermissionError:
        raise MediaError("missing", f"{path}: permission denied; choose a file you may read") from None
    except UnidentifiedImageError:
        raise MediaError("not media", f"{path}: no picture; use PNG, JPEG, WebP or BMP") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())[:120]
        message = f"{path}: the picture cannot be read ({reason}); save it anew as PNG or JPEG"
        raise MediaError("undecodable", message) from None
