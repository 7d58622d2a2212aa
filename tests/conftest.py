"""What every test shares: an environment that calls nobody, no store of the person's own, golden files."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings


def _use_memory_for_files() -> None:
    """Temporary files in memory where there is plenty: a store has hundreds of folders, and disks remove them slowly."""
    shared, gib = Path("/dev/shm"), 1 << 30
    if "TMPDIR" in os.environ or not os.access(shared, os.W_OK):
        return
    room = os.statvfs(shared)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if min(room.f_bavail * room.f_frsize, free) > 8 * gib:
        os.environ["TMPDIR"] = str(shared)
        tempfile.tempdir = None  # pytest has asked for it before


_use_memory_for_files()
# A busy machine makes no example wrong.
settings.register_profile("line", deadline=None)
settings.load_profile("line")

# Prefect reads these when it is imported, so they are set before any test module is.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="newbie-prefect-")
os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
os.environ.pop("PREFECT_API_URL", None)
os.environ.pop("NEWBIE_STORE", None)
os.environ.pop("NEWBIE_MODEL", None)
# Tests of the line are about the line: drawings come at once, and a test that needs the network names it.
os.environ["NEWBIE_ENGINE"] = "sketch"
# torch's threads wait for each other by spinning: with as many test processes as cores, one each is fastest.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What is remembered of weight files stays out of the person's own cache.
os.environ["NEWBIE_CACHE"] = tempfile.mkdtemp(prefix="newbie-cache-")
_MADE = (os.environ["PREFECT_HOME"], os.environ["NEWBIE_CACHE"])


LONG_FILES = (
    "flows/test_deployment.py",
    "engines/test_newbie.py",
    "nano/test_training.py",
    "flows/test_flows.py",
    "faults/test_killed_runs.py",
    "cli/test_create.py",
    "cli/test_model_shell.py",
    "nano/test_own_pictures.py",
    "model/test_stages.py",
    "nano/test_autoencoder.py",
    "model/test_parity.py",
    "nano/test_folder.py",
    "model/test_benchmarks.py",
    "sheets/test_reading.py",
)
"""Files of half a minute and more. Where files are spread over processes, one that came last would be waited for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, all else as collected."""
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_unconfigure() -> None:
    """What was made above is removed; forks of this process never come here."""
    for folder in _MADE:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-goldens` writes golden files anew."""
    parser.addoption("--update-goldens", action="store_true", help="write the golden files anew")


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-goldens"))
