"""Decide which pictures to make and why, before any is made."""

from newbie_core.plans.causes import Cause
from newbie_core.plans.cells import cell_fault
from newbie_core.plans.directions import Directions, Pin, SeedRule, ladder, matches_retired
from newbie_core.plans.job import Capabilities, EngineIdentity, Job, derive_seed, job_key
from newbie_core.plans.pictures import Picture, combine, source_rows
from newbie_core.plans.planning import Change, Item, Plan, PlanOptions, estimate_seconds, make_plan
from newbie_core.plans.previous import Previous, PreviousEntry, Recipe, Released, TableValues
from newbie_core.plans.prompt_memo import Memo, PromptBook

__all__ = [
    "Capabilities",
    "Cause",
    "Change",
    "Directions",
    "EngineIdentity",
    "Item",
    "Job",
    "Memo",
    "Picture",
    "Pin",
    "Plan",
    "PlanOptions",
    "Previous",
    "PreviousEntry",
    "PromptBook",
    "Recipe",
    "Released",
    "SeedRule",
    "TableValues",
    "cell_fault",
    "combine",
    "derive_seed",
    "estimate_seconds",
    "job_key",
    "ladder",
    "make_plan",
    "matches_retired",
    "source_rows",
]
