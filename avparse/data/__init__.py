"""Data: vocabulary, annotations, feature stores, teachers, simulation and batches."""
