"""Timelines as tables of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avparse.data.notebook.shown import ShownTimeline
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.extras import library

if TYPE_CHECKING:
    from pandas import DataFrame


def events_frame(timeline: ShownTimeline) -> DataFrame:
    """Return the events of a timeline as a table, a row an event, with the columns of ``events.csv``.

    Raises:
        UserError: pandas is not installed.
    """
    pandas = library("pandas", "dataframe", "tables of timelines")
    events = timeline.events
    classes = list(dict.fromkeys([*timeline.classes, *(e.class_name for e in events)]))
    table: DataFrame = pandas.DataFrame(
        {
            "video": pandas.Series([timeline.video] * len(events), dtype="object"),
            "class": pandas.Categorical([e.class_name for e in events], categories=classes),
            "modality": pandas.Categorical([e.modality for e in events], categories=list(MODALITIES)),
            "onset": pandas.Series([e.onset for e in events], dtype="float64"),
            "offset": pandas.Series([e.offset for e in events], dtype="float64"),
            "score": pandas.Series([e.score for e in events], dtype="float64"),
            "trained_on": pandas.Series([timeline.trained_on] * len(events), dtype="object"),
        }
    )
    return table
