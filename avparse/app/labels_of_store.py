"""Refined labels of a store, read without the code that makes them, which is slow to load."""

from __future__ import annotations

from pathlib import Path

from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError
from avparse.labels.table import RefinedLabels


def load_labels(path: str | Path, store: FeatureStore) -> RefinedLabels:
    """Read a table of refined labels that fits a store.

    Raises:
        UserError: the file is not such a table, or it was made for other classes, videos or weak labels.
    """
    labels = RefinedLabels.load(path, store.vocabulary)
    try:
        labels.rows(store.videos, store.weak)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return labels
