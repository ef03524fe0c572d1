"""The web server of a review, for this machine alone."""
