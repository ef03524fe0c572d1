"""Labels: sources of training targets, pseudo labels, refined labels, and the policies that learn to refine labels."""
