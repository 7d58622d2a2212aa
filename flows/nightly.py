"""The night: every set under `catalogs/`, one after the other; one set's failure does not stop the others.

`python -m flows.nightly` runs a night here and now.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from flows.image_set import image_set
from flows.shell import run_here
from newbie_core.catalogs import find_catalogs
from newbie_core.errors import NewbieError


class NightError(NewbieError):
    """Some sets of a night could not be made; the others are published."""

    code = "E_NIGHT"


@flow(name="nightly", persist_result=False)
def nightly(
    catalogs: str = "catalogs", store: str = "store", engine: str | None = None, model: str | None = None
) -> list[dict[str, Any]]:
    """Make what changed in every set, and publish it.

    Args:
        catalogs: the folder whose folders and workbooks are the sets.
        store: the store's folder.
        engine: an engine instead of each catalog's own.
        model: the engine's model: a folder, a file or a hub id.

    Raises:
        NightError: naming the sets that failed.
    """
    logger = get_run_logger()
    reports: list[dict[str, Any]] = []
    failed: list[str] = []
    for catalog in find_catalogs(Path(catalogs)):
        state: State[dict[str, Any]] = image_set(
            str(catalog), store=store, engine=engine, model=model, return_state=True
        )
        if state.is_completed():
            reports.append(state.result())
        else:
            logger.error("%s: %s", catalog.name, state.message)
            failed.append(f"{catalog.name}: {state.message}")
    if failed:
        raise NightError(f"{len(failed)} of {len(failed) + len(reports)} sets failed: " + "; ".join(failed))
    return reports


if __name__ == "__main__":
    sys.exit(run_here(nightly))
