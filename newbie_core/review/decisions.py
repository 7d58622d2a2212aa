"""People's decisions as data: one line each, added at the end of a set's journal and never changed.

A line of `decisions/<set>/journal.jsonl` carries, behind its length and checksum, a record such as::

    {"at":"2026-03-02T08:15:00.000+00:00","by":"mia","decision":"reject","id":"aria/happy","key":"5f…",
     "note":"six fingers","object":"9b…","pixels":"c4…","seed":1234,"set":"cast","size":40960,
     "version":"r000002","digest":"0e…"}

`digest` is the sha256 of the rest of the record: it names the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from newbie_core.digests import digest_value
from newbie_core.errors import DamageError
from newbie_core.plans import Recipe
from newbie_core.releases import Entry
from newbie_core.store import Store

DecisionKind = Literal["approve", "reject", "pin", "unpin", "reroll", "choose", "clear"]
KINDS: tuple[DecisionKind, ...] = get_args(DecisionKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The very picture that was decided about, with all that is needed to show or release it again."""

    key: str
    pixels: str
    seed: int
    object: str
    size: int
    prompt: str
    width: int
    height: int
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What somebody decided about one picture of one version.

    Attributes:
        version: a release's name, or "proposal".
        at: when, as ISO 8601 text.
        seeds: of a reroll, the seeds to make side by side.
    """

    set: str
    id: str
    version: str
    decision: DecisionKind
    note: str
    by: str
    at: str
    about: About
    seeds: tuple[int, ...] = ()

    def record(self) -> dict[str, Any]:
        """The decision as its journal keeps it and programs read it."""
        record: dict[str, Any] = {
            "set": self.set,
            "id": self.id,
            "version": self.version,
            "decision": self.decision,
            "note": self.note,
            "by": self.by,
            "at": self.at,
            "seeds": list(self.seeds),
            **asdict(self.about),
        }
        return {**record, "digest": digest_value(record)}

    def __str__(self) -> str:
        return f"{_PAST[self.decision]} in {self.version} by {self.by}"


_PAST: Mapping[DecisionKind, str] = {
    "approve": "approved",
    "reject": "rejected",
    "pin": "pinned",
    "unpin": "unpinned",
    "reroll": "rerolled",
    "choose": "chosen",
    "clear": "cleared",
}
_ABOUT = ("key", "pixels", "seed", "object", "size", "prompt", "width", "height")


def about_entry(entry: Entry, recipe: Recipe) -> About:
    """The picture of a release's or proposal's entry."""
    return About(recipe=recipe, **{name: getattr(entry, name) for name in _ABOUT})


def read_decision(record: Mapping[str, Any]) -> Decision:
    """The decision in a journal's record.

    Raises:
        DamageError: the record is not what its digest says.
    """
    rest = {name: value for name, value in record.items() if name != "digest"}
    if record.get("digest") != digest_value(rest):
        raise DamageError("the record does not match its digest")
    about = About(recipe=Recipe(**rest["recipe"]), **{name: rest[name] for name in _ABOUT})
    names = ("set", "id", "version", "decision", "note", "by", "at")
    return Decision(about=about, seeds=tuple(rest["seeds"]), **{name: rest[name] for name in names})


class DecisionLog:
    """The decisions about one set, oldest first; whoever adds to it holds `Store.deciding`."""

    def __init__(self, store: Store, set_name: str) -> None:
        self._journal = store.decisions(set_name)

    def read(self) -> tuple[list[Decision], list[str]]:
        """Every decision, and notes on what was passed over: a last line that was never finished.

        Raises:
            DamageError: a line is damaged, so nobody can say what was decided.
        """
        records, damaged = self._journal.read()
        decisions = []
        if not damaged:
            for number, record in enumerate(records, start=1):
                try:
                    decisions.append(read_decision(record))
                except (DamageError, KeyError, TypeError):
                    damaged.append(number)
        if damaged:
            lines = ", ".join(map(str, damaged[:10]))
            raise DamageError(
                f"{self._journal.name}: line {lines} is damaged, so nobody can say what was decided there. "
                "Restore the file from a copy, or let `newbie verify --repair` put the damaged lines away "
                "and keep the others",
                code="E_DECISIONS_DAMAGED",
            )
        return decisions, self._torn()

    def append(self, decisions: Iterable[Decision]) -> None:
        """Add decisions at the end; durable when it returns."""
        if records := [decision.record() for decision in decisions]:
            self._journal.append(*records)

    def _torn(self) -> list[str]:
        if not (tail := self._journal.torn_end()):
            return []
        return [
            f"{self._journal.name}: its last line was cut off after {len(tail)} bytes while it was written, and is "
            "passed over; decide that once more"
        ]
