"""The corpus's trials run two at a time ahead of the tests that look at them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.corpus.shell import Finished, Trial

_AT_ONCE = 2


class Rehearsal:
    """Carries out trials in the background; `finished` waits for one."""

    def __init__(self, trials: list[Trial]) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._folder = Path(tempfile.mkdtemp(prefix="trials-"))
        self._futures: dict[str, Future[Finished]] = {}
        for trial in {trial.name: trial for trial in trials}.values():
            self._start(trial)

    def finished(self, trial: Trial) -> Finished:
        """What came of the trial."""
        if trial.name not in self._futures:
            self._start(trial)
        return self._futures[trial.name].result()

    def close(self) -> None:
        """Drop what nobody waits for, and every store: each has hundreds of folders."""
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._folder)

    def _start(self, trial: Trial) -> None:
        folder = self._folder / str(len(self._futures))
        folder.mkdir()
        self._futures[trial.name] = self._pool.submit(trial.go, folder)


@pytest.fixture(scope="session")
def rehearsal(request: pytest.FixtureRequest) -> Iterator[Rehearsal]:
    """All trials of this session; under xdist each worker starts only those it is asked for."""
    trials = [
        item.callspec.params["trial"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "trial" in item.callspec.params
    ]
    if hasattr(request.config, "workerinput"):
        trials = []
    made = Rehearsal(trials)
    yield made
    made.close()


@pytest.fixture
def finished(rehearsal: Rehearsal, trial: Trial) -> Finished:
    """The test's trial, carried out."""
    return rehearsal.finished(trial)


@pytest.fixture(autouse=True)
def started(rehearsal: Rehearsal, request: pytest.FixtureRequest) -> Iterator[None]:
    """The trials run while the tests that need none go first; those leave no store behind."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None:
        shutil.rmtree(folder / "store", ignore_errors=True)
