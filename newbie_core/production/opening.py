"""Open a run: its catalog read and planned, hands to make its pictures, room to keep them, and its set locked.

::

    with open_run(path, store=store, root=root, engines=load_engine) as run:
        run.canary()
        for chunk in run.chunks():
            run.make(chunk)
        run.publish()
        run.make_page()
        report = run.tell()
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from newbie_core.catalogs import Catalog, open_catalog, with_engine
from newbie_core.errors import PlanError, StoreError
from newbie_core.generation import Engine, Outcome
from newbie_core.plans import Item
from newbie_core.production.crew import Assignment, Crew
from newbie_core.production.draft import Draft, StoreMemo, draft_plan
from newbie_core.production.hands import Alone, Hands
from newbie_core.production.hooks import tell_failure
from newbie_core.production.options import EngineLoader, RunOptions
from newbie_core.production.report import RunReport
from newbie_core.production.run import Run
from newbie_core.releases import Entry, Place, Shelf, sweep_views
from newbie_core.store import Store
from newbie_core.store.devices import device_of, visible_devices

_BYTES_A_PIXEL = 2.0
_SPACE_MARGIN = 1.2


@contextmanager
def open_run(
    path: Path,
    *,
    store: Store,
    root: Path,
    engines: EngineLoader,
    options: RunOptions | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Run]:
    """A planned run of the catalog at `path`, holding the set's lock.

    Raises:
        LockedError: another run is writing the set.
        InputError: the catalog, a sheet, the template or the plan cannot be used.
        StoreError: the store cannot be written, or has too little room for what is to be made.
    """
    run: Run | None = None
    try:
        with ExitStack() as stack:
            run = _open(
                path,
                stack,
                store=store,
                root=root,
                engines=engines,
                options=options or RunOptions(),
                on_outcome=on_outcome,
                stop=stop or threading.Event(),
            )
            yield run
    except Exception as error:
        if run is None or run.report is None:
            tell_failure(path, error)
        else:
            run.tell()
        raise


def _open(
    path: Path,
    stack: ExitStack,
    *,
    store: Store,
    root: Path,
    engines: EngineLoader,
    options: RunOptions,
    on_outcome: Callable[[Outcome], None] | None,
    stop: threading.Event,
) -> Run:
    memo = StoreMemo(store)
    catalog = open_catalog(path, snapshot=memo)
    if options.engine is not None:
        catalog = with_engine(catalog, options.engine)
    stack.enter_context(store.writing(catalog.name, wait=options.wait_seconds))
    store.driver.sweep()
    sweep_views(root, catalog.name)
    shelf = Shelf(store, catalog.name)
    notes = shelf.mend()
    if options.retry:
        options = replace(options, plan=replace(options.plan, ids=failed_ids(shelf)))
    chosen = {**catalog.settings.engine.options, **options.engine_options}
    engine = engines(catalog.settings.engine.name, chosen)
    stack.callback(engine.close)
    hands = choose_hands(catalog, engine, chosen, store=store, root=root, options=options)
    stack.callback(hands.close)

    def draft() -> Draft:
        return draft_plan(
            catalog, engine=engine, shelf=shelf, options=options.plan, memo=memo, repairing=True
        )

    first = draft()
    first.notes[:0] = notes
    run = Run(
        store=store,
        root=root,
        shelf=shelf,
        draft=first,
        engine=engine,
        hands=hands,
        options=options,
        redraft=draft,
        on_outcome=on_outcome,
        stop=stop,
    )
    require_room(store, run.pending, first.places)
    return run


def carry_out(run: Run) -> RunReport | None:
    """Ask the canary, make every chunk, publish and tell; None when the run was stopped."""
    run.canary()
    for chunk in run.chunks():
        run.make(chunk)
        if run.is_stopped:
            return None
    run.publish()
    run.make_page()
    return run.tell()


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
