"""Labels: where training targets come from, how they are refined, and the policy that learns to refine them."""
