"""Profiles of recipes: parameters, matrix products, memory and time."""
