"""Reinforced label denoising (RLLD): policies, actions and rewards."""
