"""The report of a folder of results: one page while the videos are few, else an index and a page a video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from avparse.app.output_index import OutputIndex
from avparse.app.report.csv import count_events
from avparse.app.report.earlier import earlier_video, suits
from avparse.app.report.folder import REPORT, PageFolder
from avparse.app.report.index_page import IndexRow, write_index
from avparse.app.report.page import write_report
from avparse.app.report.video import ReportVideo
from avparse.models.decoding import DecodingRule


def write_single_page(
    index: OutputIndex, videos: Sequence[ReportVideo], now: Collection[str], rule: DecodingRule
) -> None:
    """Write the page of all videos of a folder.

    Args:
        index: table of the results of all calls.
        videos: videos that this call parsed.
        now: names of the files of their timelines.
        rule: decoding rule of the page.

    Raises:
        UserError: the page cannot be written.
    """
    rows = index.rows()
    earlier = (earlier_video(index.folder, row) for row in rows if row.json not in now)
    shown = [*videos, *(video for video in earlier if video is not None and suits(rule, video))]
    title = "avparse" if len(shown) >= len(rows) else f"avparse: {len(shown)} of {len(rows)} videos"
    write_report(index.folder / REPORT, shown, title=title, rule=rule)


def write_pages_index(
    index: OutputIndex, pages: PageFolder, now: Collection[str], rule: DecodingRule, classes: Sequence[str]
) -> None:
    """Write the index of the pages, and the pages of earlier videos that have none yet or whose timeline changed.

    Args:
        index: table of the results of all calls.
        pages: the pages; those of this call are written.
        now: names of the files of the timelines of this call.
        rule: decoding rule of the pages that are written here, where it suits their classes.
        classes: class names in the order of this call's timelines.

    Raises:
        UserError: a page or a table cannot be written.
    """
    counts, rows = count_events(index.folder / "events.csv"), list[IndexRow]()
    for row in index.rows():
        if row.json not in now and not pages.is_current(row.json):
            video = earlier_video(index.folder, row)
            if video is None:
                continue
            pages.write(row.json, video, rule if suits(rule, video) else None)
            index.add(row.path, video.timeline)
    index.write()  # with the durations that an earlier version did not write
    for row in index.rows():
        if (index.folder / row.json).is_file() and (index.folder / pages.page(row.json)).is_file():
            count = counts.get(row.video, Counter())
            rows.append(IndexRow(row.video, pages.page(row.json), row.duration, count, row.warnings))
    title = "avparse" if len(rows) >= len(index.rows()) else f"avparse: {len(rows)} of {len(index.rows())} videos"
    made_up = any(row.trained_on for row in index.rows())
    write_index(index.folder / REPORT, rows, title=title, classes=classes, simulated=made_up)
