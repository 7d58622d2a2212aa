"""The canary: a few golden pictures are made again before others, and compared by their pixels.

A set's goldens are lines of `goldens/<set>/journal.jsonl`, only ever added to; their files are objects. Each
line of event `goldens` belongs to one engine and one environment (hardware, libraries, our own version)::

    {"event": "goldens", "engine": {…}, "environment": {…}, "goldens": [{"job": {…}, "pixels": …, "object": …}]}

Tonight's pictures are compared with this environment's goldens, else with those of the last one that
counted. Drift beyond what the catalog accepts is written down too, and holds every release of the set
back until somebody accepts it (then tonight's pictures become the goldens) or rejects it (then what was
made meanwhile is forgotten, and made again).
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_args

from newbie_core.catalogs.unattended import Drift
from newbie_core.digests import digest_value
from newbie_core.errors import NewbieError
from newbie_core.images import decode
from newbie_core.plans import EngineIdentity, Job
from newbie_core.production.hands import Rendered
from newbie_core.production.likeness import Likeness, likeness
from newbie_core.store import Store

USUAL_GOLDENS = 4
_DRIVER = Path("/sys/module/nvidia/version")
_DRIFTS: tuple[Drift, ...] = get_args(Drift)
_OWN_PACKAGES = {"newbie": "newbie-assets", "pillow": "Pillow", "numpy": "numpy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What makes pictures: the engine's parts, and the environment it works in."""

    engine: Mapping[str, str]
    environment: Mapping[str, str]
    made_in: str

    @property
    def id(self) -> str:
        """Equal ids: the same engine in the same environment."""
        return digest_value({"engine": dict(self.engine), "environment": dict(self.environment)})

    def changes_since(self, before: Mapping[str, Any]) -> list[str]:
        """What differs from the engine and environment of a journal's line: `torch 2.11.0 → 2.12.0`."""
        found = []
        for part, now in (("engine", self.engine), ("environment", self.environment)):
            old = before[part]
            for name in sorted({*old, *now}):
                was, is_now = old.get(name, "(none)"), now.get(name, "(none)")
                if was != is_now:
                    found.append(f"{name} {_short(was)} → {_short(is_now)}")
        return found


def where_now(identity: EngineIdentity, environment: Mapping[str, str]) -> Where:
    """Engine and environment as the canary tells them: with our version, image libraries and GPU driver."""
    facts = {name: _version(package) for name, package in _OWN_PACKAGES.items()}
    facts |= {"python": platform.python_version(), "machine": platform.machine()}
    if _DRIVER.exists():
        facts["driver"] = _DRIVER.read_text(encoding="ascii", errors="replace").strip()
    return Where(
        engine={"engine": identity.name, **identity.parts, "fingerprint": identity.fingerprint},
        environment={**facts, **environment},
        made_in=digest_value(dict(environment)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """A golden picture: how it is asked for, and how it came out."""

    job: Job
    pixels: str
    object: str
    size: int

    def record(self) -> dict[str, Any]:
        """The golden as the journal keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One golden picture of tonight beside the one before."""

    id: str
    verdict: Drift
    likeness: Likeness | None
    problem: str = ""

    def record(self) -> dict[str, Any]:
        """The finding as programs read it."""
        measured = self.likeness.record() if self.likeness else {}
        return {"id": self.id, "verdict": self.verdict, **measured, "problem": self.problem}


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """What the canary says; `verdict` None: there was nothing to compare with yet.

    Attributes:
        changed: what differs between the environments compared, each by name.
        waiting: releases are held back until somebody decides.
        settled: an earlier drift is over, and what was made in it was forgotten.
    """

    verdict: Drift | None
    findings: Sequence[Finding]
    changed: Sequence[str]
    waiting: bool
    seconds: float
    settled: bool = False

    def record(self) -> dict[str, Any]:
        """The report as programs read it."""
        return {
            "verdict": self.verdict or "first",
            "pictures": [finding.record() for finding in self.findings],
            "changed": list(self.changed),
            "waiting": self.waiting,
            "seconds": round(self.seconds, 3),
        }

    def sentences(self) -> list[str]:
        """What people are told; nothing when the pixels are equal."""
        if self.verdict is None or (self.verdict == "equal" and not self.settled):
            return []
        if self.verdict == "equal":
            return ["the canary's pictures are equal again; what was made during the drift is made anew"]
        named = "; ".join(self.changed) or (
            "nothing that is recorded changed, so suspect the hardware, or files replaced in place"
        )
        off = [finding for finding in self.findings if finding.verdict != "equal"]
        how = "look the same but have other pixels" if self.verdict == "alike" else "have changed"
        told = [f"{len(off)} of {len(self.findings)} golden pictures {how} ({named})"]
        told.extend(f"golden {finding.id}: {finding.problem or finding.likeness}" for finding in off)
        return told


@dataclass(slots=True)
class CanaryBook:
    """A set's journal of goldens, read."""

    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    last: dict[str, dict[str, Any]] = field(default_factory=dict)
    drift: dict[str, Any] | None = None
    damaged: int = 0

    def baseline(self, where: Where) -> dict[str, Any] | None:
        """The goldens of this very environment, else those that counted last of this engine."""
        return self.baselines.get(where.id) or self.last.get(where.engine["engine"])


def read_book(store: Store, set_name: str) -> CanaryBook:
    """What is known of a set's goldens; damaged lines are passed over."""
    records, damaged = store.goldens(set_name).read()
    book = CanaryBook(damaged=len(damaged))
    for record in records:
        if record["event"] == "goldens":
            book.baselines[record["where"]] = book.last[record["engine"]["engine"]] = record
            book.drift = None
        else:
            book.drift = record if record["event"] == "drift" else None
    return book


def check_canary(
    store: Store,
    set_name: str,
    *,
    where: Where,
    jobs: Callable[[int], Sequence[Job]],
    render: Callable[[Sequence[Job]], list[Rendered]],
    wanted: int,
    accept: Drift,
) -> CanaryReport:
    """Make the set's golden pictures again and compare them; the holder of the set's lock calls this.

    Args:
        jobs: so many of tonight's jobs, to become goldens where there are too few.
        render: makes pictures anew.
        wanted: how many goldens.
        accept: the drift that needs no decision.
    """
    began = time.monotonic()
    book = read_book(store, set_name)
    baseline = book.baseline(where)
    if baseline is None:
        _keep(store, set_name, where, _made(jobs(wanted), render), why="first")
        return CanaryReport(
            verdict=None, findings=(), changed=(), waiting=False, seconds=time.monotonic() - began
        )
    goldens = [_golden(record) for record in baseline["goldens"]][:wanted]
    now = render([golden.job for golden in goldens])
    findings = [_compare(store, golden, made) for golden, made in zip(goldens, now, strict=True)]
    verdict: Drift = max((finding.verdict for finding in findings), key=_DRIFTS.index, default="equal")
    fresh = [
        Golden(job=golden.job, pixels=made.pixels, object=made.object, size=made.size)
        for golden, made in zip(goldens, now, strict=True)
        if made.object
    ]
    settled = waiting = False
    if verdict == "equal":
        settled = _settle(store, set_name, book)
        missing = wanted - len(goldens)
        known = {golden.job.key for golden in goldens}
        further = [job for job in jobs(wanted) if job.key not in known][:missing] if missing else []
        if baseline["where"] != where.id or further:
            _keep(store, set_name, where, [*fresh, *_made(further, render)], why="equal")
    elif _DRIFTS.index(verdict) <= _DRIFTS.index(accept):
        _keep(store, set_name, where, fresh, why=f"the catalog accepts {accept}")
    else:
        waiting = True
    report = CanaryReport(
        verdict=verdict,
        findings=findings,
        changed=where.changes_since(baseline),
        waiting=waiting,
        seconds=time.monotonic() - began,
        settled=settled,
    )
    if waiting:
        _note_drift(store, set_name, book, where, fresh, report)
    return report


def accept_drift(store: Store, set_name: str, *, by: str, note: str) -> dict[str, Any]:
    """Let the drift that is waiting count: its pictures become the goldens. What was accepted."""
    drift = _waiting_drift(store, set_name)
    _append(store, set_name, {**drift, "event": "goldens", "why": "accepted", "by": by, "note": note})
    return drift


def reject_drift(store: Store, set_name: str, *, by: str, note: str) -> int:
    """Forget what was made during the drift that is waiting; how many pictures. The goldens stay as they were."""
    drift = _waiting_drift(store, set_name)
    forgotten = _forget(store, drift)
    _append(store, set_name, {"event": "rejected", "by": by, "note": note})
    return forgotten


def _waiting_drift(store: Store, set_name: str) -> dict[str, Any]:
    drift = read_book(store, set_name).drift
    if drift is None:
        raise NewbieError(f'set "{set_name}": no drift is waiting for a decision', code="E_CANARY")
    return drift


def _note_drift(
    store: Store,
    set_name: str,
    book: CanaryBook,
    where: Where,
    fresh: Sequence[Golden],
    report: CanaryReport,
) -> None:
    goldens = [golden.record() for golden in fresh]
    before = book.drift
    if before and (before["where"], before["goldens"]) == (where.id, goldens):
        return
    _append(
        store,
        set_name,
        {
            **_where_record(where),
            "event": "drift",
            "goldens": goldens,
            "report": report.record(),
            "since": before["since"] if before else datetime.now(UTC).isoformat(timespec="seconds"),
            "made_in": sorted({where.made_in, *(before["made_in"] if before else ())}),
        },
    )


def _settle(store: Store, set_name: str, book: CanaryBook) -> bool:
    if book.drift is None:
        return False
    _forget(store, book.drift)
    _append(store, set_name, {"event": "settled"})
    return True


def _forget(store: Store, drift: Mapping[str, Any]) -> int:
    """Forget the pictures made in the drift's environments since it was first seen."""
    return store.forget_actions(
        lambda record: (
            record.get("environment") in drift["made_in"] and record.get("made", "") >= drift["since"]
        )
    )


def _made(jobs: Sequence[Job], render: Callable[[Sequence[Job]], list[Rendered]]) -> list[Golden]:
    if not jobs:
        return []
    return [
        Golden(job=job, pixels=made.pixels, object=made.object, size=made.size)
        for job, made in zip(jobs, render(jobs), strict=True)
        if made.object
    ]


def _keep(store: Store, set_name: str, where: Where, goldens: Sequence[Golden], *, why: str) -> None:
    if goldens:
        records = [golden.record() for golden in goldens]
        _append(
            store,
            set_name,
            {**_where_record(where), "event": "goldens", "goldens": records, "why": why},
        )


def _where_record(where: Where) -> dict[str, Any]:
    return {"where": where.id, "engine": dict(where.engine), "environment": dict(where.environment)}


def _append(store: Store, set_name: str, record: Mapping[str, Any]) -> None:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    store.goldens(set_name).append({**record, "at": at})


def _golden(record: Mapping[str, Any]) -> Golden:
    return Golden(**{**record, "job": Job(**record["job"])})


def _compare(store: Store, golden: Golden, made: Rendered) -> Finding:
    if made.problem:
        return Finding(id=golden.job.id, verdict="changed", likeness=None, problem=made.problem)
    if made.pixels == golden.pixels:
        return Finding(id=golden.job.id, verdict="equal", likeness=None)
    try:
        found = likeness(decode(store.get(golden.object)), decode(store.get(made.object)))
    except NewbieError as error:
        problem = f"its pixels differ, and the golden picture cannot be read ({error})"
        return Finding(id=golden.job.id, verdict="changed", likeness=None, problem=problem)
    return Finding(id=golden.job.id, verdict="alike" if found.is_alike else "changed", likeness=found)


def _short(value: str) -> str:
    return value[:12] if len(value) == 64 else value


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
