"""Where things are: the store, and which set a catalog argument means."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from newbie_core.catalogs.settings import SETTINGS_FILE, load_settings
from newbie_core.errors import CatalogError, MissingError
from newbie_core.releases import sets
from newbie_core.spelling import nearest
from newbie_core.store import Store

FSYNC_VARIABLE = "NEWBIE_FSYNC"
"""`0` writes without fsync: for measurements and throw-away stores only."""


def is_durable() -> bool:
    """Whether writes are fsynced: unless the environment says NEWBIE_FSYNC=0."""
    return os.environ.get(FSYNC_VARIABLE) != "0"


def make_store(root: Path) -> Store:
    """The store at `root`, made when there is none."""
    return Store.open(root, create=True, durable=is_durable())


def needed_store(root: Path, *, doubtful: bool = False) -> Store:
    """The store at `root`; `doubtful` opens a damaged one too, to look at it.

    Raises:
        MissingError: there is none.
    """
    if not root.is_dir():
        raise MissingError(f"{root}: there is no store; name one with --store, or make one with `newbie run`")
    return Store.open(root, create=False, durable=is_durable(), doubtful=doubtful)


@contextmanager
def store_if_any(root: Path) -> Iterator[Store | None]:
    """The store at `root`, or None where nothing has been made yet."""
    if not (root / "format.json").exists():
        yield None
        return
    with needed_store(root) as store:
        yield store


def set_name_of(catalog: str, store: Store) -> str:
    """The set a CATALOG argument means: a folder's or file's set, or a set's own name.

    Raises:
        CatalogError: neither a path nor the name of a set in the store.
    """
    path = Path(catalog)
    if path.is_dir():
        return load_settings(path / SETTINGS_FILE, name=path.resolve().name).name
    if path.exists():
        return unicodedata.normalize("NFC", path.stem)
    known = sets(store)
    if catalog in known:
        return catalog
    if path.stem in known:
        return path.stem
    near = nearest(catalog, known)
    hint = f'did you mean "{near}"?' if near else f"sets in the store: {', '.join(known) or 'none'}"
    raise CatalogError(
        f'"{catalog}" is no folder, no file and no set in the store; {hint}', code="E_CATALOG_MISSING"
    )
