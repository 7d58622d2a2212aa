"""Every failure a person can act on.

The tree::

    NewbieError                 exit code 1
    ├── InputError              exit code 2: what we were given cannot be used
    │   ├── SheetError          a workbook or CSV, with its faults
    │   ├── CatalogError        catalog.toml, with its faults
    │   ├── TemplateError       a Jinja template, with its line
    │   ├── PromptError         an XML prompt, with its line
    │   ├── PlanError           a plan that must not be carried out as it is
    │   └── DeliveryError       an export that cannot be made as it is asked for
    ├── SandboxError            a limited child process ran into its limits
    ├── EngineError             an engine cannot work at all
    │   ├── EngineChoiceError   exit code 2: no such engine, or no such option
    │   ├── ModelError          exit code 2: a checkpoint or adapter that cannot be used
    │   └── PictureError        one picture could not be made
    ├── StoreError              the store cannot be read or written
    │   ├── MissingError        a stored thing is not there
    │   ├── DamageError         a stored thing is not what its name says
    │   └── LockedError         exit code 11: somebody else is writing
    └── ReleaseError            a release cannot be published, found or moved
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["file", "row", "warning", "info"]
"""`file` stops its file, `row` rejects its row, the others reject nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with what a person gave us, said so that they can find and mend it."""

    file: str
    code: str
    message: str
    fix: str = ""
    sheet: str | None = None
    row: int | None = None
    column: str | None = None
    header: str | None = None
    severity: Severity = "row"

    def __str__(self) -> str:
        where = [self.file]
        if self.sheet is not None:
            where.append(f'sheet "{self.sheet}"')
        if self.row is not None:
            where.append(f"row {self.row}")
        if self.column is not None:
            where.append(f"column {self.column}" + (f" ({self.header})" if self.header else ""))
        elif self.header:
            where.append(f'column "{self.header}"')
        text = " · ".join(where) + ": " + self.message
        return f"{text}; {self.fix}" if self.fix else text

    def record(self) -> dict[str, str | int | None]:
        """The fault as programs read it (`--json`, rejects.csv)."""
        return {
            "file": self.file,
            "sheet": self.sheet,
            "row": self.row,
            "column": self.column,
            "header": self.header,
            "code": self.code,
            "message": self.message,
            "fix": self.fix,
            "severity": self.severity,
        }


class NewbieError(Exception):
    """Something a person can act on; its text says where, what was found, what was expected, what to do."""

    exit_code = 1
    code = "E_FAILED"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class InputError(NewbieError):
    """What we were given cannot be used; `faults` holds every reason found."""

    exit_code = 2
    code = "E_INPUT"

    def __init__(self, message: str = "", *, faults: Iterable[Fault] = (), code: str | None = None) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        if self.faults and code is None:
            code = self.faults[0].code
        super().__init__(message or "\n".join(str(fault) for fault in self.faults), code=code)


class SheetError(InputError):
    """A workbook or CSV file that cannot be read at all."""

    code = "E_SHEET"


class CatalogError(InputError):
    """A catalog folder or its catalog.toml that cannot be used."""

    code = "E_CATALOG"


class TemplateError(InputError):
    """A template that cannot be compiled or rendered."""

    code = "E_TEMPLATE"

    def __init__(
        self,
        message: str = "",
        *,
        line: int | None = None,
        faults: Iterable[Fault] = (),
        code: str | None = None,
    ) -> None:
        self.line = line
        super().__init__(message, faults=faults, code=code)


class PromptError(InputError):
    """XML that is not a prompt; `line` counts from 1."""

    code = "E_PROMPT"

    def __init__(
        self,
        message: str = "",
        *,
        line: int | None = None,
        faults: Iterable[Fault] = (),
        code: str | None = None,
    ) -> None:
        self.line = line
        super().__init__(message, faults=faults, code=code)


class PlanError(InputError):
    """A plan that must not be carried out as it is: it shrinks, is empty, or asks what the engine cannot do."""

    code = "E_PLAN"


class DeliveryError(InputError):
    """An export that cannot be made as it is asked for: names, channels, rights."""

    code = "E_EXPORT"


class SandboxError(NewbieError):
    """A limited child process ended before it answered; `reason` says which limit."""

    code = "E_SANDBOX"

    def __init__(self, message: str, *, reason: Literal["memory", "cpu", "time", "died", "failed"]) -> None:
        super().__init__(message)
        self.reason = reason


class EngineError(NewbieError):
    """An engine that cannot work at all: unknown, not installed, wrong settings."""

    code = "E_ENGINE"


class EngineChoiceError(EngineError):
    """What was asked for is no engine, or no option of it."""

    exit_code = 2
    code = "E_ENGINE_UNKNOWN"


class ModelError(EngineError):
    """A checkpoint, adapter or tokenizer that cannot be used; its text names the file and the keys."""

    exit_code = 2
    code = "E_MODEL"


class PictureError(EngineError):
    """One picture could not be made; the others go on."""

    code = "E_PICTURE"


class TrainingError(NewbieError):
    """A training run that cannot begin or go on; its text names the folder or the file."""

    exit_code = 2
    code = "E_TRAINING"


class StoreError(NewbieError):
    """The store cannot be read or written."""

    code = "E_STORE"


class MissingError(StoreError):
    """A stored thing is not there."""

    code = "E_MISSING"


class DamageError(StoreError):
    """A stored thing is not what its name or checksum says."""

    code = "E_DAMAGE"


class LockedError(StoreError):
    """Somebody else is writing what we want to write."""

    exit_code = 11
    code = "E_LOCKED"


class ReleaseError(NewbieError):
    """A release that cannot be published, found or moved."""

    code = "E_RELEASE"


def first_line(error: BaseException) -> str:
    """The first line of what a library says of a failure; its kind where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
