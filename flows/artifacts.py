"""What a run shows in Prefect: plan, progress, contact sheet, page, summary.

Prefect's pages are a view; the store is the truth. So an artifact that cannot be written stops nothing, and
after a try that failed nothing more is tried for ten minutes.
"""

from __future__ import annotations

import base64
import io
import logging
import re
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import httpx
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException

from newbie_core.production import Run

_CHANGES: dict[Literal["add", "change", "remove"], str] = {
    "add": "added",
    "change": "changed",
    "remove": "removed",
}
_ROWS_SHOWN = 200
_AWAY_SECONDS = 600.0
_SHEET_SIDE = 1200
_SHEET_BYTES = 150_000
_log = logging.getLogger("newbie_core.flows")
Made = TypeVar("Made")


class _Server:
    """Whether Prefect's server answers, for all runs of this process: each try to reach a dead one takes a minute."""

    def __init__(self) -> None:
        self._away_until = 0.0

    def is_there(self) -> bool:
        """Whether it is worth a try."""
        return time.monotonic() >= self._away_until

    def is_away(self) -> None:
        """It did not answer."""
        self._away_until = time.monotonic() + _AWAY_SECONDS


SERVER = _Server()
"""Prefect's server, as this process sees it."""


class Shown:
    """The artifacts of one set's run; silent while the server is away."""

    def __init__(self, set_name: str) -> None:
        self._set = set_name
        self._progress: Any = None
        self._total = 0
        self._began = time.monotonic()

    def plan(self, run: Run) -> None:
        """A table of what is made and why."""
        plan = run.plan
        changes = {word: plan.changes(word) for word in _CHANGES}
        rows = [
            {"picture": change.id, "action": word, "because": "; ".join(map(str, change.causes))}
            for word, found in changes.items()
            for change in found
        ]
        more = f" (the first {_ROWS_SHOWN} are shown)" if len(rows) > _ROWS_SHOWN else ""
        counts = ", ".join(f"{len(found)} {_CHANGES[word]}" for word, found in changes.items())
        told = f"{self._set}: {counts}{more}; {len(plan.items)} pictures in all, {len(run.pending)} to make"
        table = rows[:_ROWS_SHOWN] or [{"picture": "—", "action": "none", "because": "nothing changed"}]
        self._try(lambda: create_table_artifact(table=table, key=self._key("plan"), description=told))

    def begin(self, total: int) -> None:
        """Progress begins: so many pictures."""
        self._total, self._began = total, time.monotonic()
        if total:
            told = f"{self._set}: 0 of {total} pictures"
            self._progress = self._try(
                lambda: create_progress_artifact(0.0, key=self._key("progress"), description=told)
            )

    def advance(self, done: int) -> None:
        """So many are made; with the time that is left."""
        if self._progress is None:
            return
        left = (time.monotonic() - self._began) / max(1, done) * (self._total - done)
        ends = time.strftime("%H:%M", time.localtime(time.time() + left))
        rest = f", about {spoken(left)} left, until {ends}" if done < self._total else ""
        told = f"{self._set}: {done} of {self._total} pictures{rest}"
        self._try(
            lambda: update_progress_artifact(self._progress, 100.0 * done / self._total, description=told)
        )

    def release(self, report: Mapping[str, Any]) -> None:
        """The contact sheet, small enough to live in Prefect's database, and the link to the page."""
        folder = report["proposal"] or report["view"]
        if not folder:
            return
        title = f"{self._set} {'proposal' if report['proposal'] else report['release']}"
        sheet = Path(folder) / "contact-sheet.png"
        if sheet.is_file():
            text = f"![contact sheet]({inline_picture(sheet)})"  # an image artifact would spell out its data
            self._try(lambda: create_markdown_artifact(text, key=self._key("sheet"), description=title))
        if link := (report["page"] or {}).get("url"):
            self._try(
                lambda: create_link_artifact(
                    link=link, link_text=f"{title}: look and decide", key=self._key("page")
                )
            )

    def summary(self, reports: Sequence[Mapping[str, Any]], failed: Mapping[str, str]) -> None:
        """One table about every set."""
        text = summary_page(reports, failed)
        self._try(
            lambda: create_markdown_artifact(text, key=self._key("summary"), description="what the run did")
        )

    def _key(self, kind: str) -> str:
        plain = unicodedata.normalize("NFKD", self._set).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
        if not plain.strip() or slug != self._set:
            slug = f"{slug}-{self._set.encode().hex()[:8]}".strip("-")
        return f"{slug}-{kind}"

    def _try(self, write: Callable[[], object]) -> Any:
        if not SERVER.is_there():
            return None
        try:
            return cast(Any, write())
        except (httpx.HTTPError, PrefectException, OSError, RuntimeError, ValueError) as error:
            SERVER.is_away()
            _log.warning("Prefect shows nothing more of %s: %s", self._set, error)
            return None


def spoken(seconds: float) -> str:
    """A duration as people say it."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def inline_picture(file: Path) -> str:
    """The picture as a data URL of at most about 200 kB, made smaller as far as that needs."""
    from PIL import Image

    with Image.open(file, formats=("PNG",)) as opened:
        image = opened.convert("RGB")
    side, quality = _SHEET_SIDE, 80
    while True:
        image.thumbnail((side, side))
        data = io.BytesIO()
        image.save(data, "JPEG", quality=quality)
        if data.tell() <= _SHEET_BYTES or side < 200:
            return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
        side = side * 3 // 4


def summary_page(reports: Sequence[Mapping[str, Any]], failed: Mapping[str, str]) -> str:
    """The night as a Markdown table."""
    lines = ["| set | version | generated | reused | failed | what | page |", "|---|---|---|---|---|---|---|"]
    for report in reports:
        counts = f"{report['generated']} | {report['reused']} | {len(report['failed'])}"
        lines.append(
            f"| {_cell(report['catalog'])} | {report['release'] or '—'} | {counts} | {_what(report)} | {_page(report)} |"
        )
    lines.extend(
        f"| {_cell(name)} | — | — | — | — | **failed**: {_cell(why)} | — |" for name, why in failed.items()
    )
    return "\n".join(lines)


def _what(report: Mapping[str, Any]) -> str:
    canary = report["canary"] or {}
    if canary.get("waiting"):
        named = "; ".join(canary["changed"]) or "nothing that is recorded changed"
        return _cell(
            f"**held back: drift ({canary['verdict']})**: {named}. `newbie canary {report['catalog']} accept`"
        )
    if report["undecided"]:
        return _cell(f"**held back**: {len(report['undecided'])} pictures wait for approval")
    word = "published" if report["new"] else "nothing new"
    return f"{word}, {len(report['rejected'])} rejected rows" if report["rejected"] else word


def _page(report: Mapping[str, Any]) -> str:
    page = report["page"] or {}
    if page.get("error"):
        return f"none: {_cell(page['error'])}"
    return f"[look and decide](<{_cell(page['url'])}>)" if page.get("url") else "—"


def _cell(text: str) -> str:
    """A sheet's text in a Markdown table: no new column, no line, no HTML."""
    flat = " ".join(text.split()).replace("|", "\\|")
    return flat.replace("<", "&lt;").replace(">", "&gt;")
