"""Write a version back: a copy of the catalog's workbook or CSV files that says beside each row what became of it.

::

    newbie: status      what became of the row's pictures, or why the row is rejected or held
    newbie: version     the version that has them
    newbie: seed        with which seed
    newbie: picture     the (first) picture, small; workbooks only
    newbie: link        leads to the picture, or to the folder or sheet of several

The source is only read. Columns of these names are passed over by every reader, so a copy is as good a
source as the original.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from newbie_core.catalogs import Catalog
from newbie_core.delivery.places import new_place, write_file
from newbie_core.delivery.row_states import RowState, row_states
from newbie_core.delivery.thumbnails import SIDE, Small, thumbnails
from newbie_core.errors import DeliveryError
from newbie_core.plans import Memo
from newbie_core.releases import Entry, Release, Shelf, picture_paths, rebuild_view, view_folder
from newbie_core.sheets import Limits, Table
from newbie_core.sheets.additions import AddedCell, AddedColumn, Addition, Link, Thumbnail, add_columns
from newbie_core.sheets.columns import ADDED_PREFIX
from newbie_core.sheets.kinds import TEXT_SUFFIXES, WORKBOOK_SUFFIXES

_WIDTHS: Mapping[str, float] = {
    "status": 44,
    "version": 10,
    "seed": 13,
    "picture": (SIDE + 9) / 7,
    "link": 24,
}
_SAFE = "/-._~()!$&'*+,;=:@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writeback:
    """What is asked for.

    Attributes:
        to: the copy; a folder where the catalog is a folder of CSV files.
        has_thumbnails: whether small pictures are put into workbooks.
        links: what links begin with instead of the way to the store's view: an address of a server.
        replace: whether an earlier copy may be replaced.
    """

    to: Path
    has_thumbnails: bool = True
    links: str | None = None
    replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBack:
    """What was written: rows by the first words of their status, how many of them are rejected, pictures shown, bytes."""

    files: Sequence[Path]
    rows: Mapping[str, int]
    rejected: int
    thumbnails: int
    thumbnail_bytes: int
    bytes: int
    notes: Sequence[str]


def write_back(
    catalog: Catalog,
    shelf: Shelf,
    root: Path,
    release: Release | None,
    wish: Writeback,
    *,
    memo: Memo | None = None,
) -> WrittenBack:
    """Write the copy.

    Args:
        root: the store's folder, whose views the links lead to.
        release: the version rows are told about; None where nothing is released yet.
        memo: where thumbnails are remembered.

    Raises:
        DeliveryError: the place is the source, an input, in the store, or taken.
        SheetError: the source cannot be used, or has no room for the columns.
        StoreError: the copy cannot be written.
    """
    sources = _sources(catalog)
    _check_place(catalog, sources, root, wish)
    states = row_states(catalog, shelf, release, memo=memo)
    shown = _first_entries(states) if wish.has_thumbnails and not _is_text(sources) else []
    small, notes = thumbnails(shelf.store, shown, memo)
    addresses = _Addresses(shelf, root, release, wish)
    copies = [(file, _copy_of(catalog, file, states, small, addresses)) for file in sources]
    files = _write(copies, sources, wish)
    counts = Counter(state.kind for rows in states.values() for state in rows.values())
    return WrittenBack(
        files=files,
        rows=dict(sorted(counts.items())),
        rejected=sum(state.is_rejected for rows in states.values() for state in rows.values()),
        thumbnails=len(small),
        thumbnail_bytes=sum(len(one.data) for one in small.values()),
        bytes=sum(len(data) for _, data in copies),
        notes=notes,
    )


def _sources(catalog: Catalog) -> list[Path]:
    """The files that hold the catalog's tables."""
    if catalog.path.is_file():
        return [catalog.path]
    return [catalog.path / name for name in catalog.files]


def _is_text(sources: Sequence[Path]) -> bool:
    return sources[0].suffix.lower() in TEXT_SUFFIXES


def _check_place(catalog: Catalog, sources: Sequence[Path], root: Path, wish: Writeback) -> None:
    to = wish.to
    resolved = to.resolve()
    if any(resolved == source.resolve() or (to.exists() and to.samefile(source)) for source in sources):
        _refuse(f"{to}: is the source itself, which is never written; name a new file", "E_WRITEBACK_SOURCE")
    if catalog.path.is_dir() and resolved.is_relative_to(catalog.path.resolve()):
        _refuse(
            f"{to}: stands in the catalog's folder, where it would be read as input; name another folder",
            "E_WRITEBACK_PLACE",
        )
    if resolved.is_relative_to(root.resolve()):
        _refuse(f"{to}: stands in the store; name a file outside it", "E_WRITEBACK_PLACE")
    if catalog.path.is_dir() and _is_text(sources):
        wanted: tuple[str, ...] = ("",)
    else:
        wanted = (sources[0].suffix.lower(),)
    if to.suffix.lower() not in wanted and (
        wanted != ("",) or to.suffix.lower() in (*TEXT_SUFFIXES, *WORKBOOK_SUFFIXES)
    ):
        what = f"a file that ends in {wanted[0]}" if wanted[0] else "a new folder for the CSV files"
        _refuse(f"{to}: the copy is of the kind of its source; name {what}", "E_WRITEBACK_KIND")
    if to.is_symlink() or (to.exists() and not (wish.replace and to.is_file())):
        hint = (
            "--replace writes over an earlier copy, or name a new file"
            if to.is_file()
            else "name a new place"
        )
        _refuse(f"{to}: exists already; {hint}", "E_WRITEBACK_EXISTS")


def _refuse(text: str, code: str) -> None:
    raise DeliveryError(text, code=code)


def _first_entries(states: Mapping[str, Mapping[int, RowState]]) -> list[Entry]:
    return [state.entries[0] for rows in states.values() for state in rows.values() if state.entries]


class _Addresses:
    """Where links lead: into the view of a version, or below an address of a server."""

    def __init__(self, shelf: Shelf, root: Path, release: Release | None, wish: Writeback) -> None:
        self._paths: Mapping[str, str] = {}
        self._base = ""
        if release is None:
            return
        self._paths = picture_paths(entry.id for entry in release.content.entries)
        view = view_folder(root, shelf.set, release.ref.name)
        if wish.links is not None:
            self._base = wish.links.rstrip("/") + "/"
            return
        if not view.is_dir():
            rebuild_view(shelf, root, release.ref)
        folder = wish.to.resolve().parent if wish.to.suffix else wish.to.resolve()
        self._base = quote(Path(os.path.relpath(view.resolve(), folder)).as_posix(), safe=_SAFE) + "/"

    def link(self, entries: Sequence[Entry]) -> tuple[str, Link] | None:
        """What the cell says and where it leads."""
        if not entries or not self._base:
            return None
        paths = [f"pictures/{self._paths[entry.id]}" for entry in entries]
        if len(entries) == 1:
            return entries[0].id, self._to(paths[0], entries[0].id)
        folders = {path.rpartition("/")[0] for path in paths}
        target = f"{folders.pop()}/" if len(folders) == 1 else "contact-sheet.png"
        return f"{len(entries)} pictures", self._to(target, f"{len(entries)} pictures")

    def _to(self, path: str, tip: str) -> Link:
        return Link(target=self._base + quote(path, safe=_SAFE), tip=tip)


def _copy_of(
    catalog: Catalog,
    file: Path,
    states: Mapping[str, Mapping[int, RowState]],
    small: Mapping[str, Small],
    addresses: _Addresses,
) -> bytes:
    additions: dict[str, Addition] = {}
    for name, table in catalog.tables.items():
        if table.file == file.name or len(catalog.files) == 1:
            additions.setdefault(table.name, _addition(table, states[name], small, addresses))
    wanted = catalog.settings.limits
    return add_columns(
        file,
        list(additions.values()),
        digest=catalog.files[file.name],
        pictures={key: one.data for key, one in small.items()},
        limits=Limits(rows=wanted.rows, csv_rows=wanted.rows, columns=wanted.columns),
        encoding=catalog.settings.encoding,
    )


def _addition(
    table: Table, states: Mapping[int, RowState], small: Mapping[str, Small], addresses: _Addresses
) -> Addition:
    has_pictures = any(state.entries for state in states.values())
    cells: dict[str, dict[int, AddedCell]] = {
        name: {} for name in ("status", "version", "seed", "picture", "link")
    }
    for number, state in states.items():
        cells["status"][number] = AddedCell(value=state.status)
        cells["version"][number] = AddedCell(value=state.version)
        cells["seed"][number] = AddedCell(value=state.seed)
        first = state.entries[0] if state.entries else None
        if first is not None and (one := small.get(first.object)) is not None:
            seen = Thumbnail(key=first.object, width=one.width, height=one.height, text=first.id)
            cells["picture"][number] = AddedCell(picture=seen)
        if (found := addresses.link(state.entries)) is not None:
            cells["link"][number] = AddedCell(value=found[0], link=found[1])
    wanted = [
        name
        for name in cells
        if cells[name] and (name != "picture" or small) and (has_pictures or name == "status")
    ]
    names = [*wanted, *(name for name in table.added if name in cells and name not in wanted)]
    return Addition(
        sheet=table.name,
        header_row=table.header_row,
        columns=[
            AddedColumn(
                heading=f"{ADDED_PREFIX} {name}",
                width=_WIDTHS[name],
                place=table.added[name].index if name in table.added else None,
                cells=cells[name],
            )
            for name in names
        ],
    )


def _write(copies: Sequence[tuple[Path, bytes]], sources: Sequence[Path], wish: Writeback) -> list[Path]:
    if wish.to.suffix:
        ((_, data),) = copies
        write_file(wish.to, data, replace=wish.replace)
        return [wish.to]
    with new_place(wish.to, packed=False) as place:
        for file, data in copies:
            place.write(file.name, data)
    return [wish.to / file.name for file in sources]
