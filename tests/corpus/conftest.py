"""The corpus's trials run two at a time ahead of the tests that look at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.corpus.shell import Finished, Trial

_AT_ONCE = 2


class Rehearsal:
    """Carries out trials in the background; `finished` waits for one."""

    def __init__(self, trials: list[Trial], folder: Callable[[], Path]) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._folder = folder
        self._futures: dict[str, Future[Finished]] = {}
        for trial in trials:
            self._start(trial)

    def finished(self, trial: Trial) -> Finished:
        """What came of the trial."""
        if trial.name not in self._futures:
            self._start(trial)
        return self._futures[trial.name].result()

    def close(self) -> None:
        """Drop what nobody waits for."""
        self._pool.shutdown(cancel_futures=True)

    def _start(self, trial: Trial) -> None:
        self._futures[trial.name] = self._pool.submit(trial.go, self._folder())


@pytest.fixture(scope="session")
def rehearsal(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rehearsal]:
    """All trials of this session; under xdist each worker starts only those it is asked for."""
    trials = [
        item.callspec.params["trial"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and "trial" in item.callspec.params
    ]
    if hasattr(request.config, "workerinput"):
        trials = []
    made = Rehearsal(trials, lambda: tmp_path_factory.mktemp("trial"))
    yield made
    made.close()


@pytest.fixture
def finished(rehearsal: Rehearsal, trial: Trial) -> Finished:
    """The test's trial, carried out."""
    return rehearsal.finished(trial)


@pytest.fixture(autouse=True)
def started(rehearsal: Rehearsal) -> None:
    """The trials run while the tests that need none go first."""
