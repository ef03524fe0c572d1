"""What can be counted on the validation truth, or estimated from labels alone."""
