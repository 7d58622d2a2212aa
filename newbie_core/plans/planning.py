"""Compare what a catalog asks for with the latest release: add, change, remove, keep, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Literal

from newbie_core.catalogs import Catalog
from newbie_core.errors import Fault, PlanError, SheetError
from newbie_core.plans.causes import Cause, CauseFinder, rows_behind
from newbie_core.plans.cells import cell_fault
from newbie_core.plans.directions import Directions, Pin
from newbie_core.plans.job import Capabilities, EngineIdentity, Job, job_key
from newbie_core.plans.pictures import Picture, Wanted, combine
from newbie_core.plans.previous import Previous, PreviousEntry, Recipe, Released
from newbie_core.plans.prompt_memo import Memo, PromptBook
from newbie_core.prompts.templates import RowProblem

Action = Literal["add", "change", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """How a plan is narrowed and guarded.

    Args:
        only: globs on picture ids; the others stay as they are in the latest release.
        ids: exactly these picture ids.
        allow_shrink: accept a set that loses more than its shrink limit.
        allow_empty: accept a set without pictures.
        strict: any rejected row or warning stops the plan.
    """

    only: tuple[str, ...] = ()
    ids: frozenset[str] | None = None
    allow_shrink: bool = False
    allow_empty: bool = False
    strict: bool = False

    def selects(self, picture_id: str) -> bool:
        """Whether the plan is about this picture."""
        if self.ids is not None and picture_id not in self.ids:
            return False
        return not self.only or any(fnmatchcase(picture_id, pattern) for pattern in self.only)


@dataclass(slots=True)
class Item:
    """One picture of the plan with its key; `action` is against the latest release.

    A pinned picture is planned as it was released; `asked` is then what the sheet asks for instead.
    Not frozen only because a hundred thousand of them are made; nobody changes one.
    """

    picture: Picture
    prompt: str
    key: str
    action: Action
    because: str = ""
    pin: Pin | None = None
    asked: tuple[Picture, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A picture that is added, changed or removed, and why."""

    id: str
    causes: tuple[Cause, ...]

    def record(self) -> dict[str, object]:
        """The change as programs read it."""
        reasons = [str(cause) for cause in self.causes]
        return {"id": self.id, "reasons": reasons, "causes": [cause.record() for cause in self.causes]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which pictures to make and why, before any is made.

    `carried` are released pictures outside the selection; `held` are released pictures whose row is
    rejected today: they stay as they are until the row is mended. `retired` are those of the removed
    that somebody retired, with who and why.
    """

    catalog: Catalog
    engine: EngineIdentity
    items: tuple[Item, ...]
    remove: tuple[str, ...]
    carried: tuple[str, ...]
    held: Mapping[str, str]
    retired: Mapping[str, str]
    faults: tuple[Fault, ...]
    disabled: int
    excluded: int
    _finder: CauseFinder
    _previous: Previous
    _book: PromptBook = field(repr=False)

    def of(self, action: Action) -> list[Item]:
        """The items with that action."""
        return [item for item in self.items if item.action == action]

    def rejected(self) -> list[Fault]:
        """The faults that reject rows."""
        return [fault for fault in self.faults if fault.severity == "row"]

    def recipe(self, picture: Picture) -> Recipe:
        """What this picture shares with others, unless it is pinned."""
        return Recipe(
            engine=self.engine.fingerprint,
            template=self.catalog.template.digest,
            steps=picture.steps,
            guidance=picture.guidance,
            negative=picture.negative,
        )

    def changes(self, action: Literal["add", "change", "remove"]) -> list[Change]:
        """The pictures with that action, each with its causes."""
        finder = self._finder
        if action == "remove":
            return [Change(id=picture_id, causes=self._why_removed(picture_id)) for picture_id in self.remove]
        if action == "add":
            return [
                Change(id=i.picture.id, causes=(*_pin_cause(i, None), *finder.added(i.picture)))
                for i in self.of("add")
            ]
        return [Change(id=item.picture.id, causes=self._why_changed(item)) for item in self.of("change")]

    def _why_removed(self, picture_id: str) -> tuple[Cause, ...]:
        if why := self.retired.get(picture_id):
            return (Cause(kind="retired", where=why),)
        return self._finder.removed(picture_id)

    def _why_changed(self, item: Item) -> tuple[Cause, ...]:
        entry = self._previous.entries[item.picture.id]
        if item.pin is not None:
            return _pin_cause(item, entry.key)
        return self._finder.changed(item.picture, entry, item.prompt, seed_because=item.because)

    def pinned(self) -> list[Change]:
        """The pinned pictures whose sheet asks for something else: who pinned them, and what it asks."""
        found = []
        for item in self.items:
            if item.asked is None:
                continue
            entry = self._previous.entries.get(item.picture.id)
            asks = self._finder.changed(item.asked[0], entry, item.asked[1]) if entry else ()
            found.append(Change(id=item.picture.id, causes=(*_pin_cause(item, None), *asks)))
        return found

    def reseeded(self, item: Item, seed: int) -> Item:
        """The same picture with another seed: a candidate."""
        picture = replace(item.picture, seed=seed)
        return replace(item, picture=picture, key=self._key(picture, item.prompt))

    def _key(self, picture: Picture, prompt: str) -> str:
        return _key_of(picture, prompt, self.engine.fingerprint, self.catalog.template.digest)

    def tables(self, unchanged: Collection[str]) -> dict[str, dict[str, Mapping[str, str]]]:
        """The tables as a release of this plan keeps them: today's rows by id, but for `unchanged` pictures
        (waiting, held, failed, outside the selection) the rows they were made from, so that the next plan
        can still name the cell.
        """
        today: dict[str, dict[str, Mapping[str, str]]] = {
            name: {row.id: row.values for row in table.rows} for name, table in self.catalog.tables.items()
        }
        old = self._previous.tables() if unchanged else {}
        for picture_id in unchanged:
            for name, row_id in rows_behind(self.catalog, old, picture_id):
                today[name][row_id] = old[name][row_id]
        return today

    def jobs(self, items: Sequence[Item]) -> list[Job]:
        """The jobs of `items`, prompts rendered."""
        texts = self._book.texts([item.picture for item in items], [item.prompt for item in items])
        return [
            Job(
                id=item.picture.id,
                key=item.key,
                prompt=texts[item.prompt],
                negative=item.picture.negative,
                seed=item.picture.seed,
                width=item.picture.width,
                height=item.picture.height,
                steps=item.picture.steps,
                guidance=item.picture.guidance,
            )
            for item in items
        ]


def make_plan(
    catalog: Catalog,
    *,
    engine: EngineIdentity,
    capabilities: Capabilities,
    previous: Previous,
    options: PlanOptions | None = None,
    directions: Directions | None = None,
    memo: Memo | None = None,
) -> Plan:
    """What to make of `catalog` tonight.

    Args:
        directions: what people decided about its pictures.

    Raises:
        PlanError: no pictures, fewer than the shrink limit allows, no picture matches `only`.
        SheetError: `strict` and something is at fault; settings or zips that fit no picture.
        TemplateError: the template itself is at fault.
    """
    options = options or PlanOptions()
    wanted = combine(catalog, size_problem=capabilities.size_problem)
    _raise_if_stopping(wanted.faults)
    book = PromptBook(catalog.template, catalog.columns, catalog.settings.columns, memo)
    directions = directions or Directions()
    chosen = [
        picture
        for picture in wanted.pictures
        if options.selects(picture.id) and directions.why_retired(picture.id) is None
    ]
    items = _make_items(catalog, engine, book, chosen, wanted, previous, directions)
    faults = (*catalog.faults, *wanted.faults)
    if options.strict and (found := [f for f in faults if f.severity in ("row", "warning")]):
        raise SheetError(faults=found)
    gone = _gone(catalog, wanted, items, previous, options, directions)
    _guard(catalog, wanted, options, items, gone, previous, faults)
    shared = Recipe(
        engine=engine.fingerprint, template=catalog.template.digest, steps=0, guidance="", negative=""
    )
    return Plan(
        catalog=catalog,
        engine=engine,
        items=tuple(items),
        remove=tuple(sorted(gone.remove)),
        carried=tuple(sorted(gone.carried)),
        held=dict(sorted(gone.held.items())),
        retired=gone.retired,
        faults=faults,
        disabled=wanted.disabled,
        excluded=wanted.excluded,
        _finder=CauseFinder(catalog, engine, shared, previous),
        _previous=previous,
        _book=book,
    )


def _raise_if_stopping(faults: Iterable[Fault]) -> None:
    stopping = [fault for fault in faults if fault.severity == "file"]
    if stopping:
        raise SheetError(faults=stopping)


def _make_items(
    catalog: Catalog,
    engine: EngineIdentity,
    book: PromptBook,
    pictures: Sequence[Picture],
    wanted: Wanted,
    previous: Previous,
    directions: Directions,
) -> list[Item]:
    items = []
    entries = previous.entries
    pins, rules = directions.pins, directions.seeds
    fingerprint, template = engine.fingerprint, catalog.template.digest
    for picture, prompt in zip(pictures, book.digests(pictures), strict=True):
        if isinstance(prompt, RowProblem):
            _reject_picture(catalog, wanted, picture, prompt)
            continue
        because = ""
        if picture.id in rules:
            picture, because = _reseeded(catalog, wanted, picture, directions, told=picture.id not in pins)
        key = _key_of(picture, prompt, fingerprint, template)
        entry = entries.get(picture.id)
        if picture.id in pins:
            items.append(_pinned(picture, prompt, key, pins[picture.id], entry))
            continue
        items.append(Item(picture, prompt, key, _action(entry, key), because))
    return items


def _key_of(picture: Picture, prompt: str, engine: str, template: str) -> str:
    return job_key(
        prompt_digest=prompt,
        negative=picture.negative,
        seed=picture.seed,
        width=picture.width,
        height=picture.height,
        steps=picture.steps,
        guidance=picture.guidance,
        engine=engine,
        template=template,
    )


def _action(entry: Released | None, key: str) -> Action:
    return "add" if entry is None else "keep" if entry.key == key else "change"


def _pinned(picture: Picture, prompt: str, key: str, pin: Pin, entry: Released | None) -> Item:
    """The pinned picture as it was released, beside what the sheet asks for today."""
    kept = replace(
        picture,
        seed=pin.seed,
        width=pin.width,
        height=pin.height,
        steps=pin.recipe.steps,
        guidance=pin.recipe.guidance,
        negative=pin.recipe.negative,
    )
    asked = None if key == pin.key else (picture, prompt)
    return Item(kept, pin.prompt, pin.key, _action(entry, pin.key), pin.why, pin, asked)


def _pin_cause(item: Item, before: str | None) -> tuple[Cause, ...]:
    if item.pin is None:
        return ()
    after = item.key[:10] if before else None
    return (Cause(kind="decision", where=item.because, before=before and before[:10], after=after),)


def _reseeded(
    catalog: Catalog, wanted: Wanted, picture: Picture, directions: Directions, *, told: bool
) -> tuple[Picture, str]:
    """The picture with the seed that decisions leave it, and why; a seed of the sheet that moves on is told."""
    rule = directions.seeds[picture.id]
    seed = rule.seed(catalog.name, picture.id, picture.seed)
    if seed == picture.seed:
        return picture, ""
    seeded = [part for part in picture.parts if "seed" in part.pixels]
    if seeded and told:
        text = f"picture {picture.id}: seed {picture.seed} gives way to seed {seed}: {rule.why}"
        fix = "write another seed, or take the decision back with `newbie decide ... clear`"
        part = seeded[-1]
        wanted.faults.append(
            cell_fault(part.table, part.row, "seed", "I_SEED_DECIDED", text, fix, severity="info")
        )
    return replace(picture, seed=seed), rule.why


def _reject_picture(catalog: Catalog, wanted: Wanted, picture: Picture, problem: RowProblem) -> None:
    part = picture.parts[0]
    wanted.faults.append(
        cell_fault(
            part.table,
            part.row,
            "id",
            problem.code,
            f"picture {picture.id}: {problem.text}",
            "mend the row's cells",
        )
    )
    wanted.rejected.setdefault("", set()).add(picture.id)


@dataclass(frozen=True, slots=True)
class _Gone:
    remove: list[str]
    carried: list[str]
    held: dict[str, str]
    retired: dict[str, str]


def _gone(
    catalog: Catalog,
    wanted: Wanted,
    items: Sequence[Item],
    previous: Previous,
    options: PlanOptions,
    directions: Directions,
) -> _Gone:
    """Sort the released pictures that the plan does not make: removed, retired too, outside the selection, or held."""
    present = {item.picture.id for item in items}
    gone = _Gone([], [], {}, {})
    for picture_id in previous.entries:
        if picture_id in present:
            continue
        if not options.selects(picture_id):
            gone.carried.append(picture_id)
        elif why := directions.why_retired(picture_id):
            gone.remove.append(picture_id)
            gone.retired[picture_id] = why
        elif reason := _rejected_because(catalog, wanted, picture_id):
            gone.held[picture_id] = reason
        else:
            gone.remove.append(picture_id)
    return gone


def _rejected_because(catalog: Catalog, wanted: Wanted, picture_id: str) -> str | None:
    if picture_id in wanted.rejected.get("", ()):
        return f'picture "{picture_id}" is rejected'
    parts = picture_id.split("#")[0].split("/")
    order = catalog.table_order()
    if len(parts) != len(order):
        return None
    reason = None
    for name, row_id in zip(order, parts, strict=True):
        if row_id in wanted.rejected.get(name, ()):
            reason = f'row "{row_id}" of sheet "{name}" is rejected'
        elif catalog.row(name, row_id) is None:
            return None
    return reason


def _guard(
    catalog: Catalog,
    wanted: Wanted,
    options: PlanOptions,
    items: Sequence[Item],
    gone: _Gone,
    previous: Previous,
    faults: Sequence[Fault],
) -> None:
    if options.only and not items and not gone.remove and not gone.held:
        patterns = ", ".join(options.only)
        raise PlanError(
            f'no picture id matches "{patterns}"; `newbie plan` lists the ids', code="E_PLAN_ONLY"
        )
    selected = len(previous.entries) - len(gone.carried) - len(gone.retired)
    limit = catalog.settings.shrink_limit
    lost = len(gone.remove) - len(gone.retired)
    if selected and not options.allow_shrink and lost * 100 > selected * limit:
        raise PlanError(
            f"{lost} of {selected} pictures missing, more than {limit} %; "
            "put the rows back, or use --allow-shrink if they are meant to go",
            code="E_PLAN_SHRINK",
        )
    rejecting = [fault for fault in faults if fault.severity == "row"]
    if not items and not gone.held and rejecting and not gone.carried and not gone.retired:
        raise SheetError("every row is rejected:\n" + "\n".join(map(str, rejecting)), faults=rejecting)


def estimate_seconds(items: Sequence[Item], seconds_of: Callable[[Item], float | None]) -> float | None:
    """How long `items` will take by measured history; None when any of them has none."""
    total = 0.0
    for item in items:
        seconds = seconds_of(item)
        if seconds is None:
            return None
        total += seconds
    return total


__all__ = ["Plan", "PlanOptions", "PreviousEntry", "estimate_seconds", "make_plan"]
