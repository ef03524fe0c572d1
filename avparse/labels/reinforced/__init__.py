"""Reinforced label denoising: policies, actions and rewards."""
