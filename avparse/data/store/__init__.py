"""Feature stores: named streams of many videos of any length, memory-mapped, written atomically."""

from avparse.data.store.reader import FeatureStore, StreamInfo

__all__ = ["FeatureStore", "StreamInfo"]
