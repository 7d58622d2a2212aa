"""What stands before a run's first picture: hands to make it, and room to keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from newbie_core.catalogs import Catalog
from newbie_core.errors import PlanError, StoreError
from newbie_core.generation import Engine
from newbie_core.plans import Item
from newbie_core.production.crew import Assignment, Crew
from newbie_core.production.hands import Alone, Hands
from newbie_core.production.options import RunOptions
from newbie_core.releases import Entry, Place, Shelf
from newbie_core.store import Store
from newbie_core.store.devices import device_of, visible_devices

_BYTES_A_PIXEL = 2.0
_SPACE_MARGIN = 1.2


def choose_hands(
    catalog: Catalog,
    engine: Engine,
    chosen: Mapping[str, str | int | bool],
    *,
    store: Store,
    root: Path,
    options: RunOptions,
) -> Hands:
    """This process for one worker without a named device, else a crew.

    Raises:
        PlanError: more workers than GPUs.
    """
    settings = catalog.settings.run
    workers = settings.workers if options.workers is None else options.workers
    devices = list(settings.devices)
    purpose = f"{options.purpose} {catalog.name}"
    if not devices and workers <= 1:
        return Alone(engine, store, purpose=purpose)
    if not devices and device_of(engine.environment()) is not None:
        devices = visible_devices()
    if devices and workers > len(devices):
        raise PlanError(
            f"{workers} workers for the devices {', '.join(devices)}: one process a GPU; ask for {len(devices)} at most",
            code="E_WORKERS",
        )
    assignment = Assignment(
        engine=catalog.settings.engine.name,
        options=dict(chosen),
        fingerprint=engine.identity().fingerprint,
        store=str(root.absolute()),
        durable=bool(getattr(store.driver, "durable", True)),
        devices=devices,
        purpose=purpose,
    )
    return Crew(assignment, workers or len(devices))


def failed_ids(shelf: Shelf) -> frozenset[str]:
    """The pictures that failed in the release that counts."""
    current = shelf.current()
    return frozenset(shelf.read(current).content.failed) if current else frozenset()


def require_room(store: Store, pending: Sequence[Item], places: Mapping[str, Place | Entry]) -> None:
    """Stop before generating when the pictures will not fit.

    Raises:
        StoreError: they will not.
    """
    free = store.driver.free_bytes()
    if free is None or not pending:
        return
    sizes = sorted(place.size for place in places.values())
    known = sizes[int(len(sizes) * 0.95)] if sizes else None
    pixels = (known or item.picture.width * item.picture.height * _BYTES_A_PIXEL for item in pending)
    need = int(sum(pixels) * _SPACE_MARGIN)
    if need > free:
        raise StoreError(
            f"{len(pending)} pictures need about {need >> 20} MiB and the store has {free >> 20} MiB free; "
            "make room (`newbie gc --apply`), or make fewer with --limit",
            code="E_STORE_ROOM",
        )
