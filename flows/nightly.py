"""The night: every set under `catalogs/`, one after the other; one set's failure does not stop the others.

`python -m flows.nightly` runs a night here and now.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.artifacts import Shown
from flows.parameters import Goldens, Page, Workers, run_options
from flows.shell import closing, run_here
from flows.tasks import carry_out, one_at_a_time
from newbie_core.catalogs import find_catalogs
from newbie_core.errors import NewbieError
from newbie_core.production import RunOptions
from newbie_core.production.canary import USUAL_GOLDENS
from newbie_core.store import Store


class NightError(NewbieError):
    """Some sets of a night could not be made; the others are published."""

    code = "E_NIGHT"


def tonight() -> str:
    """What a night's run is called: by its date, and the hour for those that are started by day."""
    return f"night of {datetime.now():%Y-%m-%d %H:%M}"


@task(name="set", task_run_name="{catalog}", cache_policy=NO_CACHE, persist_result=False)
def make_set(catalog: str, store: str, options: RunOptions) -> dict[str, Any]:
    """One set, sheet to release; its report."""
    return carry_out(Path(catalog), Path(store), options)


@flow(name="nightly", flow_run_name=tonight, task_runner=one_at_a_time(), persist_result=False)
def nightly(
    catalogs: str = "catalogs",
    store: str = "store",
    engine: str | None = None,
    model: str | None = None,
    require_approval: bool = False,
    canary: Goldens = USUAL_GOLDENS,
    workers: Workers | None = None,
    page: Page = True,
) -> list[dict[str, Any]]:
    """Make what changed in every set, and publish it.

    Args:
        catalogs: the folder whose folders and workbooks are the sets.
        store: the store's folder.
        engine: an engine instead of each catalog's own.
        model: the engine's model: a folder, a file or a hub id.
        require_approval: hold every version back until its changed pictures are approved.
        canary: golden pictures made again first, where a catalog names no number.
        workers: processes that make pictures, one a GPU, instead of each catalog's own number.
        page: make each version's page, to look and decide in the morning.

    Raises:
        NightError: naming the sets that failed.
        LockedError: another night of this store is under way.
    """
    options = run_options(
        engine=engine,
        model=model,
        require_approval=require_approval,
        canary=canary,
        workers=workers,
        page=page,
        purpose="the night's",
    )
    with closing(), Store.open(Path(store)) as opened, opened.night():
        return _every_set(find_catalogs(Path(catalogs)), store, options)


def _every_set(catalogs: list[Path], store: str, options: RunOptions) -> list[dict[str, Any]]:
    logger = get_run_logger()
    reports: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for catalog in catalogs:
        state: State[dict[str, Any]] = make_set(str(catalog), store, options, return_state=True)
        if state.is_completed():
            reports.append(state.result())
        else:
            logger.error("%s: %s", catalog.name, state.message)
            failed[catalog.name] = str(state.message)
    Shown("night").summary(reports, failed)
    if failed:
        named = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise NightError(f"{len(failed)} of {len(failed) + len(reports)} sets failed: {named}")
    return reports


if __name__ == "__main__":
    sys.exit(run_here(nightly))
