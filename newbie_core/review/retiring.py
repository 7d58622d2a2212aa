"""Retire pictures, characters or a whole set: the next release is made without them, and nothing is deleted.

What is retired is a picture's id, a row's id or a glob, so that later pictures of a retired character stay
out too. `decisions/<set>/retired/journal.jsonl` is only added to; the last line about a pattern counts::

    {"pattern": "aria", "retired": true, "by": "mia", "at": "2026-03-02T…", "note": "season over", "version": "r000004"}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field

from newbie_core.errors import DamageError
from newbie_core.plans import matches_retired
from newbie_core.releases import Shelf
from newbie_core.review.deciding import Refusal
from newbie_core.spelling import nearest
from newbie_core.store import Store

_RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """One pattern that was retired, or brought back where `retired` is False; `version` counted then."""

    pattern: str
    retired: bool
    by: str
    at: str
    note: str
    version: str | None

    def __str__(self) -> str:
        since = f" after {self.version}" if self.version else ""
        note = f' ("{self.note}")' if self.note else ""
        return f"retired{since} by {self.by}{note}"


@dataclass(slots=True, kw_only=True)
class Changed:
    """What came of patterns: those that changed, stood already, or were refused."""

    taken: list[Retirement] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def read_retired(store: Store, set_name: str) -> dict[str, Retirement]:
    """What is retired now, by pattern.

    Raises:
        DamageError: a line is damaged, so nobody can say what is retired.
    """
    journal = store.decision_notes(set_name, _RETIRED)
    records, damaged = journal.read()
    if damaged:
        raise DamageError(
            f"{journal.name}: line {damaged[0]} is damaged, so nobody can say what is retired. Restore the file "
            "from a copy, or let `newbie verify --repair` keep the other lines",
            code="E_DECISIONS_DAMAGED",
        )
    standing: dict[str, Retirement] = {}
    for record in records:
        change = Retirement(**record)
        standing.pop(change.pattern, None)
        if change.retired:
            standing[change.pattern] = change
    return standing


def reasons(retired: Mapping[str, Retirement]) -> dict[str, str]:
    """Why each pattern is retired, as planning tells it."""
    return {pattern: str(retirement) for pattern, retirement in retired.items()}


def retire(
    shelf: Shelf, patterns: Iterable[str], known: Collection[str], *, by: str, at: str, note: str
) -> Changed:
    """Retire each pattern; the caller holds `Store.deciding`.

    Args:
        known: the ids of the pictures there are; a pattern that means none of them is refused.
    """
    standing, changed = read_retired(shelf.store, shelf.set), Changed()
    current = shelf.current()
    for pattern in dict.fromkeys(patterns):
        if pattern in standing:
            changed.already.append(pattern)
        elif any(matches_retired(pattern, one) for one in known):
            version = current.name if current else None
            changed.taken.append(
                Retirement(pattern=pattern, retired=True, by=by, at=at, note=note, version=version)
            )
        else:
            parts = {part for one in known for part in one.partition("#")[0].split("/")}
            near = nearest(pattern, [*known, *parts])
            hint = f'did you mean "{near}"?' if near else "`newbie show CATALOG --json` lists the ids"
            changed.refused.append(_refusal(pattern, "retire", f"no picture and no row has this id; {hint}"))
    _write(shelf, changed)
    return changed


def bring_back(shelf: Shelf, patterns: Iterable[str], *, by: str, at: str, note: str) -> Changed:
    """Let retired patterns count again; the caller holds `Store.deciding`."""
    standing, changed = read_retired(shelf.store, shelf.set), Changed()
    current = shelf.current()
    for pattern in dict.fromkeys(patterns):
        if pattern in standing:
            version = current.name if current else None
            changed.taken.append(
                Retirement(pattern=pattern, retired=False, by=by, at=at, note=note, version=version)
            )
        else:
            listed = ", ".join(f'"{one}"' for one in standing) or "nothing"
            changed.refused.append(_refusal(pattern, "bring back", f"is not retired; retired: {listed}"))
    _write(shelf, changed)
    return changed


def _write(shelf: Shelf, changed: Changed) -> None:
    if changed.taken:
        journal = shelf.store.decision_notes(shelf.set, _RETIRED)
        journal.append(*(asdict(one) for one in changed.taken))


def _refusal(pattern: str, doing: str, reason: str) -> Refusal:
    return Refusal(id=pattern, decision=doing, code="E_RETIRE", reason=reason)
