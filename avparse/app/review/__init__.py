"""The review: a page in the browser where people decide about labels and events, and tables of what they decided."""
