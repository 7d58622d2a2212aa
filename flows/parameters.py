"""The parameters that flows share, typed so that Prefect's form checks them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from newbie_core.plans import PlanOptions
from newbie_core.production import RunOptions

Limit = Annotated[int, Field(ge=0, title="pictures at most")]
Workers = Annotated[int, Field(ge=1, le=64, title="processes that make pictures, one a GPU")]
Goldens = Annotated[int, Field(ge=0, le=8, title="golden pictures made again first")]
Page = Annotated[bool, Field(title="make the page of the version")]
WHOLE_NUMBERS = frozenset({"limit", "workers", "canary"})
"""The parameters that are numbers, for the command line."""


def run_options(
    *,
    engine: str | None = None,
    model: str | None = None,
    only: list[str] | None = None,
    limit: int | None = None,
    strict: bool = False,
    allow_shrink: bool = False,
    require_approval: bool = False,
    workers: int | None = None,
    canary: int = 0,
    page: bool = True,
    purpose: str = "the flow of",
) -> RunOptions:
    """A flow's parameters as a run's options."""
    return RunOptions(
        plan=PlanOptions(only=tuple(only or ()), strict=strict, allow_shrink=allow_shrink),
        engine=engine,
        engine_options={"model": model} if model else {},
        limit=limit,
        require_approval=require_approval,
        workers=workers,
        canary=canary,
        page=page,
        purpose=purpose,
    )
