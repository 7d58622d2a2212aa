"""One small catalog and one undisturbed run of it, for all fault tests."""

import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)

pytest.register_assert_rewrite("line")

from line import Reference, make_catalog, make_reference  # noqa: E402


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The catalog of 24 pictures, run once undisturbed."""
    folder = tmp_path_factory.mktemp("reference")
    return make_reference(make_catalog(folder / "catalog"), folder / "store")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where a test's store will be."""
    return tmp_path / "store"
