"""Data: vocabulary, labels, feature stores, simulation, batches."""
