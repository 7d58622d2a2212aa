"""A file of decisions, as a review page gives it to download: JSON, a list of objects::

    [{"id": "aria/happy", "version": "r000002", "decision": "reject", "note": "six fingers",
      "pixels": "c4…", "by": "mia", "at": "2026-03-02T08:15:00Z"}]

`id`, `version` and `decision` are needed, and `pixels` or `key` should say what was looked at; `choose` needs
`candidate`, the number of one of an open reroll. The list
may stand in an object: `{"set": "cast", "decisions": [...]}`. What is wrong with one entry spoils that entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import orjson

from newbie_core.errors import InputError
from newbie_core.review.deciding import REROLL_LIMIT, Refusal, Request
from newbie_core.review.decisions import KINDS, DecisionKind
from newbie_core.spelling import nearest

FILE_LIMIT = 64 << 20
NOTE_LIMIT = 2000
_FIELDS = ("id", "version", "decision", "note", "key", "pixels", "by", "at", "count", "candidate")
_LENGTHS: Mapping[str, int] = {"note": NOTE_LIMIT, "id": 1000}
_SHORT = 200


def read_requests(file: Path, *, set_name: str, by: str, at: str) -> tuple[list[Request], list[Refusal]]:
    """The requests of a file, and the entries that are none.

    Args:
        by: who decided, where an entry does not say.
        at: when, where an entry does not say.

    Raises:
        InputError: the file cannot be read, is no such JSON, or is about another set.
    """
    requests, refused = [], []
    usual = Request(id="", decision="clear", by=by, at=at)
    for number, row in enumerate(_rows(file, set_name), start=1):
        where = f"{file.name}, entry {number}"
        problem = _problem(row)
        if problem is None:
            requests.append(_request(row, replace(usual, where=where)))
        else:
            given = row if isinstance(row, dict) else {}
            refused.append(
                Refusal(
                    id=str(given.get("id", "?"))[:_SHORT],
                    decision=str(given.get("decision", "?"))[:_SHORT],
                    code="E_DECISION_FORM",
                    reason=problem,
                    where=where,
                )
            )
    return requests, refused


def text_problem(name: str, text: str) -> str | None:
    """Why a text cannot stand in a decision; None when it can."""
    limit = _LENGTHS.get(name, _SHORT)
    if len(text) > limit:
        return f'"{name}" has {len(text)} characters; {limit} at most'
    if any(not char.isprintable() and char not in "\n\t" for char in text):
        return f'"{name}" holds characters that cannot be shown; write plain text'
    return None


def _rows(file: Path, set_name: str) -> list[Any]:
    try:
        size = file.stat().st_size
        if size > FILE_LIMIT:
            raise InputError(f"{file}: {size} bytes; a file of decisions has {FILE_LIMIT} at most; split it")
        data = orjson.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}; name a file of decisions") from None
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"{file}: is no JSON ({error}); expected what a review page downloads: a list of decisions",
            code="E_DECISION_FORM",
        ) from None
    if isinstance(data, dict):
        if data.get("set", set_name) != set_name:
            raise InputError(
                f'{file}: is about the set {data["set"]!r}, not "{set_name}"; name that set',
                code="E_DECISION_SET",
            )
        data = data.get("decisions")
    if not isinstance(data, list):
        raise InputError(
            f'{file}: holds no list of decisions; expected [{{"id": …, "version": …, "decision": …}}]',
            code="E_DECISION_FORM",
        )
    return data


def _problem(row: Any) -> str | None:
    if not isinstance(row, dict):
        return "is no object with id, version and decision"
    for name, value in row.items():
        if name not in _FIELDS:
            near = nearest(name, _FIELDS)
            hint = f'did you mean "{near}"?' if near else f"known: {', '.join(_FIELDS)}"
            return f'"{name[:_SHORT]}" is no field of a decision; {hint}'
        if name in ("count", "candidate"):
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= REROLL_LIMIT:
                return f'"{name}" is no whole number from 1 to {REROLL_LIMIT}'
        elif value is not None and not isinstance(value, str):
            return f'"{name}" is no text'
        elif value is not None and (problem := text_problem(name, value)):
            return problem
    return _missing(row) or _wrong_kind(row.get("decision")) or _wrong_time(row.get("at"))


def _missing(row: Mapping[str, Any]) -> str | None:
    needed = ("id", "version", "decision", *(["candidate"] if row.get("decision") == "choose" else []))
    missing = [name for name in needed if not row.get(name)]
    return f"says no {' and no '.join(missing)}; add it" if missing else None


def _wrong_kind(kind: str | None) -> str | None:
    if kind in KINDS:
        return None
    near = nearest(kind or "", KINDS)
    return f'"{kind}" is no decision; ' + (
        f'did you mean "{near}"?' if near else f"known: {', '.join(KINDS)}"
    )


def _wrong_time(text: str | None) -> str | None:
    if not text:
        return None
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return f'"at": "{text}" is no time such as 2026-03-02T08:15:00Z'
    return None


def _request(row: Mapping[str, Any], usual: Request) -> Request:
    return replace(
        usual,
        id=row["id"],
        version=row["version"],
        decision=cast(DecisionKind, row["decision"]),
        note=row.get("note") or "",
        key=row.get("key") or None,
        pixels=row.get("pixels") or None,
        by=row.get("by") or usual.by,
        at=row.get("at") or usual.at,
        number=row.get("candidate" if row["decision"] == "choose" else "count") or usual.number,
    )
