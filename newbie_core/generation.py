"""Carry out a plan's jobs on an engine, skipping what is there.

The engine draws in the calling thread; behind it one thread encodes and one writes, so that the
engine never waits for PNG or disk. What has been made while the last group was written becomes the
next group: one pass of fsyncs covers all of it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, cast

from newbie_core.digests import digest_bytes, digest_value
from newbie_core.errors import NewbieError, PictureError
from newbie_core.images import DRAWN, TRAINED, PictureRecord, embed, encode_png, has_picture, pixel_digest
from newbie_core.plans import Capabilities, EngineIdentity, Job
from newbie_core.rights import ENGINE_PART, Licence
from newbie_core.store import Store

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)
_IN_FLIGHT = 32
"""Pictures between engine and disk at most; bounds memory."""


class Engine(Protocol):
    """A way to make pictures. Hardware and libraries may change; equal identities promise equal recipes."""

    def identity(self) -> EngineIdentity:
        """What decides its pixels: name, weights, precision, version of the algorithm."""

    def capabilities(self) -> Capabilities:
        """What it can be asked for."""

    def environment(self) -> Mapping[str, str]:
        """Hardware and library versions, recorded beside each picture."""

    def pictures(self, jobs: Sequence[Job]) -> Iterator[Image | PictureError]:
        """One picture a job, in order; a PictureError in place of one that cannot be made."""

    def close(self) -> None:
        """Give back what it holds."""


class MeasuresItself(Protocol):
    """An engine may also say what its pictures took; the run's report and the release's attestation keep it."""

    def usage(self) -> Mapping[str, int]:
        """Figures by name, such as `peak_bytes` and `predicted_peak_bytes`; nothing when it made nothing."""

    def remarks(self) -> Sequence[str]:
        """What people should know of pictures it made all the same: a prompt that was cut, say."""


class StatesRights(Protocol):
    """An engine may also say under which licences its pictures come about; a release keeps it."""

    def licences(self) -> Sequence[Licence]:
        """Its own licence and those of its weights and adapters."""


def licences_of(engine: Engine) -> list[Licence]:
    """What the engine says of licences; of one that says nothing, that nobody knows."""
    if hasattr(engine, "licences"):
        return list(cast(StatesRights, engine).licences())
    identity = engine.identity()
    return [Licence(part=ENGINE_PART, name=identity.name, digest=identity.fingerprint)]


def usage_of(engine: Engine) -> dict[str, int]:
    """What the engine measured of itself, if it does."""
    if not hasattr(engine, "usage"):
        return {}
    return dict(cast(MeasuresItself, engine).usage())


def remarks_of(engine: Engine) -> list[str]:
    """What the engine remarks on pictures it made, if it does."""
    return list(cast(MeasuresItself, engine).remarks()) if hasattr(engine, "remarks") else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A picture that is in the store: its object, its pixels, the seconds the engine took."""

    job: Job
    object: str
    size: int
    pixels: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A picture that could not be made, and why."""

    job: Job
    reason: str


Outcome = Made | Failed


def recall_made(store: Store, key: str) -> dict[str, Any] | None:
    """What the store remembers of a made picture, if its object is still there: object, size, pixels, seconds."""
    record = store.recall(key)
    if record is None or not store.has(record["object"]):
        return None
    return record


def generate(
    jobs: Sequence[Job],
    *,
    engine: Engine,
    store: Store,
    stop: threading.Event | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Make every job's picture and put it into the store; one failure does not stop the others.

    Args:
        stop: when set, ends after the picture in hand; what was made is kept.
        on_outcome: called in the writing thread for each picture, once it is durable.

    Raises:
        StoreError: the store cannot be written; what was written before is kept.
        EngineError: the engine cannot work at all.
    """
    with _Line(store, engine, on_outcome) as line:
        before = time.perf_counter()
        for job, picture in zip(jobs, engine.pictures(jobs), strict=True):
            now = time.perf_counter()
            line.take(job, picture, now - before)
            if stop is not None and stop.is_set():
                break
            before = time.perf_counter()
    return line.outcomes


class _Line:
    """The encoding and writing threads behind an engine."""

    def __init__(self, store: Store, engine: Engine, on_outcome: Callable[[Outcome], None] | None) -> None:
        self.outcomes: list[Outcome] = []
        self._store = store
        self._identity = engine.identity()
        self._source_type = TRAINED if engine.capabilities().trained else DRAWN
        self._environment = dict(engine.environment())
        self._environment_id = digest_value(self._environment)
        self._on_outcome = on_outcome
        self._room = threading.Semaphore(_IN_FLIGHT)
        self._drawn: queue.SimpleQueue[tuple[Job, Image, float] | None] = queue.SimpleQueue()
        self._encoded: queue.SimpleQueue[tuple[Job, bytes, str, float] | Failed | None] = queue.SimpleQueue()
        self._problem: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded(self._encode), name="encode", daemon=True),
            threading.Thread(target=self._guarded(self._write), name="write", daemon=True),
        ]

    def __enter__(self) -> _Line:
        self._store.put_many([_environment_bytes(self._environment)])
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawn.put(None)
        for thread in self._threads:
            thread.join()
        if self._problem is not None and error is None:
            raise self._problem

    def take(self, job: Job, picture: Image | PictureError, seconds: float) -> None:
        """Hand a picture on; waits while too many are under way."""
        self._room.acquire()
        if self._problem is not None:
            raise self._problem
        if isinstance(picture, PictureError):
            self._encoded.put(Failed(job=job, reason=str(picture)))
        elif reason := has_picture(picture, width=job.width, height=job.height):
            self._encoded.put(Failed(job=job, reason=f"the engine gave no usable picture: {reason}"))
        else:
            self._drawn.put((job, picture, seconds))

    def _guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - raised again in the engine's thread
                self._problem = error
                self._encoded.put(None)
                for _ in range(_IN_FLIGHT):
                    self._room.release()

        return run

    def _encode(self) -> None:
        while (drawn := self._drawn.get()) is not None:
            job, image, seconds = drawn
            texts = embed(self._record(job), profile="private")
            self._encoded.put((job, encode_png(image, text=texts), pixel_digest(image), seconds))
        self._encoded.put(None)

    def _write(self) -> None:
        ended = False
        while not ended:
            group = [self._encoded.get()]
            while not self._encoded.empty():
                group.append(self._encoded.get())
            ended = None in group
            self._commit([item for item in group if item is not None])

    def _commit(self, group: Sequence[tuple[Job, bytes, str, float] | Failed]) -> None:
        outcomes: list[Outcome] = []
        commits: list[tuple[str, bytes, dict[str, Any]]] = []
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        for item in group:
            if isinstance(item, Failed):
                outcomes.append(item)
                continue
            job, data, pixels, seconds = item
            digest = digest_bytes(data)
            outcomes.append(Made(job=job, object=digest, size=len(data), pixels=pixels, seconds=seconds))
            record = {
                "object": digest,
                "size": len(data),
                "pixels": pixels,
                "seconds": f"{seconds:.4f}",
                "environment": self._environment_id,
                "made": made_at,
            }
            commits.append((job.key, data, record))
        if commits:
            self._store.commit(commits)
        for outcome in outcomes:
            self.outcomes.append(outcome)
            if self._on_outcome is not None:
                self._on_outcome(outcome)
            self._room.release()

    def _record(self, job: Job) -> PictureRecord:
        from newbie_core.prompts.parsing import parse_prompt

        flat = parse_prompt(job.prompt, extra_fields=_fields_of(job.prompt)).flatten()
        return record_of(job, flat, self._identity, self._source_type)


def record_of(job: Job, flat: str, identity: EngineIdentity, source_type: str) -> PictureRecord:
    """What a picture file says of itself.

    Args:
        flat: the prompt as one line of tags, for programs that know no XML.
        source_type: IPTC's digital source type, `DRAWN` or `TRAINED`.
    """
    return PictureRecord(
        prompt=job.prompt,
        flat=flat,
        negative=job.negative,
        seed=job.seed,
        width=job.width,
        height=job.height,
        steps=job.steps,
        guidance=job.guidance,
        sampler=identity.parts.get("sampler", identity.name),
        engine=identity.name,
        fingerprint=identity.fingerprint,
        model=identity.parts.get("model", identity.name),
        key=job.key,
        source_type=source_type,
    )


def _environment_bytes(environment: Mapping[str, str]) -> bytes:
    from newbie_core.digests import canonical_json

    return canonical_json(dict(environment))


def _fields_of(xml: str) -> frozenset[str]:
    """Every element name of a canonical prompt: it was checked when it was rendered."""
    return frozenset(part.split(">", 1)[0] for part in xml.split("<") if part[:1].isalpha())


__all__ = [
    "Engine",
    "Failed",
    "Made",
    "NewbieError",
    "Outcome",
    "generate",
    "licences_of",
    "recall_made",
    "record_of",
    "remarks_of",
    "usage_of",
]
