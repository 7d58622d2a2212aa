"""What one run did, as people and programs read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from newbie_core.errors import Fault
from newbie_core.production.morning import Morning

DONE, FAILURE, UNUSABLE, PUBLISHED_WITH_REJECTS, LOCKED, STOPPED = 0, 1, 2, 3, 11, 143
"""The exit codes, as the README lists them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One run of one catalog.

    Attributes:
        release: the release that now counts; None when nothing is published.
        digest: its release digest.
        is_new: whether this run made it.
        generated: pictures the engine made in this run.
        reused: pictures of the plan that were there already.
        failed: ids that could not be made, with the reason.
        waiting: pictures left for later by `--limit`.
        view: the folder with the pictures under their names.
        usage: what the engine measured of itself, such as `peak_bytes`.
        undecided: changed pictures nobody approved yet, where that holds the release back.
        proposal: the folder that shows what is held back.
        canary: what the golden pictures say; None where nobody asked them.
        page: the page of what was published or proposed; None where nobody asked for it.
    """

    catalog: str
    release: str | None
    digest: str | None
    is_new: bool
    generated: int
    reused: int
    removed: int
    held: int
    waiting: int
    failed: Sequence[tuple[str, str]]
    faults: Sequence[Fault]
    seconds: float
    view: Path | None
    notes: Sequence[str] = field(default_factory=tuple)
    usage: Mapping[str, int] = field(default_factory=dict)
    undecided: Sequence[str] = field(default_factory=tuple)
    proposal: Path | None = None
    canary: Mapping[str, object] | None = None
    page: Morning | None = None

    @property
    def rejected(self) -> list[Fault]:
        """The faults that rejected rows."""
        return [fault for fault in self.faults if fault.severity == "row"]

    @property
    def exit_code(self) -> int:
        """0 done, 1 some pictures failed, 3 published with rejected rows, or held back because of drift."""
        if self.failed:
            return FAILURE
        return PUBLISHED_WITH_REJECTS if self.rejected or self.is_drifting else DONE

    @property
    def is_drifting(self) -> bool:
        """Whether the canary drifted and a decision is awaited."""
        return bool(self.canary and self.canary["waiting"])

    def record(self) -> dict[str, object]:
        """The report as `run --json` prints it."""
        return {
            "catalog": self.catalog,
            "release": self.release,
            "digest": self.digest,
            "new": self.is_new,
            "generated": self.generated,
            "reused": self.reused,
            "removed": self.removed,
            "held": self.held,
            "waiting": self.waiting,
            "failed": [{"id": picture_id, "reason": reason} for picture_id, reason in self.failed],
            "rejected": [fault.record() for fault in self.rejected],
            "warnings": [fault.record() for fault in self.faults if fault.severity == "warning"],
            "infos": [fault.record() for fault in self.faults if fault.severity == "info"],
            "seconds": round(self.seconds, 3),
            "view": str(self.view) if self.view else None,
            "notes": list(self.notes),
            "usage": dict(self.usage),
            "undecided": list(self.undecided),
            "proposal": str(self.proposal) if self.proposal else None,
            "canary": dict(self.canary) if self.canary else None,
            "page": self.page.record() if self.page else None,
            "exit_code": self.exit_code,
        }
