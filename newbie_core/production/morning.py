"""The page of what a run published or proposed: made beside its pictures, and where a browser finds it.

It stands in `views/<set>/<version>/page/`, is made anew by each run that is asked for it, and goes when the
view goes. Somebody looks at it in the morning; nothing depends on it.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from newbie_core.releases import Shelf
from newbie_core.review.page import PageOrder, build_page

PAGES_VARIABLE = "NEWBIE_PAGES_URL"
"""Environment variable: where the store's folder `views` is served, so that links work in a browser."""

PAGE = "page"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """The page of a run: its `file` and `url`, or the `error` for which there is none."""

    file: Path | None = None
    url: str | None = None
    error: str | None = None

    def record(self) -> dict[str, str | None]:
        """The page as programs read it."""
        return {"file": str(self.file) if self.file else None, "url": self.url, "error": self.error}


def make_page(shelf: Shelf, version: str, view: Path) -> Morning:
    """Make the page of `version` in the folder of its view; the caller holds the set's lock.

    Whatever is wrong with a page is told and stops nothing: the version is published already.
    """
    try:
        for left in view.glob(f".{PAGE}.*"):
            shutil.rmtree(left, ignore_errors=True)
        built = build_page(shelf, PageOrder(version=version, out=view / PAGE))
    except Exception as error:  # noqa: BLE001 - a page may not spoil what is published, whatever is wrong with it
        said = str(error) or type(error).__name__
        _log.warning("%s: %s has no page: %s", shelf.set, version, said, exc_info=True)
        return Morning(error=said)
    return Morning(file=built.index, url=page_url(built.index))


def page_url(index: Path) -> str:
    """Where a browser finds the page at `views/<set>/<version>/page/index.html`."""
    served = os.environ.get(PAGES_VARIABLE)
    if not served:
        return index.resolve().as_uri()
    return "/".join([served.rstrip("/"), *map(quote, index.parts[-4:])])
