"""Benchmark tables: one recipe per row, each trained with several seeds."""
