"""Columns of a table of events, one row an event, as ``parse`` writes it and as tables of truth have it."""

NEEDED_COLUMNS = ("video", "class", "modality", "onset", "offset")
EVENT_COLUMNS = (*NEEDED_COLUMNS, "score", "trained_on")
