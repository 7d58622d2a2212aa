"""Golden pictures: what is noticed, what is named, what waits."""

import json

import pytest
from PIL import Image, ImageChops

from newbie_core.cli import main
from newbie_core.production.canary import read_book
from newbie_core.production.likeness import likeness
from newbie_core.releases import collect, verify
from newbie_core.store import Store
from tests.catalogs.building import SMALL, make_catalog, set_cell
from tests.releases.building import run

TOML = '[engine]\nname = "tests.engines.drifting:DriftingEngine"\n' + SMALL + "[canary]\npictures = 2\n"
OTHER_TORCH = {"torch": "2.12.0"}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Says which environment the engine is in, and how its pixels are off."""
    file = tmp_path / "world.json"
    monkeypatch.setenv("DRIFT", str(file))

    def set_world(environment=None, *, off=0, spot=0):
        file.write_text(json.dumps({"environment": environment or {}, "off": off, "spot": spot}))

    set_world()
    return set_world


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store", durable=False) as made:
        yield made


@pytest.fixture
def catalog(tmp_path):
    return make_catalog(tmp_path / "cast", toml=TOML)


def change(catalog, colour):
    set_cell(catalog, "characters", "aria", "appearance", colour)


def test_equal_pixels_in_a_new_environment_are_noted_and_published(catalog, store, world):
    assert run(catalog, store).canary["verdict"] == "first"
    world(OTHER_TORCH)
    change(catalog, "blue_hair")
    report = run(catalog, store)
    assert (report.canary["verdict"], report.is_new) == ("equal", True)
    assert report.canary["changed"] == ["torch 2.11.0 → 2.12.0"]
    assert len(read_book(store, "cast").baselines) == 2


def test_nothing_to_make_asks_no_canary(catalog, store, world):
    run(catalog, store)
    world(OTHER_TORCH, off=90)
    report = run(catalog, store)
    assert (report.canary, report.generated) == (None, 0)


@pytest.mark.parametrize("drift, verdict", [({"off": 1}, "alike"), ({"spot": 200}, "changed")])
def test_drift_is_told_apart_and_waits_for_a_decision(catalog, store, world, tmp_path, drift, verdict):
    first = run(catalog, store)
    world(OTHER_TORCH, **drift)
    change(catalog, "blue_hair")
    report = run(catalog, store)
    assert (report.canary["verdict"], report.is_new, report.release) == (verdict, False, first.release)
    assert report.canary["waiting"] and report.exit_code == 3
    assert report.canary["changed"] == ["torch 2.11.0 → 2.12.0"]
    assert not run(catalog, store).is_new  # made already, and still it waits
    assert main(["canary", "cast", "accept", "--store", str(tmp_path / "store"), "--by", "mia"]) == 0
    accepted = run(catalog, store)
    assert (accepted.is_new, accepted.release, accepted.generated) == (True, "r000002", 0)


def test_a_rejected_drift_is_forgotten_and_made_again(catalog, store, world, tmp_path):
    run(catalog, store)
    world(OTHER_TORCH, off=40)
    change(catalog, "blue_hair")
    assert run(catalog, store).generated == 2
    assert main(["canary", "cast", "reject", "--store", str(tmp_path / "store")]) == 0
    world()
    report = run(catalog, store)
    assert (report.generated, report.is_new, report.canary["verdict"]) == (2, True, "equal")


def test_an_environment_that_was_mended_settles_the_drift_by_itself(catalog, store, world):
    run(catalog, store)
    world(OTHER_TORCH, off=40)
    change(catalog, "blue_hair")
    run(catalog, store)
    world()
    report = run(catalog, store)
    assert (report.generated, report.is_new) == (2, True)
    assert any("equal again" in note for note in report.notes)


def test_a_catalog_may_accept_drift_by_itself(catalog, store, world):
    (catalog / "catalog.toml").write_text(TOML + 'accept = "alike"\n')
    run(catalog, store)
    world(OTHER_TORCH, off=1)
    change(catalog, "blue_hair")
    assert run(catalog, store).is_new
    world(OTHER_TORCH, off=90)
    change(catalog, "red_hair")
    report = run(catalog, store)
    assert (report.is_new, report.canary["verdict"], report.canary["changed"]) == (False, "changed", [])
    assert any("suspect the hardware" in note for note in report.notes)


def test_a_changed_model_is_named(catalog, store, world):
    run(catalog, store)
    (catalog / "catalog.toml").write_text(TOML.replace("[picture]", "[engine.options]\nlevel = 2\n[picture]"))
    report = run(catalog, store)
    assert report.canary["waiting"]
    assert "level 1 → 2" in report.canary["changed"]


def test_goldens_are_kept_by_gc_and_checked_by_verify(catalog, store, world, tmp_path):
    run(catalog, store)
    change(catalog, "blue_hair")
    run(catalog, store)
    collect(store, tmp_path / "store", apply=True, keep_days=0)
    goldens = read_book(store, "cast").baselines.popitem()[1]["goldens"]
    assert all(store.has(golden["object"]) for golden in goldens)
    assert verify(store, tmp_path / "store").ok
    journal = tmp_path / "store" / "goldens" / "cast" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"first"', b'"fIrst"'))
    assert [damage.object for damage in verify(store, tmp_path / "store").damaged] == [
        "goldens/cast/journal.jsonl"
    ]


def test_a_small_change_in_one_place_is_no_likeness():
    one = Image.effect_noise((512, 512), 40).convert("RGB")
    spotted = one.copy()
    spotted.paste((255, 0, 0), (40, 40, 52, 52))
    assert likeness(one, spotted).similarity > 0.98
    assert not likeness(one, spotted).is_alike
    assert likeness(one, ImageChops.add(one, Image.new("RGB", one.size, (1, 1, 1)))).is_alike
