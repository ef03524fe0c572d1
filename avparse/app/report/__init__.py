"""The report page and the tables beside it."""
