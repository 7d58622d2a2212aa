"""What the page's script reads: one JSON object, every text of it untrusted and shown as text only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from newbie_core.releases import Entry, picture_paths
from newbie_core.review.decisions import Decision
from newbie_core.review.page.subject import Subject
from newbie_core.review.page.thumbnails import Thumbnail, Thumbnails

FORMAT = 1
_COLUMNS_SHOWN = 60
"""So many columns of a matrix can be read; beyond, the pictures flow."""
_DECISIONS_SHOWN = 20
_SHORT = 12

WORDS_FILE = Path(__file__).with_name("words.json")


@dataclass(slots=True)
class _Table:
    """Values that many pictures share, written once."""

    rows: list[Any] = field(default_factory=list)
    _known: dict[Any, int] = field(default_factory=dict)

    def index(self, value: Any) -> int:
        if value not in self._known:
            self._known[value] = len(self.rows)
            self.rows.append(value)
        return self._known[value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the page finds files, relative to itself, by picture id; candidates by id and number."""

    pictures: Mapping[str, str]
    before: Mapping[str, str]
    candidates: Mapping[tuple[str, int], str]


def shown_before(subject: Subject) -> dict[str, Entry]:
    """The pictures as they were, of those that were changed or removed, by id."""
    return {
        picture_id: subject.before[picture_id]
        for picture_id, difference in subject.differences.items()
        if difference.kind != "added" and picture_id in subject.before
    }


def usual_places(subject: Subject) -> Places:
    """The files of a page that carries its pictures."""
    now = picture_paths(entry.id for entry in subject.content.entries)
    was = picture_paths(shown_before(subject))
    further = {
        (picture_id, number): f"candidates/{now[picture_id].removesuffix('.png')}--{number}.png"
        for picture_id, found in subject.candidates.items()
        for number in found
    }
    return Places(
        pictures={picture_id: f"pictures/{path}" for picture_id, path in now.items()},
        before={picture_id: f"before/{path}" for picture_id, path in was.items()},
        candidates=further,
    )


def page_data(subject: Subject, places: Places, thumbnails: Thumbnails, *, post: str) -> dict[str, Any]:
    """Everything the script needs to know; the layout is that of `FORMAT`."""
    prompts, causes = _Table(), _Table()
    teller = _Teller(subject, places, thumbnails, prompts, causes)
    content = subject.content
    pictures = [teller.picture(entry) for entry in content.entries]
    pictures += [
        teller.absent(picture_id, "failed") for picture_id in content.failed if not teller.has(picture_id)
    ]
    removed = [
        d.id for d in subject.differences.values() if d.kind == "removed" and d.id not in content.failed
    ]
    pictures += [teller.absent(picture_id, "removed") for picture_id in removed]
    rank = sheet_rank(subject.order)
    pictures.sort(key=lambda picture: rank(picture["id"]))
    return {
        "format": FORMAT,
        "set": subject.set,
        "title": content.title or subject.set,
        "version": subject.version,
        "digest": subject.digest,
        "isProposal": subject.is_proposal,
        "parent": subject.parent,
        "made": subject.made,
        "engine": content.engine.get("engine", ""),
        "columns": sorted({picture["column"] for picture in pictures}, key=lambda column: rank(f"/{column}")),
        "isMatrix": is_matrix([picture["id"] for picture in pictures]),
        "names": dict(subject.names),
        "recipes": {
            short: {"steps": recipe.steps, "guidance": recipe.guidance, "negative": recipe.negative}
            for short, recipe in subject.recipes.items()
        },
        "prompts": prompts.rows,
        "causes": causes.rows,
        "pictures": pictures,
        "notes": list(subject.notes),
        "post": post,
        "words": words(),
    }


def words() -> dict[str, dict[str, str]]:
    """What the page itself says, by language and key."""
    found: dict[str, dict[str, str]] = orjson.loads(WORDS_FILE.read_bytes())
    return found


def place_in_matrix(picture_id: str) -> tuple[str, str]:
    """Row and column of a picture: the first part of its id, and the rest."""
    row, _, column = picture_id.partition("/")
    return row, column


def sheet_rank(order: Sequence[Sequence[str]]) -> Callable[[str], tuple[Any, ...]]:
    """What sorts picture ids as the sheets' rows stand; rows that are in no sheet follow by their ids.

    Args:
        order: for each part of the ids, its rows in their sheet's order.
    """
    places = [{row_id: at for at, row_id in enumerate(rows)} for rows in order]

    def rank(picture_id: str) -> tuple[Any, ...]:
        base, _, copy = picture_id.partition("#")
        parts = base.split("/")
        known = places if len(parts) == len(places) else [{}] * len(parts)
        at = [(rows.get(part, len(rows)), part) for rows, part in zip(known, parts, strict=True)]
        return (*at, (int(copy) if copy.isdecimal() else 0, copy))

    return rank


def is_matrix(ids: Sequence[str]) -> bool:
    """Whether rows and columns make a table that can be read: few columns, and most places taken."""
    places = [place_in_matrix(picture_id) for picture_id in ids]
    rows, columns = {row for row, _ in places}, {column for _, column in places}
    return (
        bool(places)
        and "" not in columns
        and len(columns) <= _COLUMNS_SHOWN
        and len(rows) * len(columns) <= 2 * len(places)
    )


def embedded(data: Mapping[str, Any]) -> str:
    """The data as JSON that can stand in a script element: nothing in it ends the element or a line."""
    text = orjson.dumps(data).decode()
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


class _Teller:
    """Tells of one picture after the other."""

    def __init__(
        self, subject: Subject, places: Places, thumbnails: Thumbnails, prompts: _Table, causes: _Table
    ) -> None:
        self._subject = subject
        self._places = places
        self._thumbnails = thumbnails
        self._prompts = prompts
        self._causes = causes
        self._now = {entry.id for entry in subject.content.entries}
        self._before = shown_before(subject)
        self._told = _causes_by_id(subject.explanation)
        self._history: dict[str, list[Decision]] = {}
        for decision in subject.decisions:
            self._history.setdefault(decision.id, []).append(decision)

    def has(self, picture_id: str) -> bool:
        """Whether there is a picture of this id."""
        return picture_id in self._now

    def picture(self, entry: Entry) -> dict[str, Any]:
        """A picture that is there."""
        subject, picture_id = self._subject, entry.id
        difference = subject.differences.get(picture_id)
        state = {"added": "new", "changed": "changed"}.get(difference.kind, "") if difference else ""
        record = self._usual(picture_id, state) | self._look(entry, self._places.pictures.get(picture_id, ""))
        record["bytes"] = entry.size
        if picture_id in subject.content.held:
            record["held"] = subject.content.held[picture_id]
        if difference is not None and difference.kind == "changed":
            record["parts"] = list(difference.parts)
        record["standing"] = self._standing(entry)
        if found := subject.candidates.get(picture_id):
            files = self._places.candidates
            record["candidates"] = [
                {"number": number, **self._look(one, files.get((picture_id, number), ""))}
                for number, one in found.items()
            ]
        return record

    def absent(self, picture_id: str, state: str) -> dict[str, Any]:
        """A picture that was removed, or could not be made."""
        return self._usual(picture_id, state)

    def _usual(self, picture_id: str, state: str) -> dict[str, Any]:
        row, column = place_in_matrix(picture_id)
        record: dict[str, Any] = {"id": picture_id, "row": row, "column": column, "state": state}
        if found := self._told.get(picture_id):
            record["causes"] = [self._causes.index(cause) for cause in found]
        if was := self._before.get(picture_id):
            record["before"] = self._look(was, self._places.before.get(picture_id, ""))
        if history := self._history.get(picture_id):
            record["history"] = [_told(decision) for decision in history[-_DECISIONS_SHOWN:]]
        return record

    def _look(self, entry: Entry, file: str) -> dict[str, Any]:
        """What one picture file is; `thumb` is missing where the file is damaged, and `problem` says why."""
        record: dict[str, Any] = {
            "file": file,
            "key": entry.key,
            "pixels": entry.pixels,
            "seed": entry.seed,
            "width": entry.width,
            "height": entry.height,
            "recipe": entry.recipe,
        }
        thumbnail = self._thumbnails.found.get(entry.object)
        if thumbnail is None:
            record["problem"] = self._thumbnails.problems.get(entry.object, "")
        else:
            record["thumb"] = thumbnail_path(entry.object, thumbnail)
            record["prompt"] = self._prompts.index(thumbnail.prompt)
        return record

    def _standing(self, entry: Entry) -> str:
        """What stands about these very pixels: the word of a decision, or "" where nobody decided."""
        standing, picture_id = self._subject.standing, entry.id
        pin = standing.pinned.get(picture_id)
        if pin is not None and pin.about.pixels == entry.pixels:
            return "pin"
        rejection = standing.rejected.get(picture_id, {}).get(entry.seed)
        if rejection is not None:
            return "reroll" if rejection.decision == "reroll" else "reject"
        if standing.is_approved(picture_id, entry.pixels):
            return "approve"
        choice = standing.chosen.get(picture_id)
        return "choose" if choice is not None and choice.about.seed != entry.seed else ""


def thumbnail_path(digest: str, thumbnail: Thumbnail) -> str:
    """Where the thumbnail of an object lies in the page's folder."""
    return f"thumbs/{digest[: 2 * _SHORT]}.{thumbnail.suffix}"


def _causes_by_id(explanation: Mapping[str, Any]) -> dict[str, list[tuple[str, ...]]]:
    """The causes of every picture that changed, was added, removed or pinned, as the run wrote them down."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for kind in ("change", "add", "remove", "pinned"):
        changes = explanation.get(kind)
        for change in changes if isinstance(changes, list) else ():
            told = [
                tuple(cause.get(part) for part in ("kind", "where", "from", "to"))
                for cause in change["causes"]
            ]
            found.setdefault(change["id"], []).extend(told)
    return found


def _told(decision: Decision) -> dict[str, Any]:
    record = {name: getattr(decision, name) for name in ("decision", "version", "by", "at", "note")}
    return {**record, "pixels": decision.about.pixels, "seed": decision.about.seed}


__all__ = ["Places", "embedded", "is_matrix", "page_data", "shown_before", "thumbnail_path", "usual_places"]
