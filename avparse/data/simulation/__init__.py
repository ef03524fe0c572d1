"""Simulated LLP: labels and dense truth drawn from published statistics, and features drawn from that truth."""
