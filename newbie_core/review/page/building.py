"""Build a page's folder beside its place, whole, and put it there."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote

from newbie_core.errors import InputError, ReleaseError
from newbie_core.releases import Shelf
from newbie_core.review.page.data import (
    Places,
    embedded,
    page_data,
    shown_before,
    thumbnail_path,
    usual_places,
)
from newbie_core.review.page.subject import Subject, read_subject
from newbie_core.review.page.thumbnails import Thumbnails, thumbnails_of
from newbie_core.store import object_name, safe_name
from newbie_core.store.files import explained

PictureFiles = Literal["link", "store"]
Which = TypeVar("Which", str, tuple[str, int])
GENERATOR = '<meta name="generator" content="newbie page">'
SCRIPTS = ("base", "board", "decisions", "candidates", "viewer", "differences", "frame")
"""The script's files in their order; from disk a browser loads no modules, so they stand in the page as one."""

_HEAD_BYTES = 2000
_HERE = Path(__file__).parent
_POST = re.compile(r"/(?!/)[A-Za-z0-9/_.~-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOrder:
    """What is to be built, and how.

    Attributes:
        version: a release's name or "proposal"; None takes the proposal, else the version that counts.
        out: the folder to make, by default `page/<set>/<version>`; a page that is there is replaced.
        files: "link" puts every picture into the folder (hard links, else copies), "store" shows the
            store's objects where they lie: nothing is put there, and the page must stay where it is.
        post: where a served page sends decisions: a path of its server such as "/decisions"; "" for none.
    """

    version: str | None = None
    out: Path | None = None
    files: PictureFiles = "link"
    post: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPage:
    """A page that was built; `bytes` are what it takes beside the pictures."""

    index: Path
    version: str
    pictures: int
    changed: int
    thumbnails_made: int
    bytes: int
    notes: list[str] = field(default_factory=list)


def build_page(
    shelf: Shelf, order: PageOrder, *, progress: Callable[[int], None] = lambda _: None
) -> BuiltPage:
    """Build the page of a version; a picture that is damaged is named on it, and the others are there.

    Raises:
        ReleaseError: there is no such version, or something else stands in the page's place.
        InputError: `post` is no path.
        DamageError, MissingError: the version cannot be read.
        StoreError: the folder cannot be written.
    """
    if order.post and not _POST.fullmatch(order.post):
        raise InputError(
            f'--post "{order.post}" is no path of the server that serves the page; expected one such as /decisions',
            code="E_PAGE_POST",
        )
    subject = read_subject(shelf, order.version)
    out = order.out or Path("page") / safe_name(shelf.set) / safe_name(subject.version)
    out = out if out.name else out.absolute()
    _refuse_other(out)
    before = shown_before(subject)
    entries = subject.content.entries
    candidates = [entry for found in subject.candidates.values() for entry in found.values()]
    digests = [entry.object for entry in (*entries, *before.values(), *candidates)]
    thumbnails = thumbnails_of(shelf.store, shelf.set, digests, progress=progress)
    subject.notes.extend(_problems(subject, thumbnails))
    places, links = _places(shelf, subject, thumbnails, None if order.files == "link" else out)
    html = render(subject, places, thumbnails, post=order.post)
    with explained(out, "write the page"):
        beside = out.with_name(f".{out.name}.{secrets.token_hex(6)}.part")
        try:
            size = _fill(shelf, beside, html, thumbnails, links)
            _put_in_place(beside, out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return BuiltPage(
        index=out / "index.html",
        version=subject.version,
        pictures=len(entries),
        changed=len(subject.differences),
        thumbnails_made=thumbnails.made,
        bytes=size,
        notes=list(subject.notes),
    )


def render(subject: Subject, places: Places, thumbnails: Thumbnails, *, post: str) -> str:
    """The page as one HTML text; its policy allows exactly its own style and script, by their digests."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    style, script = (_HERE / "page.css").read_text(encoding="utf-8"), page_script()
    policy = {
        "default-src": "'none'",
        "script-src": _source(script),
        "style-src": _source(style),
        "img-src": "'self' file: data:",
        "connect-src": "'self'" if post else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }
    data = page_data(subject, places, thumbnails, post=post)
    return environment.get_template("page.html.j2").render(
        policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        title=subject.content.title or subject.set,
        version=subject.version,
        style=style,
        script=script,
        data=embedded(data),
    )


def page_script() -> str:
    """The page's script: its files one after the other in one function, which shares nothing with the window."""
    parts = ((_HERE / "script" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    return '\n"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def _source(text: str) -> str:
    """A policy's source that matches exactly this inline text (CSP level 3, hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _places(
    shelf: Shelf, subject: Subject, thumbnails: Thumbnails, beside_store: Path | None
) -> tuple[Places, dict[str, str]]:
    """Where the page finds its pictures, as URLs; and the files to put into its folder, with their objects.

    Args:
        beside_store: the page's folder where it shows the store's own files; None where it carries them.
    """
    before, usual = shown_before(subject), usual_places(subject)
    whole = thumbnails.found.keys()
    now = {entry.id: entry.object for entry in subject.content.entries if entry.object in whole}
    was = {picture_id: entry.object for picture_id, entry in before.items() if entry.object in whole}
    further = {
        (picture_id, number): entry.object
        for picture_id, found in subject.candidates.items()
        for number, entry in found.items()
        if entry.object in whole
    }
    if beside_store is not None:
        return Places(
            pictures=_in_store(shelf, beside_store, now),
            before=_in_store(shelf, beside_store, was),
            candidates=_in_store(shelf, beside_store, further),
        ), {}
    links = {usual.pictures[picture_id]: digest for picture_id, digest in now.items()}
    links |= {usual.before[picture_id]: digest for picture_id, digest in was.items()}
    links |= {usual.candidates[which]: digest for which, digest in further.items()}
    places = Places(
        pictures={picture_id: quote(usual.pictures[picture_id]) for picture_id in now},
        before={picture_id: quote(usual.before[picture_id]) for picture_id in was},
        candidates={which: quote(usual.candidates[which]) for which in further},
    )
    return places, links


def _in_store(shelf: Shelf, out: Path, objects: Mapping[Which, str]) -> dict[Which, str]:
    found = {}
    for which, digest in objects.items():
        path = shelf.store.driver.local_path(object_name(digest))
        if path is None:
            raise ReleaseError(
                "the store's objects are no files here; build the page with --pictures link",
                code="E_PAGE_PLACE",
            )
        found[which] = quote(Path(os.path.relpath(path, out.resolve())).as_posix())
    return found


def _fill(shelf: Shelf, folder: Path, html: str, thumbnails: Thumbnails, links: Mapping[str, str]) -> int:
    """Write every file of the page; the bytes it takes beside the pictures."""
    (folder / "thumbs").mkdir(parents=True)
    for digest, thumbnail in thumbnails.found.items():
        (folder / thumbnail_path(digest, thumbnail)).write_bytes(thumbnail.data)
    targets = [(digest, folder / name) for name, digest in links.items()]
    for parent in {target.parent for _, target in targets}:
        parent.mkdir(parents=True, exist_ok=True)
    shelf.store.link_views(targets)
    page = html.encode()
    (folder / "index.html").write_bytes(page)
    return len(page) + sum(len(thumbnail.data) for thumbnail in thumbnails.found.values())


def _refuse_other(out: Path) -> None:
    """Only a page of ours, or an empty folder, is replaced."""
    if not (out.exists() or out.is_symlink()):
        return
    index = out / "index.html"
    if out.is_dir() and not out.is_symlink():
        if not any(out.iterdir()):
            return
        if index.is_file():
            with index.open("rb") as stream:
                if GENERATOR.encode() in stream.read(_HEAD_BYTES):
                    return
    raise ReleaseError(
        f"{out}: something else than a page stands there; name another folder with --out", code="E_PAGE_PLACE"
    )


def _put_in_place(beside: Path, out: Path) -> None:
    old = beside.with_suffix(".old")
    if out.exists():
        out.rename(old)
    beside.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _problems(subject: Subject, thumbnails: Thumbnails) -> list[str]:
    broken = [entry.id for entry in subject.content.entries if entry.object in thumbnails.problems]
    if not broken:
        return []
    shown = ", ".join(broken[:5]) + (" …" if len(broken) > 5 else "")
    return [f"{len(broken)} pictures are damaged or lost ({shown}); `newbie run` makes them again"]
