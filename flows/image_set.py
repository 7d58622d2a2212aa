"""The flow of one image set: any catalog, sheet to release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow

from flows.parameters import Limit, Page, Workers, run_options
from flows.shell import closing
from flows.tasks import carry_out, one_at_a_time


@flow(
    name="image-set",
    flow_run_name="{catalog}",
    task_runner=one_at_a_time(),
    persist_result=False,
)
def image_set(
    catalog: str,
    store: str = "store",
    engine: str | None = None,
    model: str | None = None,
    only: list[str] | None = None,
    limit: Limit | None = None,
    strict: bool = False,
    allow_shrink: bool = False,
    require_approval: bool = False,
    workers: Workers | None = None,
    page: Page = True,
) -> dict[str, Any]:
    """Make and publish one set.

    Args:
        catalog: the catalog's folder or file.
        store: the store's folder.
        engine: an engine instead of the catalog's.
        model: the engine's model: a folder, a file or a hub id.
        only: globs on picture ids.
        limit: pictures made at most.
        strict: any rejected row stops the set.
        allow_shrink: accept that many pictures are gone.
        require_approval: hold the version back until every changed picture is approved.
        workers: processes that make pictures, one a GPU, instead of the catalog's number.
        page: make the version's page, to look and decide.
    """
    options = run_options(
        engine=engine,
        model=model,
        only=only,
        limit=limit,
        strict=strict,
        allow_shrink=allow_shrink,
        require_approval=require_approval,
        workers=workers,
        page=page,
    )
    with closing():
        return carry_out(Path(catalog), Path(store), options)
