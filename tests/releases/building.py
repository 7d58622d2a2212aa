"""Runs of small catalogs into a real store, for the tests of releases and what comes after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from newbie_core.engines import load_engine
from newbie_core.plans import Recipe
from newbie_core.production import RunOptions, RunReport, carry_out, open_run
from newbie_core.releases import Content, Entry, Shelf
from newbie_core.releases.manifest import recipe_name
from newbie_core.store import Store

RECIPE = Recipe(engine="e" * 64, template="t" * 64, steps=28, guidance="4.5", negative="lowres")


def make_entry(id: str = "aria/happy", **changes) -> Entry:
    """One released picture."""
    given = {
        "id": id,
        "key": "a" * 64,
        "pixels": "b" * 64,
        "prompt": "c" * 64,
        "seed": 7,
        "width": 64,
        "height": 64,
        "recipe": recipe_name(RECIPE),
        "object": "d" * 64,
        "size": 1234,
    }
    return Entry(**given | changes)


def make_content(*entries: Entry, **changes) -> Content:
    """The content of a release of these pictures."""
    given: Mapping = {
        "set": "cast",
        "title": "Cast: 表情",
        "engine": {"engine": "sketch", "algorithm": "1"},
        "template": "character.xml.j2",
        "settings": {"picture.steps": "28"},
        "recipes": {recipe_name(RECIPE): RECIPE},
        "entries": list(entries),
        "held": {},
        "rejected": [],
        "failed": [],
    }
    return Content(**{**given, **changes})


def run(catalog: Path, store: Store, **options) -> RunReport:
    """Carry out one run of the catalog into the store."""
    root = store.driver.local_path("format.json").parent
    with open_run(
        catalog, store=store, root=root, engines=load_engine, options=RunOptions(**options)
    ) as under_way:
        report = carry_out(under_way)
    assert report is not None
    return report


def shelf_of(store: Store, name: str = "cast") -> Shelf:
    return Shelf(store, name)


def root_of(store: Store) -> Path:
    return store.driver.local_path("format.json").parent
