"""Whole runs: what is made, published, carried, healed and rolled back."""

import threading

import pytest

from newbie_core.engines import load_engine
from newbie_core.errors import LockedError, PlanError, SheetError
from newbie_core.plans import PlanOptions
from newbie_core.production import History, RunOptions, carry_out, open_run
from newbie_core.releases import view_folder
from newbie_core.store import Store, object_name
from tests.catalogs.building import EXPRESSIONS, SMALL, make_catalog, set_cell
from tests.releases.building import root_of, run, shelf_of

STRIPES = '[engine]\nname = "tests.engines.plugin:StripesEngine"\n' + SMALL


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store", durable=False) as made:
        yield made


@pytest.fixture
def catalog(tmp_path):
    return make_catalog(tmp_path / "cast")


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """The folder that tells the stripes engine what to do."""
    folder = tmp_path / "stripes"
    folder.mkdir()
    monkeypatch.setenv("STRIPES", str(folder))
    return folder


def content(store: Store):
    shelf = shelf_of(store)
    return shelf.read(shelf.current()).content


def keys(store: Store) -> dict[str, str]:
    return {entry.id: entry.key for entry in content(store).entries}


# Making and publishing


def test_a_second_run_makes_nothing_and_publishes_nothing(catalog, store):
    first, second = run(catalog, store), run(catalog, store)
    assert (first.generated, first.release, first.is_new) == (4, "r000001", True)
    assert (second.generated, second.reused, second.release, second.is_new) == (0, 4, "r000001", False)
    assert second.digest == first.digest
    assert shelf_of(store).names() == ["r000001"]


def test_equal_catalogs_give_equal_digests_in_any_store_on_any_night(tmp_path):
    digests = set()
    for place in ("a", "b"):
        with Store.open(tmp_path / place / "store", durable=False) as store:
            digests.add(run(make_catalog(tmp_path / place / "deep" / "cast"), store).digest)
    assert len(digests) == 1


def test_one_changed_cell_makes_exactly_its_pictures(catalog, store):
    run(catalog, store)
    before = keys(store)
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    report = run(catalog, store)
    assert (report.generated, report.reused, report.release) == (2, 2, "r000002")
    assert {id for id, key in keys(store).items() if before[id] != key} == {"aria/happy", "aria/sad"}


def test_a_cell_changed_back_is_a_new_release_of_pictures_that_are_there(catalog, store):
    first = run(catalog, store)
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    run(catalog, store)
    set_cell(catalog, "characters", "aria", "appearance", "silver_hair")
    third = run(catalog, store)
    assert (third.generated, third.release, third.digest) == (0, "r000003", first.digest)


def test_pictures_with_equal_keys_are_made_once(tmp_path, store, notes):
    catalog = make_catalog(tmp_path / "cast", toml=STRIPES, characters="id,name,seed\na,Same,5\nb,Same,5\n")
    assert run(catalog, store).generated == 1
    assert len(set(keys(store).values())) == 1
    assert len(content(store).entries) == 2


def test_removed_rows_leave_the_release(catalog, store):
    run(catalog, store)
    make_catalog(
        catalog,
        characters="id,name,gender,appearance\naria,Aria,1girl,silver_hair\n",
        expressions=EXPRESSIONS,
    )
    report = run(catalog, store)
    assert (report.removed, report.generated) == (2, 0)
    assert set(keys(store)) == {"aria/happy", "aria/sad"}


def test_the_explanation_of_a_release_names_the_cell(catalog, store):
    import orjson

    run(catalog, store)
    set_cell(catalog, "characters", "ren", "appearance", "red_hair")
    run(catalog, store)
    shelf = shelf_of(store)
    release = shelf.read(shelf.current())
    explanation = orjson.loads(store.get(release.manifest.explanation))
    assert explanation["parent"] == "r000001"
    assert [change["id"] for change in explanation["change"]] == ["ren/happy", "ren/sad"]
    assert explanation["change"][0]["reasons"] == ['characters!D3 "black_hair" → "red_hair"']
    page = store.get(release.manifest.pages["changes.md"]).decode()
    assert '- `ren/sad`: characters!D3 "black_hair" → "red_hair"' in page


def test_the_report_as_programs_read_it(catalog, store):
    record = run(catalog, store).record()
    assert set(record) >= {
        "catalog", "release", "digest", "new", "generated", "reused", "removed", "held", "waiting", "failed",
        "rejected", "warnings", "seconds", "view", "notes", "exit_code",
    }  # fmt: skip
    assert (record["catalog"], record["exit_code"]) == ("cast", 0)


# Rejected rows, failing pictures


def test_rejected_rows_keep_their_released_pictures(tmp_path, store):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,steps\na,A,9\nb,B,9\n")
    run(catalog, store)
    before = keys(store)
    set_cell(catalog, "characters", "a", "steps", "bad")
    set_cell(catalog, "characters", "b", "steps", "10")
    report = run(catalog, store)
    assert (report.held, report.generated, report.exit_code, len(report.rejected)) == (1, 1, 3, 1)
    assert keys(store)["a"] == before["a"]
    assert keys(store)["b"] != before["b"]
    assert content(store).held == {"a": 'row "a" of sheet "characters" is rejected'}
    assert b"characters" in (report.view / "rejects.csv").read_bytes()


def test_a_row_put_in_above_a_rejected_one_makes_no_new_release(tmp_path, store):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,steps\na,A,9\nb,B,bad\n")
    run(catalog, store)
    make_catalog(catalog, characters="id,name,steps\n,,\n,,\na,A,9\n,,\nb,B,bad\n")
    assert not run(catalog, store).is_new


def test_failed_pictures_are_named_and_the_others_published(tmp_path, store, notes):
    catalog = make_catalog(tmp_path / "cast", toml=STRIPES)
    (notes / "fail").write_text("ren/sad")
    (notes / "black").write_text("ren/happy")
    report = run(catalog, store)
    assert (report.generated, report.exit_code) == (2, 1)
    assert dict(report.failed)["ren/sad"] == "no stripes for ren/sad"
    assert "one colour" in dict(report.failed)["ren/happy"]
    assert content(store).failed == ["ren/happy", "ren/sad"]
    assert set(keys(store)) == {"aria/happy", "aria/sad"}


def test_a_changed_picture_that_fails_stays_as_it_was(tmp_path, store, notes):
    catalog = make_catalog(tmp_path / "cast", toml=STRIPES)
    run(catalog, store)
    before = keys(store)
    (notes / "fail").write_text("ren/sad")
    set_cell(catalog, "characters", "ren", "appearance", "red_hair")
    run(catalog, store)
    assert keys(store)["ren/sad"] == before["ren/sad"]
    assert keys(store)["ren/happy"] != before["ren/happy"]


def test_a_retry_makes_only_what_failed(tmp_path, store, notes):
    catalog = make_catalog(tmp_path / "cast", toml=STRIPES)
    (notes / "fail").write_text("ren/sad")
    run(catalog, store)
    (notes / "fail").unlink()
    (notes / "made").unlink()
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    report = run(catalog, store, retry=True)
    assert (notes / "made").read_text().split() == ["ren/sad"]
    assert (report.generated, report.exit_code) == (1, 0)
    assert len(content(store).entries) == 4
    assert content(store).failed == []


def test_a_retry_without_failures_changes_nothing(catalog, store):
    run(catalog, store)
    report = run(catalog, store, retry=True)
    assert (report.generated, report.is_new, report.release) == (0, False, "r000001")


def test_a_run_of_other_pictures_does_not_forget_what_failed(tmp_path, store, notes):
    catalog = make_catalog(tmp_path / "cast", toml=STRIPES)
    (notes / "fail").write_text("ren/sad")
    run(catalog, store)
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    run(catalog, store, plan=PlanOptions(only=("aria/*",)))
    assert content(store).failed == ["ren/sad"]
    (notes / "fail").unlink()
    assert run(catalog, store, retry=True).generated == 1


def test_a_run_that_did_not_reach_a_failed_picture_does_not_forget_it(tmp_path, store, notes):
    catalog = make_catalog(tmp_path / "cast", toml=STRIPES)
    (notes / "fail").write_text("ren/sad")
    run(catalog, store)
    assert not run(catalog, store, limit=0).is_new
    assert content(store).failed == ["ren/sad"]


def test_a_run_of_other_pictures_does_not_forget_what_is_held(tmp_path, store):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,steps\na,A,9\nb,B,9\n")
    run(catalog, store)
    set_cell(catalog, "characters", "a", "steps", "bad")
    run(catalog, store)
    report = run(catalog, store, plan=PlanOptions(only=("b",)))
    assert set(content(store).held) == {"a"}
    assert not report.is_new


# Narrowed and guarded runs


def test_a_limit_leaves_the_rest_for_the_next_run(catalog, store):
    first = run(catalog, store, limit=3)
    assert (first.generated, first.waiting, first.exit_code) == (3, 1, 0)
    second = run(catalog, store)
    assert (second.generated, second.waiting, second.release) == (1, 0, "r000002")


def test_the_cell_is_still_named_for_pictures_that_waited(catalog, store):
    run(catalog, store)
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    run(catalog, store, limit=1)
    with open_run(catalog, store=store, root=root_of(store), engines=load_engine) as under_way:
        (change,) = under_way.plan.changes("change")
    assert [str(cause) for cause in change.causes] == ['characters!D2 "silver_hair" → "blue_hair"']


def test_only_makes_the_selected_and_carries_the_others(catalog, store):
    run(catalog, store)
    before = keys(store)
    for row in ("aria", "ren"):
        set_cell(catalog, "characters", row, "appearance", "green_hair")
    report = run(catalog, store, plan=PlanOptions(only=("aria/*",)))
    after = keys(store)
    assert report.generated == 2
    assert {id for id in after if after[id] != before[id]} == {"aria/happy", "aria/sad"}
    assert len(after) == 4


def test_a_shrinking_set_is_not_published_unless_it_is_allowed(tmp_path, store):
    catalog = make_catalog(tmp_path / "cast", characters="id,name\na,A\nb,B\nc,C\n")
    run(catalog, store)
    make_catalog(catalog, characters="id,name\na,A\n")
    with pytest.raises(PlanError, match="2 of 3 pictures missing"):
        run(catalog, store)
    assert shelf_of(store).names() == ["r000001"]
    assert run(catalog, store, plan=PlanOptions(allow_shrink=True)).release == "r000002"


def test_an_empty_set_is_published_only_when_it_is_allowed(tmp_path, store):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,enabled\na,A,no\n")
    assert run(catalog, store).release is None
    report = run(catalog, store, plan=PlanOptions(allow_empty=True))
    assert report.release == "r000001"
    assert keys(store) == {}


def test_a_strict_run_publishes_nothing_when_a_row_is_rejected(tmp_path, store):
    catalog = make_catalog(tmp_path / "cast", characters="id,name,steps\na,A,9\nb,B,bad\n")
    with pytest.raises(SheetError):
        run(catalog, store, plan=PlanOptions(strict=True))
    assert shelf_of(store).names() == []


def test_another_engine_makes_everything_anew_and_is_named(catalog, store, notes):
    run(catalog, store)
    report = run(catalog, store, engine="tests.engines.plugin:StripesEngine")
    assert report.generated == 4
    assert content(store).engine["engine"] == "stripes"


# Interrupted and side by side


def test_a_stopped_run_keeps_what_was_made_and_publishes_nothing(catalog, store):
    stop = threading.Event()
    options = RunOptions()
    with open_run(
        catalog, store=store, root=root_of(store), engines=load_engine, options=options, stop=stop,
        on_outcome=lambda _: stop.set(),
    ) as under_way:  # fmt: skip
        assert carry_out(under_way) is None
    assert shelf_of(store).names() == []
    made = len(list(store.driver.names("actions")))
    assert made >= 1
    assert run(catalog, store).generated == 4 - made


def test_two_runs_of_one_set_do_not_write_at_once(catalog, store):
    with store.writing("cast"), pytest.raises(LockedError) as caught:
        run(catalog, store)
    assert caught.value.exit_code == 11


def test_the_engine_is_closed_when_the_plan_is_refused(tmp_path, store):
    engines = []

    def loader(name, options):
        engines.append(load_engine("tests.engines.plugin:StripesEngine"))
        return engines[0]

    catalog = make_catalog(tmp_path / "cast", characters="id,name,steps\na,A,bad\n")
    with pytest.raises(SheetError), open_run(catalog, store=store, root=root_of(store), engines=loader):
        pass
    assert engines[0].closed


# Damage and healing


def test_a_damaged_picture_is_made_again_with_the_same_digest(catalog, store):
    first = run(catalog, store)
    entry = content(store).entries[0]
    place = store.driver.local_path(object_name(entry.object))
    place.chmod(0o644)
    place.write_bytes(b"damaged")
    report = run(catalog, store)
    assert (report.generated, report.digest) == (1, first.digest)
    assert any("damaged or lost; they are made again" in note for note in report.notes)
    assert store.check(entry.object, quick=False) is None
    assert (report.view / "pictures" / "aria" / "happy.png").read_bytes() == store.get(entry.object)


def test_a_release_whose_content_is_lost_is_written_again(catalog, store):
    first = run(catalog, store)
    store.driver.remove(object_name(first.digest))
    report = run(catalog, store)
    assert (report.generated, report.digest, report.release) == (0, first.digest, "r000001")
    assert store.check(first.digest, quick=False) is None


# Rolling back


@pytest.fixture
def rolled_back(catalog, store):
    """A set of two releases of which the first counts again."""
    run(catalog, store)
    set_cell(catalog, "characters", "aria", "appearance", "blue_hair")
    run(catalog, store)
    shelf = shelf_of(store)
    shelf.point(shelf.ref("r000001"))
    return store


def test_a_content_that_was_rolled_back_is_not_published_again(catalog, rolled_back):
    report = run(catalog, rolled_back)
    assert (report.release, report.is_new, report.generated) == ("r000001", False, 0)
    assert any("rolled back" in note and "--republish" in note for note in report.notes)


def test_a_content_that_was_rolled_back_is_published_when_asked_to(catalog, rolled_back):
    report = run(catalog, rolled_back, republish=True)
    assert (report.release, report.is_new) == ("r000003", True)


def test_a_further_change_after_a_rollback_is_published_and_explained_against_what_counts(
    catalog, rolled_back
):
    set_cell(catalog, "characters", "aria", "appearance", "green_hair")
    report = run(catalog, rolled_back)
    assert (report.release, report.is_new) == ("r000003", True)
    shelf = shelf_of(rolled_back)
    assert shelf.read(shelf.current()).manifest.parent == "r000001"


def test_both_releases_stay_whole_after_a_rollback(rolled_back):
    shelf = shelf_of(rolled_back)
    assert {len(shelf.read(ref).content.entries) for ref in shelf.refs()} == {4}
    assert view_folder(root_of(rolled_back), "cast", "r000002").is_dir()


# History


def test_measured_times_estimate_the_next_run(catalog, store):
    run(catalog, store)
    history = History(shelf_of(store))
    with open_run(catalog, store=store, root=root_of(store), engines=load_engine) as under_way:
        item = under_way.plan.items[0]
        fingerprint = under_way.plan.engine.fingerprint
    assert history.seconds(item, fingerprint) > 0
    assert history.seconds(item, "another engine") is None
    assert History(None).seconds(item, fingerprint) is None
