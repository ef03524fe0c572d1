"""The report page and the table of events."""
