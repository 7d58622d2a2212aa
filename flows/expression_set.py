"""The expression set: every character with every expression, one picture a cell.

`python -m flows.expression_set` runs it here and now and says where the pictures are.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from prefect import flow

from flows.parameters import Limit, Page, Workers, run_options
from flows.shell import closing, run_here
from flows.tasks import carry_out, one_at_a_time

CATALOG = "catalogs/expressions"


@flow(name="expression-set", flow_run_name="{catalog}", task_runner=one_at_a_time(), persist_result=False)
def expression_set(
    catalog: str = CATALOG,
    store: str = "store",
    engine: str | None = None,
    model: str | None = None,
    only: list[str] | None = None,
    limit: Limit | None = None,
    strict: bool = False,
    require_approval: bool = False,
    workers: Workers | None = None,
    page: Page = True,
) -> dict[str, Any]:
    """Make and publish the matrix of characters and expressions.

    Args:
        catalog: the catalog's folder or file.
        store: the store's folder.
        engine: an engine instead of the catalog's.
        model: the engine's model: a folder, a file or a hub id.
        only: globs on picture ids, such as "aria/*".
        limit: pictures made at most.
        strict: any rejected row stops the set.
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
        require_approval=require_approval,
        workers=workers,
        page=page,
    )
    with closing():
        return carry_out(Path(catalog), Path(store), options)


if __name__ == "__main__":
    sys.exit(run_here(expression_set))
