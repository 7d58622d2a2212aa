"""Decisions about pictures of real releases: what is taken, what is refused, and what the next run makes of it."""

import json

import pytest

from newbie_core.errors import DamageError, InputError
from newbie_core.plans import PlanOptions, ladder
from newbie_core.plans.directions import SeedRule
from newbie_core.releases import collect, read_proposal, repair, verify, view_folder
from newbie_core.review.candidates import open_candidates, wanted_candidates
from newbie_core.review.deciding import Desk, Request, Taken
from newbie_core.review.decision_file import read_requests
from newbie_core.review.decisions import DecisionLog, read_decision
from newbie_core.review.standing import standing_of
from newbie_core.store import Store, object_name
from tests.catalogs.building import CHARACTERS, SMALL, make_catalog, set_cell
from tests.releases.building import root_of, run, shelf_of

AT = "2026-03-02T08:15:00+00:00"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store", durable=False) as made:
        yield made


@pytest.fixture
def catalog(tmp_path, store):
    """Two characters with two expressions, released once."""
    made = make_catalog(tmp_path / "cast")
    run(made, store)
    return made


def decide(store: Store, kind: str, *ids: str, **more) -> Taken:
    with store.deciding("cast"):
        desk = Desk(shelf_of(store))
        return desk.decide([Request(id=i, decision=kind, by="mia", at=AT, **more) for i in ids])


def entries(store: Store) -> dict:
    shelf = shelf_of(store)
    return {entry.id: entry for entry in shelf.read(shelf.current()).content.entries}


def journal_file(store: Store):
    return store.driver.local_path("decisions/cast/journal.jsonl")


def codes(taken: Taken) -> list[str]:
    return [refusal.code for refusal in taken.refused]


def explanation(store: Store) -> dict:
    shelf = shelf_of(store)
    return json.loads(store.get(shelf.read(shelf.current()).manifest.explanation))


# Rejecting


def test_a_rejected_picture_gets_the_next_seed_and_the_others_stay(catalog, store):
    before = entries(store)
    assert len(decide(store, "reject", "aria/happy", note="six fingers").decisions) == 1
    report = run(catalog, store)
    after = entries(store)
    assert (report.generated, report.is_new) == (1, True)
    own = before["aria/happy"].seed
    assert after["aria/happy"].seed == next(ladder("cast", "aria/happy", own, {own}))
    assert {i for i in after if after[i] != before[i]} == {"aria/happy"}
    (change,) = explanation(store)["change"]
    assert change["causes"][0]["kind"] == "decision"
    assert change["reasons"][0].startswith('rejected in r000001 by mia ("six fingers"): seed')
    assert not run(catalog, store).is_new


def test_no_rejected_seed_comes_back_after_many_rejections(catalog, store):
    seen = set()
    for _ in range(4):
        seed = entries(store)["ren/sad"].seed
        assert seed not in seen
        seen.add(seed)
        decide(store, "reject", "ren/sad")
        run(catalog, store)
    set_cell(catalog, "characters", "ren", "appearance", "red_hair")
    run(catalog, store)
    set_cell(catalog, "characters", "ren", "appearance", "black_hair")
    run(catalog, store)
    assert entries(store)["ren/sad"].seed not in seen


def test_the_ladder_is_the_same_everywhere_and_never_stands_still():
    rejected: set[int] = set()
    for _ in range(500):
        seed = SeedRule(rejected=frozenset(rejected)).seed("cast", "aria/happy", 7)
        assert seed not in rejected
        rejected.add(seed)
    assert len(rejected) == 500
    assert next(ladder("cast", "aria/happy", 7, {7})) == 4231391690


def test_a_seed_of_the_sheet_moves_on_too_and_the_plan_says_so(tmp_path, store):
    catalog = make_catalog(
        tmp_path / "cast",
        characters="id,name,gender,appearance,seed\naria,Aria,1girl,silver_hair,7\n",
        expressions="id,expression\nhappy,smile\n",
    )
    run(catalog, store)
    assert entries(store)["aria/happy"].seed == 7
    decide(store, "reject", "aria/happy")
    report = run(catalog, store)
    assert entries(store)["aria/happy"].seed != 7
    (fault,) = [fault for fault in report.faults if fault.code == "I_SEED_DECIDED"]
    assert (fault.severity, fault.row, fault.column) == ("info", 2, "E")
    assert "seed 7 gives way" in fault.message
    assert report.exit_code == 0


def test_clearing_a_picture_brings_its_own_seed_back(catalog, store):
    first = run(catalog, store)
    decide(store, "reject", "aria/happy")
    run(catalog, store)
    assert len(decide(store, "clear", "aria/happy").decisions) == 1
    report = run(catalog, store)
    assert (report.generated, report.digest) == (0, first.digest)


# Pinning


def test_a_pinned_picture_keeps_its_pixels_when_its_prompt_changes(catalog, store):
    before = entries(store)
    decide(store, "pin", "aria/happy")
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    report = run(catalog, store)
    after = entries(store)
    assert report.generated == 1
    assert after["aria/happy"] == before["aria/happy"]
    assert after["aria/sad"].pixels != before["aria/sad"].pixels
    (pinned,) = explanation(store)["pinned"]
    assert pinned["id"] == "aria/happy"
    assert pinned["reasons"][0] == "pinned in r000001 by mia"
    assert 'characters!D2 "silver_hair" → "blue_hair"' in pinned["reasons"]


def test_an_unpinned_picture_becomes_what_the_sheet_asks(catalog, store):
    decide(store, "pin", "aria/happy")
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    run(catalog, store)
    decide(store, "unpin", "aria/happy")
    assert run(catalog, store).generated == 1


def test_a_rollback_does_not_lose_a_pin(catalog, store):
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    run(catalog, store)
    pinned = entries(store)["aria/happy"]
    decide(store, "pin", "aria/happy")
    shelf = shelf_of(store)
    shelf.point(shelf.ref("r000001"))
    set_cell(catalog, "characters", "aria", "appearance", "red_hair")
    assert run(catalog, store).is_new
    assert entries(store)["aria/happy"] == pinned
    assert verify(store, root_of(store), pixels=True).ok


def test_a_pin_outlives_another_engine(catalog, store):
    before = entries(store)["ren/sad"]
    decide(store, "pin", "ren/sad")
    run(catalog, store, engine="tests.engines.plugin:StripesEngine")
    assert entries(store)["ren/sad"] == before
    assert entries(store)["ren/happy"].recipe != before.recipe


def test_a_pinned_picture_that_is_lost_is_named_and_holds_again_once_restored(catalog, store):
    entry = entries(store)["aria/happy"]
    decide(store, "pin", "aria/happy")
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    place = store.driver.local_path(object_name(entry.object))
    data = place.read_bytes()
    place.unlink()
    report = run(catalog, store)
    assert any("pinned picture aria/happy is missing" in note for note in report.notes)
    assert entries(store)["aria/happy"].pixels != entry.pixels
    store.put(data)
    run(catalog, store)
    assert entries(store)["aria/happy"].pixels == entry.pixels


def test_a_pinned_picture_is_not_rejected(catalog, store):
    decide(store, "pin", "aria/happy")
    assert codes(decide(store, "reject", "aria/happy")) == ["E_DECISION_PINNED"]


# What is refused


def test_what_is_not_in_the_release_is_refused_by_name_and_the_rest_is_taken(catalog, store):
    taken = decide(store, "approve", "aria/hapy", "ren/sad")
    assert [d.id for d in taken.decisions] == ["ren/sad"]
    (refused,) = taken.refused
    assert (refused.id, refused.code) == ("aria/hapy", "E_DECISION_PICTURE")
    assert 'did you mean "aria/happy"?' in refused.reason


def test_a_picture_that_changed_since_is_refused(catalog, store):
    pixels = entries(store)["aria/happy"].pixels
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    run(catalog, store)
    for more in ({"version": "r000001"}, {"pixels": pixels}, {"version": "r000002", "key": "0" * 64}):
        assert codes(decide(store, "reject", "aria/happy", **more)) == ["E_DECISION_CHANGED"]
    assert codes(decide(store, "reject", "ren/happy", version="r000001")) == []


@pytest.mark.parametrize(
    ("kind", "more", "code"),
    [
        ("approve", {"version": "r000009"}, "E_RELEASE_MISSING"),
        ("pin", {"version": "proposal"}, "E_DECISION_PICTURE"),
        ("unpin", {}, "E_DECISION_UNPINNED"),
        ("clear", {}, "E_DECISION_NONE"),
        ("choose", {}, "E_DECISION_CANDIDATE"),
    ],
)
def test_what_cannot_be_decided_says_why(catalog, store, kind, more, code):
    assert codes(decide(store, kind, "aria/happy", **more)) == [code]


def test_the_same_decision_twice_is_written_once(catalog, store):
    for kind in ("approve", "pin"):
        assert len(decide(store, kind, "aria/happy").decisions) == 1
        assert len(decide(store, kind, "aria/happy").already) == 1


# The file of a review page


def test_a_file_is_taken_entry_by_entry(catalog, store, tmp_path):
    pixels = entries(store)["aria/happy"].pixels
    good = {
        "id": "aria/happy",
        "version": "r000001",
        "decision": "reject",
        "pixels": pixels,
        "by": "yuki",
        "at": AT,
    }
    rows = [
        good,
        {**good, "decision": "rejet"},
        {**good, "nose": "red"},
        {**good, "id": 5},
        {**good, "note": "\x1b[31m"},
        {**good, "at": "yesterday"},
        {"decision": "pin"},
        "aria/happy",
    ]
    file = tmp_path / "decisions.json"
    file.write_text(json.dumps(rows))
    requests, refused = read_requests(file, set_name="cast", by="mia", at=AT)
    assert [(r.id, r.by, r.where) for r in requests] == [("aria/happy", "yuki", "decisions.json, entry 1")]
    assert [r.where[-1] for r in refused] == list("2345678")
    assert 'did you mean "reject"?' in refused[0].reason
    with store.deciding("cast"):
        assert len(Desk(shelf_of(store)).decide(requests).decisions) == 1


@pytest.mark.parametrize("text", ["", "{", "7", '{"set": "other", "decisions": []}', "[" * 5000])
def test_a_file_that_is_none_is_refused_whole(tmp_path, text):
    file = tmp_path / "decisions.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"decisions\.json"):
        read_requests(file, set_name="cast", by="mia", at=AT)


# The journal


def test_a_decision_survives_the_journal_and_a_changed_one_is_noticed(catalog, store):
    (decision,) = decide(store, "pin", "aria/happy", note="表情が完璧").decisions
    assert DecisionLog(store, "cast").read() == ([decision], [])
    with pytest.raises(DamageError):
        read_decision({**decision.record(), "by": "eve"})


def test_a_torn_last_line_is_named_and_passed_over(catalog, store):
    decide(store, "reject", "aria/happy")
    decide(store, "reject", "aria/sad")
    file = journal_file(store)
    file.write_bytes(file.read_bytes()[:-40])
    report = run(catalog, store)
    assert report.generated == 1
    assert any("last line was cut off" in note for note in report.notes)
    assert verify(store, root_of(store)).ok
    assert len(decide(store, "reject", "ren/sad").decisions) == 1
    decisions, notes = DecisionLog(store, "cast").read()
    assert ([d.id for d in decisions], notes) == (["aria/happy", "ren/sad"], [])


def test_a_damaged_line_stops_the_set_until_it_is_mended(catalog, store):
    decide(store, "reject", "aria/happy")
    decide(store, "pin", "aria/sad")
    file = journal_file(store)
    data = bytearray(file.read_bytes())
    data[40] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamageError, match=r"line 1 is damaged.*--repair"):
        run(catalog, store)
    found = verify(store, root_of(store))
    assert [damage.object for damage in found.damaged] == ["decisions/cast/journal.jsonl"]
    repair(store, root_of(store), found)
    assert verify(store, root_of(store)).ok
    assert [d.id for d in DecisionLog(store, "cast").read()[0]] == ["aria/sad"]


# Approval


def test_a_release_waits_until_every_changed_picture_is_approved(catalog, store):
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    report = run(catalog, store, require_approval=True)
    assert (report.generated, report.release, report.is_new) == (2, "r000001", False)
    assert list(report.undecided) == ["aria/happy", "aria/sad"]
    assert (report.proposal / "pictures" / "aria" / "happy.png").is_file()
    collect(store, root_of(store), apply=True, keep_days=0)
    decide(store, "approve", "aria/happy", "aria/sad")
    report = run(catalog, store, require_approval=True)
    assert (report.generated, report.release, report.is_new) == (0, "r000002", True)
    assert read_proposal(shelf_of(store)) is None
    assert not view_folder(root_of(store), "cast", "proposal").exists()
    assert verify(store, root_of(store), pixels=True).ok


def test_a_rejected_proposal_is_made_with_another_seed_and_waits_again(catalog, store):
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    run(catalog, store, require_approval=True)
    decide(store, "approve", "aria/happy")
    decide(store, "reject", "aria/sad")
    report = run(catalog, store, require_approval=True)
    assert (report.generated, list(report.undecided)) == (1, ["aria/sad"])


def test_the_catalog_may_require_approval_from_the_first_release_on(tmp_path, store):
    toml = SMALL + "[release]\nrequire_approval = true\n"
    catalog = make_catalog(tmp_path / "cast", toml=toml)
    report = run(catalog, store)
    assert (report.release, len(report.undecided)) == (None, 4)
    decide(store, "approve", *report.undecided)
    assert run(catalog, store).release == "r000001"
    assert not run(catalog, store, plan=PlanOptions()).undecided


# Candidates


def candidates(store):
    return open_candidates(store, "cast", standing_of(DecisionLog(store, "cast").read()[0]))


def collected(store, days: int = 0) -> set[str]:
    """The objects a collection takes, with `days` since the pictures were made."""
    return set(
        collect(store, root_of(store), apply=True, keep_days=days, candidates=wanted_candidates).objects
    )


def test_a_collection_takes_the_candidates_of_closed_rerolls_and_nothing_that_is_decided(catalog, store):
    decide(store, "reroll", "aria/happy", number=3)
    decide(store, "reroll", "ren/sad", number=2)
    run(catalog, store)
    first, second, third = (c.about for c in candidates(store) if c.id == "aria/happy")
    still_open = {c.about.object for c in candidates(store) if c.id == "ren/sad"}
    decide(store, "choose", "aria/happy", number=2)
    run(catalog, store)
    assert not {first.object, third.object} & collected(store, days=7)
    gone = collected(store)
    assert third.object in gone and not gone & {second.object, *still_open}
    assert store.has(first.object), "it was released while the reroll was open"
    assert [c.about is not None for c in candidates(store)] == [True, True]
    assert verify(store, root_of(store), pixels=True).ok


def test_a_candidate_that_was_collected_is_made_again_when_a_reroll_asks_for_it(catalog, store):
    decide(store, "reroll", "aria/happy", number=3)
    run(catalog, store)
    third = candidates(store)[2].about
    decide(store, "choose", "aria/happy", number=2)
    run(catalog, store)
    assert third.object in collected(store)
    (again,) = decide(store, "reroll", "aria/happy", number=3).decisions
    number = again.seeds.index(third.seed) + 1
    assert codes(decide(store, "choose", "aria/happy", number=number)) == ["E_DECISION_CANDIDATE"]
    run(catalog, store)
    assert candidates(store)[number - 1].about.pixels == third.pixels
    assert len(decide(store, "choose", "aria/happy", number=number).decisions) == 1
    run(catalog, store)
    assert entries(store)["aria/happy"].pixels == third.pixels
    assert verify(store, root_of(store), pixels=True).ok


def test_a_reroll_makes_candidates_and_a_choice_makes_one_the_picture(catalog, store):
    (reroll,) = decide(store, "reroll", "aria/happy", number=3).decisions
    report = run(catalog, store)
    assert report.generated == 1
    listed = candidates(store)
    assert [c.seed for c in listed] == list(reroll.seeds)
    assert len({c.about.pixels for c in listed}) == 3
    collect(store, root_of(store), apply=True, keep_days=0)
    assert codes(decide(store, "choose", "aria/happy", number=4)) == ["E_DECISION_CANDIDATE"]
    decide(store, "choose", "aria/happy", number=2)
    report = run(catalog, store)
    assert (report.generated, report.is_new) == (0, True)
    assert entries(store)["aria/happy"].pixels == listed[1].about.pixels
    assert verify(store, root_of(store), pixels=True).ok


# Nobody decided


def test_decisions_about_others_leave_a_picture_as_it_would_be(tmp_path, catalog, store):
    decide(store, "reject", "aria/happy")
    decide(store, "pin", "aria/sad")
    set_cell(catalog, "characters", "ren", "appearance", "red_hair")
    run(catalog, store)
    with Store.open(tmp_path / "other", durable=False) as other:
        run(catalog, other)
        assert {i: e.key for i, e in entries(other).items() if i.startswith("ren/")} == {
            i: e.key for i, e in entries(store).items() if i.startswith("ren/")
        }


def test_a_removed_row_takes_its_pinned_picture_along_and_brings_it_back(catalog, store):
    pinned = entries(store)["aria/happy"]
    decide(store, "pin", "aria/happy")
    (catalog / "characters.csv").write_text(CHARACTERS.replace("aria,Aria,1girl,silver_hair\n", ""))
    run(catalog, store, plan=PlanOptions(allow_shrink=True))
    assert "aria/happy" not in entries(store)
    (catalog / "characters.csv").write_text(CHARACTERS.replace("silver", "blue"))
    run(catalog, store)
    assert entries(store)["aria/happy"] == pinned
