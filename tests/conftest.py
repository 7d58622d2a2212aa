"""What every test shares: an environment that calls nobody, no store of the person's own, golden files."""

from __future__ import annotations

import os
import tempfile

import pytest

# Prefect reads these when it is imported, so they are set before any test module is.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="newbie-prefect-")
os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
os.environ.pop("PREFECT_API_URL", None)
os.environ.pop("NEWBIE_STORE", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-goldens` writes golden files anew."""
    parser.addoption("--update-goldens", action="store_true", help="write the golden files anew")


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-goldens"))
