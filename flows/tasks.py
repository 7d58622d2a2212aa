"""The steps every flow shares: open a run, ask the canary, make its pictures chunk by chunk, check, publish.

One task run is one chunk of pictures (`CHUNK` of them, and as many more as there are workers), and what
crosses Prefect is a run's id and two numbers. Prefect remembers nothing (`NO_CACHE`): the store knows what
is made, so running again is resuming. No step asks Prefect's server for anything: a run whose server dies
goes on and publishes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import TaskRunNameCallbackWithParameters

from flows.artifacts import Shown
from flows.ledger import LEDGER
from newbie_core.engines import load_engine
from newbie_core.errors import NewbieError, PictureError
from newbie_core.production import Run, RunOptions, open_run
from newbie_core.store import Store

_open_runs: dict[str, Run] = {}
"""The runs of this process: a task finds its run by id, so that no run is ever pickled."""


def is_machine_failure(_task: Any, _task_run: Any, state: Any) -> bool:
    """Whether trying again may help: a NewbieError says what a person must do first."""
    return not isinstance(state.result(raise_on_failure=False), NewbieError)


@contextmanager
def opened_run(catalog: Path, store: Path, options: RunOptions) -> Iterator[Run]:
    """A planned run whose tasks can be called; holds the set's lock."""
    with (
        Store.open(store) as opened,
        open_run(catalog, store=opened, root=store, engines=load_engine, options=options) as run,
    ):
        _open_runs[run.run_id] = run
        try:
            yield run
        finally:
            del _open_runs[run.run_id]


@task(name="canary", task_run_name="{name}: canary", cache_policy=NO_CACHE, persist_result=False)
def ask_canary(name: str, run_id: str) -> list[str]:
    """Make the golden pictures again; what there is to tell of drift."""
    report = _open_runs[run_id].canary()
    return report.sentences() if report else []


def chunk_name(parameters: dict[str, Any]) -> str:
    """What a chunk's task run is called: people count pictures from 1."""
    return f"{parameters['name']}: pictures {parameters['start'] + 1} to {parameters['stop']}"


@task(
    name="make pictures",
    task_run_name=cast(TaskRunNameCallbackWithParameters, chunk_name),
    tags=["gpu"],
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_machine_failure,
)
def make_pictures(name: str, run_id: str, start: int, stop: int) -> tuple[int, int]:
    """Make one chunk of a run's pending pictures; how many were made and how many failed."""
    return _open_runs[run_id].make(range(start, stop))


@task(name="check", task_run_name="{name}: check", cache_policy=NO_CACHE, persist_result=False)
def check(name: str, run_id: str) -> int:
    """Read back what was made; how many pictures are whole."""
    return _open_runs[run_id].check()


@task(name="publish", task_run_name="{name}: publish", cache_policy=NO_CACHE, persist_result=False)
def publish(name: str, run_id: str) -> dict[str, Any]:
    """Publish what the run gives; its report."""
    return _open_runs[run_id].publish().record()


def one_at_a_time() -> TaskRunner[PrefectFuture[Any]]:
    """The task runner of every flow: one chunk at a time, in a thread of the flow's process."""
    return cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=1))


def carry_out(catalog: Path, store: Path, options: RunOptions) -> dict[str, Any]:
    """One set from sheet to release, inside a flow; the run's report.

    Raises:
        PictureError: pictures failed; the others are published.
        NewbieError: the set could not be made at all; nothing that was published is touched.
    """
    logger = get_run_logger()
    with opened_run(catalog, store, options) as run:
        name = run.plan.catalog.name
        shown = Shown(name)
        logger.info("%s: %d pictures, %d to make", name, len(run.plan.items), len(run.pending))
        for fault in run.plan.rejected():
            logger.warning("rejected: %s", fault)
        shown.plan(run)
        for sentence in ask_canary(name, run.run_id):
            logger.warning("canary: %s", sentence)
        shown.begin(len(run.pending))
        for chunk in run.chunks():
            make_pictures(name, run.run_id, chunk.start, chunk.stop)
            shown.advance(chunk.stop)
        check(name, run.run_id)
        report = publish(name, run.run_id)
        LEDGER.enter(report)
    logger.info("%s: %s, %d generated", report["catalog"], report["release"], report["generated"])
    shown.release(report)
    if report["failed"]:
        names = ", ".join(failed["id"] for failed in report["failed"][:5])
        raise PictureError(
            f"{len(report['failed'])} pictures of {report['catalog']} failed ({names} …); "
            f"{report['release']} holds the others. `newbie retry` makes them again"
        )
    return report


__all__ = ["carry_out", "make_pictures", "one_at_a_time", "opened_run", "publish"]
