"""What people decided, as planning obeys it: pictures that are pinned, seeds that are not used again.

A picture whose seed was rejected takes the first rung of its ladder that was not: rung 0 is the seed
it would have anyway (the sheet's, or the one from who it is), rung n comes from set, picture id and n.
So equal decisions give equal seeds, whatever machine, night or order of the sheet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import count

from newbie_core.plans.previous import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A released picture that stays as it is; `why` says since when and by whom."""

    key: str
    prompt: str
    seed: int
    width: int
    height: int
    recipe: Recipe
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRule:
    """What was decided about one picture's seeds.

    Attributes:
        rejected: seeds that are never used again for this picture.
        chosen: the seed somebody chose among candidates.
        why: who decided last, and about which version.
    """

    rejected: frozenset[int] = frozenset()
    chosen: int | None = None
    why: str = ""

    def seed(self, set_name: str, picture_id: str, own: int) -> int:
        """The seed to use where `own` would be used without any decision."""
        if self.chosen is not None and self.chosen not in self.rejected:
            return self.chosen
        return next(ladder(set_name, picture_id, own, self.rejected))


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """The decisions in force, by picture id; a picture in neither is planned as if nobody had decided.

    `retired` gives what is left out (ids of pictures or rows, or globs), each with its reason.
    """

    pins: Mapping[str, Pin] = field(default_factory=dict)
    seeds: Mapping[str, SeedRule] = field(default_factory=dict)
    retired: Mapping[str, str] = field(default_factory=dict)

    def why_retired(self, picture_id: str) -> str | None:
        """Why the picture is left out; None where nobody retired it."""
        return next((why for one, why in self.retired.items() if matches_retired(one, picture_id)), None)


def matches_retired(pattern: str, picture_id: str) -> bool:
    """Whether a picture is meant: by its id, with its copies or without, by a row's id, or by a glob."""
    base = picture_id.partition("#")[0]
    return pattern in base.split("/") or fnmatchcase(base, pattern) or fnmatchcase(picture_id, pattern)


def ladder_seed(set_name: str, picture_id: str, rung: int) -> int:
    """The seed of a rung above 0: 32 bits of a sha256, like `derive_seed`."""
    text = f"{set_name}\0{picture_id}\0rung {rung}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def ladder(set_name: str, picture_id: str, own: int, rejected: Collection[int]) -> Iterator[int]:
    """The picture's seeds in their order, without those that were rejected; it does not end."""
    given: set[int] = set()
    for rung in count():
        seed = ladder_seed(set_name, picture_id, rung) if rung else own
        if seed not in rejected and seed not in given:
            given.add(seed)
            yield seed
