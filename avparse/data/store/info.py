"""Description of a feature store as text."""

from __future__ import annotations

import numpy as np

from avparse.data.store import FeatureStore
from avparse.data.store.format import SPLITS
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.arrays import segment_rows


def describe(store: FeatureStore) -> str:
    """Return the text of ``avparse data info``; every checksum is verified on the way.

    Raises:
        UserError: a checksum is wrong; the file is named.
    """
    store.verify()
    manifest = store.manifest
    size = sum(file.stat().st_size for file in store.path.iterdir())
    present = store.present[segment_rows(store.first_row, store.lengths)]
    lines = [
        f"{store.path}: feature store, data version {store.fingerprint}"
        f" (features {store.features_version}, annotations {store.annotations_version})",
        *([manifest.description] if manifest.description else []),
        f"videos      {len(store)} in {store.lengths.sum()} segments of {store.segment_seconds:g} s"
        f" ({_span(store)}), {store.durations.sum() / 3600:.2f} h",
        f"size        {_bytes(size)}",
        f"checksums   ok ({len(manifest.blocks)} blocks)",
        *_unused(store),
        f"annotated   {_share(store.annotated)} of the videos have dense truth",
        *(f"{modality:<12}present in {_share(present[:, m])} of the segments" for m, modality in enumerate(MODALITIES)),
        "",
        *_table(["stream", "dimension", "dtype", "bytes", "extractor"], _streams(store)),
        *(f"card of '{name}': {info.card}" for name, info in store.streams.items() if info.card is not None),
        "",
        *_table(["split", "videos", "segments", "annotated", "labels a video"], _splits(store)),
        "",
        *_table(["class", *_named(store), "all"], _classes(store)),
    ]
    return "\n".join(lines)


def _unused(store: FeatureStore) -> list[str]:
    """Return what is in the files and not in the store, a line each; usually nothing."""
    lines = []
    if store.left_out:
        lines.append(f"left out    {len(store.left_out)} videos without annotations (such as '{store.left_out[0]}')")
    if store.superseded:
        lines.append(f"superseded  {store.superseded} videos, whose earlier features are still in the files")
    return lines


def _streams(store: FeatureStore) -> list[list[str]]:
    return [
        [name, str(info.dimension), info.dtype, _bytes(store.stream(name).nbytes), info.extractor or "-"]
        for name, info in store.streams.items()
    ]


def _named(store: FeatureStore) -> list[str]:
    return [split or "(none)" for split in SPLITS if (store.splits == split).any()]


def _splits(store: FeatureStore) -> list[list[str]]:
    rows = []
    for split in SPLITS:
        chosen = store.splits == split
        if chosen.any():
            counts = [chosen.sum(), store.lengths[chosen].sum(), store.annotated[chosen].sum()]
            labels = store.weak[chosen].sum(axis=1).mean()
            rows.append([split or "(none)", *map(str, counts), f"{labels:.2f}"])
    return rows


def _classes(store: FeatureStore) -> list[list[str]]:
    chosen = [store.splits == split for split in SPLITS if (store.splits == split).any()]
    counts = np.stack([*(store.weak[c].sum(axis=0) for c in chosen), store.weak.sum(axis=0)])  # [splits + 1, C]
    return [[name, *map(str, counts[:, c])] for c, name in enumerate(store.vocabulary)]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join([f"{cells[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(cells[1:], widths[1:], strict=True))])
        for cells in [header, *rows]
    ]


def _span(store: FeatureStore) -> str:
    if not len(store):
        return "empty"
    shortest, longest = store.lengths.min(), store.lengths.max()
    return f"{shortest} a video" if shortest == longest else f"{shortest} to {longest} a video"


def _share(flags: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> str:
    return f"{np.count_nonzero(flags) / flags.size:.1%}" if flags.size else "0.0%"


def _bytes(size: int) -> str:
    value = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"
