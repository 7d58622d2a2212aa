"""Sketches of a plan in a folder, at once and without a version."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from newbie_core.cli.output import Meter, say
from newbie_core.engines import load_engine
from newbie_core.errors import InputError, PictureError
from newbie_core.images import encode_png
from newbie_core.production.draft import Draft
from newbie_core.releases import picture_paths
from newbie_core.review.release_sheet import sheet_of
from newbie_core.store import safe_name

if TYPE_CHECKING:
    from PIL.Image import Image

    from newbie_core.cli.main import StopSignals

_MARK = ".newbie-preview"
_THUMBNAIL = 512


def make_preview(draft: Draft, given: argparse.Namespace, stop: StopSignals) -> tuple[Path, int]:
    """Draw the planned pictures into a folder that holds nothing but previews; the folder and how many.

    Raises:
        InputError: the folder holds something else.
    """
    out: Path = given.out or Path("preview") / safe_name(draft.plan.catalog.name)
    _clear(out)
    items = draft.pending if given.limit is None else draft.pending[: given.limit]
    paths = picture_paths(item.picture.id for item in draft.plan.items)
    shown: list[tuple[str, Image]] = []
    jobs = draft.plan.jobs(items)
    with Meter("sketches", len(jobs)) as meter:
        for job, picture in zip(jobs, load_engine("sketch").pictures(jobs), strict=True):
            if isinstance(picture, PictureError):
                say(f"failed: {picture}")
                continue
            place = out / "pictures" / paths[job.id]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encode_png(picture))
            picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
            shown.append((job.id, picture))
            meter.step()
            if stop.event.is_set():
                break
    title = draft.plan.catalog.settings.title or draft.plan.catalog.name
    page = sheet_of(shown, title=title, subtitle=f"preview, {len(shown)} sketches", badges={}, notes={})
    (out / "contact-sheet.png").write_bytes(encode_png(page))
    return out, len(shown)


def _clear(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise InputError(f"{out}: not a folder; name another with --out", code="E_PREVIEW_PLACE")
    if out.is_dir() and any(out.iterdir()) and not (out / _MARK).exists():
        raise InputError(
            f"{out}: holds other files and nothing is overwritten; name another with --out",
            code="E_PREVIEW_PLACE",
        )
    if out.is_dir():
        shutil.rmtree(out)
    (out / "pictures").mkdir(parents=True)
    (out / _MARK).touch()
