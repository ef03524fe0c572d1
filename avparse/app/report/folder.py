"""Pages in a folder beside the index, one a video, each written only where its timeline changed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from avparse.app.report.page import write_listed_page
from avparse.app.report.template import check_own, page_head
from avparse.app.report.video import ReportVideo
from avparse.foundation.files import sha256_of
from avparse.media.files import PAGES
from avparse.models.decoding import DecodingRule

MOST_ON_ONE_PAGE = 20  # videos; more get an index and a page each
REPORT = "report.html"


class PageFolder:
    """The pages of the videos, ``report/NAME.html``, of timelines ``NAME.json``.

    Args:
        folder: folder of the results, in which the index lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def page(self, timeline: str) -> str:
        """Return the path of a page relative to the index, from the name of the file of the timeline."""
        return f"{PAGES}/{timeline.removesuffix('.json')}.html"

    def is_current(self, timeline: str) -> bool:
        """Return whether the page of a timeline is there and shows what the file of the timeline holds.

        A page that is not older than the file does. Copied folders have other times, so an older page is asked for the
        hash of what it shows.
        """
        path, page = self.folder / timeline, self.folder / self.page(timeline)
        try:
            if page.stat().st_mtime_ns >= path.stat().st_mtime_ns:
                return True
            head = page_head(page)
        except OSError:
            return False
        return head is not None and sha256_of(path).encode("ascii") in head

    def write(self, timeline: str, video: ReportVideo, rule: DecodingRule | None) -> None:
        """Write the page of a video; its media file is linked, not embedded, so that it does not lie there twice.

        Args:
            timeline: name of the file of the timeline in the folder of the results.
            video: timeline, media and notes of the video.
            rule: decoding rule of the timeline; None if it is not known.

        Raises:
            UserError: the page cannot be written, or somebody's own page has its name.
        """
        path, page, title = self.folder / timeline, self.folder / self.page(timeline), video.timeline.video
        check_own(page)
        digest = sha256_of(path) if path.is_file() else ""
        write_listed_page(page, video, rule, home=f"../{REPORT}#video={quote(title, safe='')}", digest=digest)
