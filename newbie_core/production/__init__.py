"""One run: sheet to release, in steps a shell or a flow calls."""

from newbie_core.production.draft import Draft, StoreMemo, draft_plan
from newbie_core.production.history import History
from newbie_core.production.opening import carry_out, open_run
from newbie_core.production.options import RunOptions
from newbie_core.production.report import RunReport
from newbie_core.production.run import Run

__all__ = [
    "Draft",
    "History",
    "Run",
    "RunOptions",
    "RunReport",
    "StoreMemo",
    "carry_out",
    "draft_plan",
    "open_run",
]
