"""Candidates: the pictures of a reroll, made side by side and kept until somebody chooses one.

They stand in `decisions/<set>/candidates/journal.jsonl`, one line each. When the reroll is closed, a collection may take
their pictures; one that is gone counts as not made.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from newbie_core.plans import Recipe
from newbie_core.releases import CANDIDATES, build_view, picture_path, view_folder
from newbie_core.review.decisions import About, DecisionLog
from newbie_core.review.standing import Standing, standing_of
from newbie_core.store import Journal, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One picture of an open reroll; `about` is None while it is not made. `number` counts from 1."""

    id: str
    number: int
    seed: int
    about: About | None

    def record(self) -> dict[str, Any]:
        """The candidate as programs read it."""
        about = self.about
        return {
            "id": self.id,
            "number": self.number,
            "seed": self.seed,
            "made": about is not None,
            "key": about.key if about else None,
            "pixels": about.pixels if about else None,
            "object": about.object if about else None,
        }


def made_candidates(journal: Journal) -> dict[tuple[str, int], About]:
    """The candidates that were made, by picture id and seed; the last of each counts. Damaged lines are left out."""
    records, _ = journal.read()
    return {(record["id"], record["seed"]): _about(record) for record in records}


def keep_candidates(journal: Journal, made: Iterable[tuple[str, About]]) -> None:
    """Write down candidates that were made and are not known yet; the caller holds `Store.deciding`."""
    known = made_candidates(journal)
    new = [(picture_id, about) for picture_id, about in made if known.get((picture_id, about.seed)) != about]
    if new:
        journal.append(*({"id": picture_id, **asdict(about)} for picture_id, about in new))


def open_candidates(store: Store, set_name: str, standing: Standing) -> list[Candidate]:
    """The candidates of every open reroll, without those whose seed was rejected since; numbers stay.

    One whose picture is not in the store is not made.
    """
    made = made_candidates(store.candidates(set_name))
    there = {key: about for key, about in made.items() if key[0] in standing.open and store.has(about.object)}
    return [
        Candidate(id=picture_id, number=number, seed=seed, about=there.get((picture_id, seed)))
        for picture_id, reroll in sorted(standing.open.items())
        for number, seed in enumerate(reroll.seeds, start=1)
        if seed not in standing.rejected.get(picture_id, ())
    ]


def wanted_candidates(store: Store, set_name: str) -> set[str]:
    """The objects of candidates that may still be chosen; a collection keeps them.

    Raises:
        DamageError: the decisions are damaged, so nobody can say which rerolls are open.
    """
    decisions, _ = DecisionLog(store, set_name).read()
    listed = open_candidates(store, set_name, standing_of(decisions))
    return {candidate.about.object for candidate in listed if candidate.about is not None}


def candidate_file(root: Path, set_name: str, candidate: Candidate) -> Path:
    """Where `show_candidates` puts a candidate's picture."""
    return candidates_folder(root, set_name) / _file_name(candidate)


def candidates_folder(root: Path, set_name: str) -> Path:
    """The folder of a set's candidates, beside the views of its versions."""
    return view_folder(root, set_name, CANDIDATES)


def show_candidates(store: Store, root: Path, set_name: str, listed: Iterable[Candidate]) -> None:
    """Make the folder with the candidates' pictures anew; without any candidate, take it away."""
    files = {_file_name(c): c.about.object for c in listed if c.about is not None}
    folder = candidates_folder(root, set_name)
    if files:
        build_view(store, folder, (), files)
    elif folder.is_dir() and not (folder.is_symlink() or folder.parent.is_symlink()):
        shutil.rmtree(folder)


def _file_name(candidate: Candidate) -> str:
    return f"{picture_path(candidate.id).removesuffix('.png')}--candidate-{candidate.number}.png"


def _about(record: Mapping[str, Any]) -> About:
    rest = {name: value for name, value in record.items() if name not in ("id", "recipe")}
    return About(recipe=Recipe(**record["recipe"]), **rest)
