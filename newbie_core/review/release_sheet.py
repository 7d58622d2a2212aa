"""The contact sheet of a release: the matrix of a crossed set, or a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from newbie_core.images import decode, encode_png
from newbie_core.releases import Content, Entry
from newbie_core.store import Store

if TYPE_CHECKING:
    from PIL.Image import Image

    from newbie_core.review.contact_sheet import Cell

_COLUMNS_SHOWN = 16
_CELLS_SHOWN = 240


def release_sheet(
    store: Store,
    content: Content,
    *,
    order: Sequence[str],
    badges: Mapping[str, str],
    notes: Mapping[str, str],
) -> bytes:
    """The sheet as PNG bytes.

    Args:
        order: picture ids in the order of their sheet; others follow by id.
        badges: "new" or "changed" by picture id.
        notes: a word on a picture by id; an id without picture gets a hatched place with its note.
    """
    entries = {entry.id: entry for entry in content.entries}
    ids = dict.fromkeys([*(i for i in order if i in entries or i in notes), *entries, *notes])
    cells: list[tuple[str, Callable[[], Image] | Image | None]] = [
        (picture_id, _loader(store, entries[picture_id]) if picture_id in entries else None)
        for picture_id in ids
    ]
    page = sheet_of(
        cells,
        title=content.title or content.set,
        subtitle=f"engine {content.engine['engine']}",
        badges=badges,
        notes=notes,
    )
    return encode_png(page)


def sheet_of(
    pictures: Sequence[tuple[str, Callable[[], Image] | Image | None]],
    *,
    title: str,
    subtitle: str,
    badges: Mapping[str, str],
    notes: Mapping[str, str],
) -> Image:
    """A page of pictures by id: a matrix where the ids are `row/column`, else a grid, what is new first."""
    from newbie_core.review.contact_sheet import Cell, contact_sheet

    places = _matrix([picture_id for picture_id, _ in pictures])
    ordered = list(pictures)
    if places is None and len(ordered) > _CELLS_SHOWN:
        ordered.sort(key=lambda picture: picture[0] not in badges)

    def cell(picture_id: str, image: Callable[[], Image] | Image | None) -> Cell:
        row, column = places[picture_id] if places else (None, None)
        return Cell(
            id=picture_id,
            image=image,
            row=row,
            column=column,
            note=notes.get(picture_id, ""),
            badge=badges.get(picture_id, ""),
        )

    rows = list(dict.fromkeys(row for row, _ in places.values())) if places else None
    columns = list(dict.fromkeys(column for _, column in places.values())) if places else None
    return contact_sheet(
        [cell(picture_id, image) for picture_id, image in ordered],
        title=title,
        subtitle=subtitle,
        rows=rows,
        columns=columns,
        max_cells=_CELLS_SHOWN,
    )


def _matrix(ids: Sequence[str]) -> dict[str, tuple[str, str]] | None:
    """Row and column of each id; None when the ids make no readable matrix."""
    places = {}
    for picture_id in ids:
        row, _, column = picture_id.partition("/")
        if not column:
            return None
        places[picture_id] = (row, column)
    columns = {column for _, column in places.values()}
    rows = {row for row, _ in places.values()}
    if not places or len(columns) > _COLUMNS_SHOWN or len(rows) * len(columns) > 2 * len(places):
        return None
    return places


def _loader(store: Store, entry: Entry) -> Callable[[], Image]:
    return lambda: decode(store.get(entry.object))
