"""A small released set to deliver: drawn once, read by all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from newbie_core.delivery import Delivered, Order, deliver
from newbie_core.releases import Release, Shelf
from newbie_core.store import Store
from tests.catalogs.building import make_catalog
from tests.releases.building import run

EXPRESSIONS = """\
id,expression,mood
happy,smile,=1+1
sad,frown,calm
"""
CHARACTERS = """\
id,name,gender,appearance
aria,Aria,1girl,silver_hair
ren,Ren,1boy,black_hair
"""
SETTINGS = 'columns = ["mood"]\n[picture]\nsize = "64x64"\nnegative = "lowres"\n'


def make_release(folder: Path, *, toml: str = SETTINGS, **tables: str) -> Shelf:
    """A shelf with one release of a catalog in `folder`."""
    catalog = make_catalog(folder / "cast", toml=toml, **tables)
    store = Store.open(folder / "store", create=True, durable=False)
    run(catalog, store)
    return Shelf(store, "cast")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Two characters with two expressions, released once."""
    return make_release(tmp_path_factory.mktemp("delivery"), characters=CHARACTERS, expressions=EXPRESSIONS)


@pytest.fixture(scope="session")
def release(shelf: Shelf) -> Release:
    """The release of `shelf`."""
    ref = shelf.current()
    assert ref is not None
    return shelf.read(ref)


@pytest.fixture
def export(shelf: Shelf, tmp_path: Path) -> Callable[..., Delivered]:
    """Delivers the release to `tmp_path/out`, or to what `to` names."""

    def order(to: str = "out", **options) -> Delivered:
        ref = shelf.current()
        assert ref is not None
        return deliver(shelf, ref, Order(to=tmp_path / to, **options))

    return order
