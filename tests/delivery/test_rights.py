"""Licences travel with a release, and nothing that is not cleared is delivered for sale."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from newbie_core.delivery import Order, deliver
from newbie_core.delivery.rights import licences_behind, require_commercial
from newbie_core.digests import canonical_json, digest_value
from newbie_core.engines.licences import engine_licence, weights_licence
from newbie_core.engines.newbie import NANO_FOLDER
from newbie_core.errors import DeliveryError
from newbie_core.plans import PlanOptions
from newbie_core.releases import Shelf, read_attestation, read_rights
from newbie_core.rights import Licence, Statement, read_licence, stated
from newbie_core.store import Store
from tests.catalogs.building import make_catalog, set_cell
from tests.delivery.conftest import SETTINGS
from tests.releases.building import run

STUDIO = Statement(about="weights/*", licence="LicenseRef-Studio", commercial="yes", source="contract 7")
ENGINE = "tests.delivery.weighty:WeightyEngine"


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store", create=True, durable=False) as found:
        yield found


def weighty(tmp_path: Path, store: Store, toml: str = "", **options) -> Shelf:
    """A release by an engine with weights of an unknown licence."""
    catalog = make_catalog(tmp_path / "cast", toml=SETTINGS + f'[engine]\nname = "{ENGINE}"\n' + toml)
    run(catalog, store, **options)
    return Shelf(store, "cast")


def sell(shelf: Shelf, to: Path, **options):
    return deliver(shelf, shelf.current(), Order(to=to, is_commercial=True, **options))


def test_a_set_that_was_drawn_may_be_sold(export, tmp_path):
    assert export(is_commercial=True).pictures == 4
    (group,) = json.loads((tmp_path / "out/rights.json").read_bytes())["rights"]
    assert (group["commercial"], len(group["pictures"])) == ("yes", 4)
    assert [(row["part"], row["name"], row["licence"]) for row in group["licences"]] == [
        ("engine", "sketch", "MIT")
    ]


def test_weights_nobody_knows_are_not_cleared_and_each_picture_is_named(tmp_path, store):
    shelf = weighty(tmp_path, store)
    with pytest.raises(DeliveryError) as refused:
        sell(shelf, tmp_path / "shop")
    assert [fault.code for fault in refused.value.faults] == ["E_EXPORT_RIGHTS"] * 4
    text = str(refused.value)
    assert 'picture "aria/happy" is not cleared for commercial use: weights/own.safetensors' in text
    assert "no licence known" in text and "[rights." in text
    assert not (tmp_path / "shop").exists()
    assert deliver(shelf, shelf.current(), Order(to=tmp_path / "home")).pictures == 4


def test_a_statement_in_the_catalog_clears_weights_and_travels_with_the_release(tmp_path, store):
    toml = '[rights."weights/*"]\nlicence = "LicenseRef-Studio"\ncommercial = "yes"\nsource = "contract 7"\n'
    shelf = weighty(tmp_path, store, toml)
    assert sell(shelf, tmp_path / "shop").pictures == 4
    (group,) = json.loads((tmp_path / "shop/rights.json").read_bytes())["rights"]
    assert group["licences"][1] == {
        "part": "weights", "name": "own.safetensors", "digest": "ab" * 32, "licence": "LicenseRef-Studio",
        "commercial": "yes", "source": "contract 7", "stated": "catalog.toml",
    }  # fmt: skip


def test_a_statement_of_today_counts_before_what_the_release_tells(tmp_path, store):
    shelf = weighty(tmp_path, store)
    assert sell(shelf, tmp_path / "shop", statements=(STUDIO,)).pictures == 4
    barred = Statement(about="ab" * 32, licence="LicenseRef-Gone", commercial="no")
    with pytest.raises(DeliveryError, match="LicenseRef-Gone, not commercial"):
        sell(shelf, tmp_path / "again", statements=(barred, STUDIO))


def test_pictures_kept_from_another_engine_keep_its_licences(tmp_path, store):
    shelf = weighty(tmp_path, store)
    set_cell(tmp_path / "cast", "characters", "aria", "appearance", "red_hair")
    run(tmp_path / "cast", store, engine="sketch", plan=PlanOptions(only=("aria/*",)))
    release = shelf.read(shelf.current())
    assert release.ref.name == "r000002" and len(read_rights(shelf, release)) == 2
    assert sell(shelf, tmp_path / "aria", only=("aria/*",)).pictures == 2
    with pytest.raises(DeliveryError) as refused:
        sell(shelf, tmp_path / "all")
    assert len(refused.value.faults) == 2 and "aria" not in str(refused.value)


def without_rights(shelf: Shelf):
    """The current release as it would be from before licences were kept."""
    release = shelf.read(shelf.current())
    told = {name: value for name, value in read_attestation(shelf, release).items() if name != "rights"}
    attestation = shelf.store.put(canonical_json(told))
    return replace(release, manifest=replace(release.manifest, attestation=attestation))


def test_an_older_release_is_told_by_the_parts_of_its_engine(shelf):
    old = without_rights(shelf)
    assert read_rights(shelf, old) == {}
    (drawn,) = licences_behind(shelf, old, old.content.entries, ()).values()
    assert [(each.name, each.commercial) for each in drawn] == [("sketch", "yes")]


def test_the_weights_of_an_older_release_are_listed_and_not_cleared(shelf):
    old = without_rights(shelf)
    engine = {"engine": "newbie", "vae/ae.safetensors": "ef" * 32, "dtype": "float32"}
    recipes = {
        name: replace(recipe, engine=digest_value(engine)) for name, recipe in old.content.recipes.items()
    }
    old = replace(old, content=replace(old.content, engine=engine, recipes=recipes))
    (found,) = licences_behind(shelf, old, old.content.entries, ()).values()
    assert found == [Licence(part="vae", name="ae.safetensors", digest="ef" * 32)]
    with pytest.raises(DeliveryError, match=r"vae/ae\.safetensors"):
        require_commercial(old, old.content.entries, {digest_value(engine): found})


def test_a_public_copy_names_no_file_digest_or_contract(tmp_path, store):
    shelf = weighty(tmp_path, store)
    order = Order(to=tmp_path / "out", profile="public", statements=(STUDIO,))
    deliver(shelf, shelf.current(), order)
    text = (tmp_path / "out/rights.json").read_text()
    assert "LicenseRef-Studio" in text
    assert not any(word in text for word in ("own.safetensors", "abab", "contract"))


def test_the_parts_of_the_released_model_are_known_and_the_shipped_one_is_ours():
    terms = {
        part: weights_licence(part, "x.safetensors", "00", shipped=False, released=True)
        for part in ("transformer", "text_encoder", "clip_model", "vae")
    }
    assert (terms["transformer"].licence, terms["transformer"].commercial) == ("NewBie-NC-1.0", "no")
    assert {part: found.commercial for part, found in terms.items() if found.commercial == "yes"} == {}
    assert weights_licence("transformer", "x", "00", shipped=False, released=False).commercial == "unknown"
    assert weights_licence("transformer", "x", "00", shipped=True, released=False).commercial == "yes"
    assert engine_licence("newbie").commercial == "yes"


def test_the_shipped_model_lies_where_its_licence_is_looked_for():
    assert (NANO_FOLDER / "model_index.json").is_file()


def test_the_last_statement_counts_and_a_digest_before_a_glob():
    licence = Licence(part="adapter", name="miko.safetensors", digest="cd" * 32)
    first = Statement(about="*", licence="A", commercial="no")
    second = Statement(about="adapter/*", licence="B", commercial="yes")
    by_digest = Statement(about="cd" * 32, licence="C", commercial="no")
    assert stated([licence], [first, second])[0].licence == "B"
    assert stated([licence], [by_digest, first, second])[0].licence == "C"
    assert stated([licence], [Statement(about="vae/*", licence="D", commercial="yes")]) == [licence]


def test_a_statement_of_all_weights_does_not_speak_of_the_engine():
    engine = engine_licence("sketch")
    assert stated([engine], [Statement(about="*", licence="A", commercial="no")]) == [engine]
    assert stated([engine], [Statement(about="engine/*", licence="A", commercial="no")])[0].licence == "A"


@pytest.mark.parametrize(
    "record", [{}, {"commercial": "YES"}, {"commercial": True, "part": None, "extra": 1}]
)
def test_a_record_that_cannot_be_read_clears_nothing(record):
    assert read_licence(record).commercial == "unknown"


def test_a_licence_survives_its_record():
    licence = engine_licence("sketch")
    assert read_licence(licence.record()) == licence
