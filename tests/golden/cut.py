"""Cut the files of this folder from the full golden files: ``python tests/golden/cut.py FULL``.

Left out: localisation networks and losses, cases that hold annotations of LLP, most channels of features, and the third
batch of a training step whose first two are here.
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

HERE = Path(__file__).parent
CHANNELS = 64  # of a feature; every channel comes of the same matrix product
BATCHES = 2  # of a step on label noise
LOCALISATION = ("avel", "avsdn", "cmran", "psp")
ANNOTATIONS = ("real_", "weak_labels_", "prob_global_", "prob_thresholds_", "prob_modality_")


def networks(full: Path) -> None:
    """Keep names and shapes of the tensors of each network, and what it said."""
    descriptions, arrays = {}, {}
    for path in sorted((full / "forward").glob("*.json")):
        if path.stem.startswith(LOCALISATION):
            continue
        known = json.loads(path.read_text())
        descriptions[path.stem] = {
            "config": known["config"],
            "parameter_count": known["parameter_count"],
            "scale": known.get("param_scale", 0.05),
            "inputs": {name: (entry["shape"], entry["fill_name"]) for name, entry in known["inputs"].items()},
            "state": [  # name, shape, the name that it is drawn from, and what is added to the draw
                (e["name"], e["shape"], e.get("fill_name", e["name"]), int(e["kind"] == "norm_weight"))
                for e in known["state_dict"]
            ],
        }
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
            for name in known["outputs"]:
                is_feature = name.endswith(("feat", "embed", "embed_pooled"))
                arrays[f"{path.stem}/{name}"] = file[name][..., :CHANNELS] if is_feature else file[name]
    _write("networks", descriptions, arrays)


def losses(full: Path) -> None:
    """Keep the cases of each file of losses."""
    descriptions, arrays = {}, {}
    for path in sorted((full / "losses").glob("*.json")):
        cases = [c for c in json.loads(path.read_text())["cases"] if not c["label"].startswith(LOCALISATION)]
        for case in cases:
            case["parameters"] |= {k: min(v, BATCHES) for k, v in case["parameters"].items() if k == "batches"}
            with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
                for key in file.files:
                    late = re.search(r"_(\d)$", key)
                    if key.startswith(f"{case['label']}/") and (late is None or int(late[1]) < BATCHES):
                        arrays[f"{path.stem}/{key}"] = file[key]
        descriptions[path.stem] = [{"label": c["label"], "parameters": c["parameters"]} for c in cases]
    _write("losses", descriptions, arrays)


def metrics(full: Path) -> None:
    """Keep the cases whose truth is invented."""
    listing = json.loads((full / "metrics_public.json").read_text())
    listing["cases"] = [c for c in listing["cases"] if not c["name"].startswith(ANNOTATIONS)]
    with np.load(full / "metrics_public.npz", allow_pickle=False) as file:
        arrays = {k: file[k] for c in listing["cases"] for k in (f"{c['name']}/{name}" for name in c["arrays"])}
    _write("metrics", listing, arrays)


def _write(name: str, description: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    contents = {
        "json": json.dumps(description, separators=(",", ":")).encode(),
        "safetensors": safetensors.numpy.save({key: np.ascontiguousarray(x) for key, x in arrays.items()}),
    }
    for ending, data in contents.items():
        (HERE / f"{name}.{ending}.xz").write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    source = Path(sys.argv[1])
    networks(source)
    losses(source)
    metrics(source)
