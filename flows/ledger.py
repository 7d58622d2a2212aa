"""What this process has done, whatever Prefect's server knows of it: the exit code comes from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Ledger:
    """The reports of this process's runs; `error` is what a flow itself ended with, `is_closed` that it ended."""

    reports: list[Mapping[str, Any]] = field(default_factory=list)
    error: Exception | None = None
    is_closed: bool = False

    def enter(self, report: Mapping[str, Any]) -> None:
        """One set is done."""
        self.reports.append(report)

    def close(self, error: Exception | None = None) -> None:
        """The flow's own code has come to its end, well or with `error`."""
        self.error = error
        self.is_closed = True

    def open(self) -> None:
        """A flow begins."""
        self.reports = []
        self.error = None
        self.is_closed = False


LEDGER = Ledger()
"""Of this process."""
