"""What recipes cost: parameters, matrix products, memory, time."""
