"""Lets tests here import their neighbours (`conformance`, `memory_driver`), however pytest is started."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)


@pytest.fixture
def store(tmp_path: Path) -> Iterator:
    """A new store on a local folder, without syncs."""
    from newbie_core.store import Store

    with Store.open(tmp_path / "store", durable=False) as made:
        yield made
