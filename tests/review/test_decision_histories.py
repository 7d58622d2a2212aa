"""Long random histories of runs, edits, decisions, retirements, rollbacks and collections: nothing is lost."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newbie_core.releases import collect, read_proposal, verify
from newbie_core.review.candidates import wanted_candidates
from newbie_core.review.deciding import Desk, Request
from newbie_core.review.decisions import Decision
from newbie_core.review.retiring import bring_back, read_retired, retire
from newbie_core.store import Store
from tests.catalogs.building import make_catalog, set_cell
from tests.releases.building import root_of, run, shelf_of

IDS = ("aria/happy", "aria/sad")
HAIR = ("silver_hair", "blue_hair", "red_hair")
RETIRED = ("aria/happy", "sad", "aria", "*/h*")
KINDS = ("approve", "reject", "reject", "pin", "unpin", "reroll", "clear")

steps = st.one_of(
    st.tuples(st.just("run"), st.booleans()),
    st.tuples(st.just("edit"), st.sampled_from(HAIR)),
    st.tuples(st.just("decide"), st.sampled_from(KINDS), st.sampled_from(IDS)),
    st.tuples(st.just("decide"), st.sampled_from(KINDS), st.sampled_from(IDS)),
    st.tuples(st.just("choose"), st.sampled_from(IDS), st.integers(1, 2)),
    st.tuples(st.just("rollback"), st.integers(0, 9)),
    st.tuples(st.just("retire"), st.sampled_from(RETIRED), st.booleans()),
    st.just(("collect",)),
)


class Night:
    """A catalog of two pictures in a real store, and beside it what must hold, kept by plain means."""

    def __init__(self, folder: Path) -> None:
        self.catalog, self.store = folder / "cast", Store.open(folder / "store", durable=False)
        self.shelf = shelf_of(self.store)
        self.pinned: dict[str, str] = {}
        self.rejected: dict[str, set[int]] = {picture_id: set() for picture_id in IDS}
        self.released: dict[str, list] = {}
        self.decided: list[Decision] = []
        self.retired: set[str] = set()

    def run(self, approval: bool) -> None:
        report = run(self.catalog, self.store, require_approval=approval)
        if not report.is_new:
            return
        entries = self.shelf.read(self.shelf.current()).content.entries
        self.released[report.release] = list(entries)
        assert {entry.id for entry in entries} == {i for i in IDS if not self.is_retired(i)}
        for entry in entries:
            assert entry.seed not in self.rejected[entry.id]
            assert entry.pixels == self.pinned.get(entry.id, entry.pixels)

    def retire(self, pattern: str, undo: bool) -> None:
        usual = {"by": "mia", "at": "2026-03-02T08:15:00+00:00", "note": ""}
        with self.store.deciding("cast"):
            if undo:
                changed = bring_back(self.shelf, [pattern], **usual)
                self.retired -= {one.pattern for one in changed.taken}
            else:
                changed = retire(self.shelf, [pattern], Desk(self.shelf).ids(None), **usual)
                self.retired |= {one.pattern for one in changed.taken}
        assert set(read_retired(self.store, "cast")) == self.retired

    def is_retired(self, picture_id: str) -> bool:
        by_row = {"aria": IDS, "sad": IDS[1:], "*/h*": IDS[:1], "aria/happy": IDS[:1]}
        return any(picture_id in by_row[pattern] for pattern in self.retired)

    def edit(self, hair: str) -> None:
        set_cell(self.catalog, "characters", "aria", "appearance", hair)

    def decide(self, kind: str, picture_id: str, number: int = 2) -> None:
        request = Request(
            id=picture_id, decision=kind, number=number, by="mia", at="2026-03-02T08:15:00+00:00"
        )
        with self.store.deciding("cast"):
            taken = Desk(self.shelf).decide([request]).decisions
        for decision in taken:
            self.decided.append(decision)
            self._note(decision)

    def _note(self, decision: Decision) -> None:
        seen, about = self.rejected[decision.id], decision.about
        if decision.decision in ("approve", "pin", "choose"):
            seen.discard(about.seed)
        if decision.decision in ("reject", "reroll"):
            seen.add(about.seed)
        if decision.decision == "pin":
            self.pinned[decision.id] = about.pixels
        if decision.decision in ("unpin", "clear"):
            self.pinned.pop(decision.id, None)
        if decision.decision == "clear":
            seen.clear()

    def choose(self, picture_id: str, number: int) -> None:
        self.decide("choose", picture_id, number)

    def rollback(self, number: int) -> None:
        if names := self.shelf.names():
            self.shelf.point(self.shelf.ref(names[number % len(names)]))

    def collect(self) -> None:
        collect(self.store, root_of(self.store), apply=True, keep_days=0, candidates=wanted_candidates)

    def current(self) -> list:
        return list(self.shelf.read(self.shelf.current()).content.entries)

    def check(self) -> None:
        assert verify(self.store, root_of(self.store)).damaged == []
        for name, entries in self.released.items():
            assert list(self.shelf.read(self.shelf.ref(name)).content.entries) == entries
        for decision in self.decided:
            self.store.get(decision.about.object)
        if proposal := read_proposal(self.shelf):
            for entry in proposal.content.entries:
                self.store.get(entry.object)


@pytest.fixture(scope="module")
def pattern(tmp_path_factory) -> Path:
    """A folder whose store has read every state of the catalog, so that a history starts no child process."""
    folder = tmp_path_factory.mktemp("pattern")
    characters = "id,name,gender,appearance\naria,Aria,1girl,silver_hair\n"
    catalog = make_catalog(
        folder / "cast", characters=characters, expressions="id,expression\nhappy,smile\nsad,frown\n"
    )
    with Store.open(folder / "other", durable=False) as store:
        for hair in (*HAIR[1:], HAIR[0]):
            set_cell(catalog, "characters", "aria", "appearance", hair)
            run(catalog, store)
    with Store.open(folder / "store", durable=False):
        shutil.copytree(folder / "other" / "memo", folder / "store" / "memo", dirs_exist_ok=True)
    (folder / "store" / "memo" / "tokens").unlink()
    shutil.rmtree(folder / "other")
    return folder


def live_through(pattern: Path, history: list[tuple]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "night"
        shutil.copytree(pattern, folder)
        night = Night(folder)
        with night.store:
            night.run(False)
            for name, *given_ in history:
                getattr(night, name)(*given_)
            night.run(False)
            night.collect()
            night.check()
            for pattern in list(night.retired):
                night.retire(pattern, True)
            run(night.catalog, night.store, republish=True)
            assert {entry.id for entry in night.current()} == set(IDS)


def always(examples: int):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


@always(5)
@given(history=st.lists(steps, min_size=4, max_size=10))
def test_no_history_loses_a_picture_or_brings_back_a_rejected_seed(pattern, history):
    live_through(pattern, history)


@pytest.mark.campaign
@always(400)
@given(history=st.lists(steps, min_size=10, max_size=60))
def test_no_long_history_loses_a_picture_or_brings_back_a_rejected_seed(pattern, history):
    live_through(pattern, history)
