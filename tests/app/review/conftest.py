"""Reviews that the tests of this folder share."""

from __future__ import annotations

import pytest

from avparse.data.store import FeatureStore
from tests.toy import toy_store

pytest.importorskip("fastapi", reason="fastapi is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("reviewed") / "toy", videos=40)
