"""The page of a release: its pictures, what changed and why, and decisions to download.

One folder that opens from disk, without a network and without a server::

    index.html       the page: style, script and data inside it, nothing else is loaded but pictures
    thumbs/          small WebP pictures, named by their original's digest
    pictures/        every picture under its name: hard links of the store's objects, or copies
    before/          the pictures that were changed or removed, as they were
"""

from newbie_core.review.page.building import BuiltPage, PageOrder, build_page
from newbie_core.review.page.subject import Subject, read_subject

__all__ = ["BuiltPage", "PageOrder", "Subject", "build_page", "read_subject"]
