"""A store as format 1 laid it out, written by hand: annotations were in the index and in files of truth."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from avparse.data.store.block import Block
from avparse.foundation.npy import grown_header
from tests import store_blocks


def write_format_1(path: Path, blocks: list[Block]) -> Path:
    """Write the blocks of ``tests.store_blocks`` as a store of format 1."""
    path.mkdir()
    names = store_blocks.VOCABULARY.names
    files = {f"{name}.npy": [b.streams[name].astype(info.dtype) for b in blocks] for name, info in STREAMS.items()}
    files["present.npy"] = [b.present for b in blocks]
    files |= {f"truth.{side}.npy": [b.truth[side] for b in blocks] for side in ("audio", "visual")}
    for name, parts in files.items():
        array = np.ascontiguousarray(np.concatenate(parts))
        (path / name).write_bytes(grown_header(array.dtype, array.shape) + array.tobytes())
    rows, first = [], 0
    for b in blocks:
        for n, video in enumerate(b.videos):
            labels = [name for name, given in zip(names, b.weak[n], strict=True) if given]
            timing = {"first_row": first, "segments": b.lengths[n], "duration": float(b.durations[n])}
            known = {"labels": labels, "source": b.origins[n], "annotated": bool(b.annotated[n])}
            rows.append({"video": video, "split": b.splits[n], **timing, **known})
            first += b.lengths[n]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path / "index.parquet")
    lines = b"".join(json.dumps(list(row.values()), ensure_ascii=False).encode() + b"\n" for row in rows)
    manifest = {
        "format": 1,
        "description": "of an earlier version",
        "segment_seconds": 1.0,
        "vocabulary": list(names),
        "streams": {name: info.model_dump() for name, info in STREAMS.items()},
        "truth": True,
        "videos": len(rows),
        "rows": first,
        "index_sha256": hashlib.sha256(lines).hexdigest(),
        "blocks": [
            {
                "videos": len(b.videos),
                "rows": sum(b.lengths),
                "sha256": {name: hashlib.sha256(parts[k].tobytes()).hexdigest() for name, parts in files.items()},
            }
            for k, b in enumerate(blocks)
        ],
    }
    sealed = json.dumps(manifest, ensure_ascii=False, separators=(",", ":")).encode()
    (path / "manifest.json").write_text(json.dumps({**manifest, "sha256": hashlib.sha256(sealed).hexdigest()}))
    return path


STREAMS = store_blocks.STREAMS
SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("split", pa.string()),
        ("first_row", pa.int64()),
        ("segments", pa.int64()),
        ("duration", pa.float64()),
        ("labels", pa.list_(pa.string())),
        ("source", pa.string()),
        ("annotated", pa.bool_()),
    ]
)
