"""How a run is narrowed, guarded and shared out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from newbie_core.generation import Engine
from newbie_core.plans import PlanOptions

EngineLoader = Callable[[str, Mapping[str, str | int | bool]], Engine]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is narrowed and guarded.

    Args:
        engine: an engine instead of the catalog's.
        engine_options: options of the engine that win over the catalog's: where its model lies, say.
        limit: pictures made at most; the others wait for the next run.
        retry: only pictures that failed in the release that counts.
        republish: publish a content again that was rolled back from.
        require_approval: hold the release back until every changed picture is approved; the catalog may ask too.
        wait_seconds: how long to wait for another run of the set.
        canary: golden pictures where the catalog names no number.
        workers: processes that make pictures, instead of the catalog's number.
        page: make the page of what is published or proposed, beside its pictures.
        purpose: what others are told of this run while they wait for its GPU.
    """

    plan: PlanOptions = field(default_factory=PlanOptions)
    engine: str | None = None
    engine_options: Mapping[str, str | int | bool] = field(default_factory=dict)
    limit: int | None = None
    retry: bool = False
    republish: bool = False
    require_approval: bool = False
    wait_seconds: float = 0
    canary: int = 0
    workers: int | None = None
    page: bool = False
    purpose: str = "newbie run"
