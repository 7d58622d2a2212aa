"""What each command does."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from newbie_core.catalogs import Catalog, open_catalog, with_engine
from newbie_core.cli.canary import canary
from newbie_core.cli.deciding import candidates, choose, decide, decisions
from newbie_core.cli.looking import diff, releases, show
from newbie_core.cli.night import night
from newbie_core.cli.options import engine_options
from newbie_core.cli.output import (
    Meter,
    change_lines,
    print_json,
    result,
    say,
    say_faults,
    spoken_bytes,
    spoken_seconds,
)
from newbie_core.cli.places import make_store, needed_store, set_name_of, store_if_any
from newbie_core.cli.retiring import retire_pictures
from newbie_core.engines import load_engine
from newbie_core.errors import ReleaseError
from newbie_core.generation import Engine
from newbie_core.plans import PlanOptions, estimate_seconds
from newbie_core.production import History, RunOptions, RunReport, StoreMemo, draft_plan, open_run
from newbie_core.production.draft import Draft
from newbie_core.releases import Shelf, collect, repair, verify
from newbie_core.review.candidates import wanted_candidates

if TYPE_CHECKING:
    from newbie_core.cli.main import StopSignals

_IDS_SHOWN = 8
Command = Callable[[argparse.Namespace, "StopSignals"], int]


def _run(given: argparse.Namespace, stop: StopSignals) -> int:
    options = RunOptions(
        plan=_plan_options(given),
        engine=given.engine,
        engine_options=engine_options(given),
        limit=given.limit,
        republish=given.republish,
        require_approval=given.require_approval,
        wait_seconds=given.wait,
        workers=given.workers,
        page=given.page,
    )
    return _carry_out(given, stop, options)


def _retry(given: argparse.Namespace, stop: StopSignals) -> int:
    options = RunOptions(
        engine=given.engine, engine_options=engine_options(given), retry=True, wait_seconds=given.wait
    )
    return _carry_out(given, stop, options)


def _carry_out(given: argparse.Namespace, stop: StopSignals, options: RunOptions) -> int:
    meters: list[Meter] = []
    with (
        make_store(given.store) as store,
        open_run(
            Path(given.catalog),
            store=store,
            root=given.store,
            engines=load_engine,
            options=options,
            on_outcome=lambda _: meters[0].step(),
            stop=stop.event,
        ) as run,
    ):
        run.canary()
        with Meter("pictures", len(run.pending)) as meter, stop.after_picture():
            meters.append(meter)
            for chunk in run.chunks():
                run.make(chunk)
                if run.is_stopped:
                    break
        if run.is_stopped:
            say("stopped; what was made is kept. Run again to go on")
            return stop.exit_code
        with stop.after_picture():
            run.publish()
            run.make_page()
            report = run.tell()
    _tell_report(report, json=given.json)
    return report.exit_code


def _tell_report(report: RunReport, *, json: bool) -> None:
    if json:
        print_json(report.record())
        return
    say_faults(report.faults)
    for note in report.notes:
        say(f"note: {note}")
    for picture_id, reason in report.failed:
        say(f"failed: {picture_id}: {reason}")
    if report.proposal is not None:
        _tell_proposal(report)
        return
    if report.release is None:
        result(f"{report.catalog}: 0 pictures; nothing is published (--allow-empty publishes an empty set)")
        return
    news = "published" if report.is_new else "nothing new;"
    counts = f"{report.generated} generated, {report.reused} reused, {report.removed} removed"
    further = [
        f"{number} {word}"
        for number, word in (
            (report.held, "held"),
            (report.waiting, "waiting"),
            (len(report.failed), "failed"),
            (len(report.rejected), "faults"),
        )
        if number
    ]
    result(
        f"{report.catalog}: {news} {report.release} ({', '.join([counts, *further])}; {spoken_seconds(report.seconds)})"
    )
    result(f"digest   {report.digest}")
    result(f"pictures {report.view}")
    _tell_page(report)
    if "peak_bytes" in report.usage:
        peak, foreseen = (spoken_bytes(report.usage[name]) for name in ("peak_bytes", "predicted_peak_bytes"))
        result(f"memory   peak {peak} (on a CPU: of the whole process), predicted for the model {foreseen}")
    if report.failed:
        result(f"`newbie retry` makes the {len(report.failed)} failed pictures again")


def _tell_proposal(report: RunReport) -> None:
    counts = f"{report.release} still counts" if report.release else "no version counts yet"
    made = f"({report.generated} generated, {report.reused} reused; {spoken_seconds(report.seconds)})"
    if report.is_drifting:
        result(f"{report.catalog}: held back until somebody decides about the drift; {counts} {made}")
        result(f"look at   {report.proposal}")
        _tell_page(report)
        result(f"then      newbie canary {report.catalog} accept (or reject), and run again")
    if not report.undecided:
        return
    ids = ", ".join(report.undecided[:_IDS_SHOWN])
    more = f" … ({len(report.undecided)} pictures)" if len(report.undecided) > _IDS_SHOWN else ""
    result(f"{report.catalog}: held back until every changed picture is approved; {counts} {made}")
    result(f"undecided {ids}{more}")
    result(f"look at   {report.proposal}")
    _tell_page(report)
    result(f"then      newbie decide {report.catalog} approve 'GLOB' (or reject), and run again")


def _tell_page(report: RunReport) -> None:
    if report.page is not None and report.page.file is not None:
        result(f"page     {report.page.file}")


def _plan(given: argparse.Namespace, _stop: StopSignals) -> int:
    with store_if_any(given.store) as store:
        memo = StoreMemo(store)
        catalog = _catalog(given, memo)
        shelf = Shelf(store, catalog.name) if store else None
        engine = _engine(catalog, given)
        draft = draft_plan(
            catalog, engine=engine, shelf=shelf, options=_plan_options(given), memo=memo, repairing=False
        )
        pending = draft.pending if given.limit is None else draft.pending[: given.limit]
        history = History(shelf)
        name = draft.plan.engine.fingerprint
        seconds = estimate_seconds(pending, lambda item: history.seconds(item, name))
        _tell_plan(draft, len(pending), seconds, json=given.json)
    return 3 if draft.plan.rejected() else 0


def _tell_plan(draft: Draft, pending: int, seconds: float | None, *, json: bool) -> None:
    plan, parent = draft.plan, draft.parent
    add, change, remove = (plan.changes("add"), plan.changes("change"), plan.changes("remove"))
    keep = len(plan.of("keep"))
    if json:
        print_json(
            {
                "catalog": plan.catalog.name,
                "release": parent.ref.name if parent else None,
                "digest": parent.ref.digest if parent else None,
                "engine": {"engine": plan.engine.name, **plan.engine.parts},
                "add": [c.record() for c in add],
                "change": [c.record() for c in change],
                "remove": [c.record() for c in remove],
                "keep": keep,
                "held": [{"id": picture_id, "reason": reason} for picture_id, reason in plan.held.items()],
                "pinned": [c.record() for c in plan.pinned()],
                "disabled": plan.disabled,
                "excluded": plan.excluded,
                "to_generate": pending,
                "estimate_seconds": None if seconds is None else round(seconds, 2),
                "rejected": [fault.record() for fault in plan.rejected()],
                "warnings": [fault.record() for fault in plan.faults if fault.severity == "warning"],
                "infos": [fault.record() for fault in plan.faults if fault.severity == "info"],
                "notes": draft.notes,
            }
        )
        return
    say_faults(plan.faults)
    for note in draft.notes:
        say(f"note: {note}")
    against = f"against {parent.ref.name}" if parent else "first release"
    counts = f"add {len(add)}, change {len(change)}, remove {len(remove)}, keep {keep}"
    held = f", held {len(plan.held)}" if plan.held else ""
    result(f"{plan.catalog.name}, {against}: {counts}{held}")
    if parent is not None:
        for sign, changes in (("+", add), ("~", change), ("-", remove)):
            for line in change_lines(sign, changes):
                result(line)
    for picture_id, reason in list(plan.held.items())[:20]:
        result(f"= {picture_id} stays as it is: {reason}")
    for line in change_lines("= pinned:", plan.pinned()):
        result(line)
    time = (
        "no measured history yet"
        if seconds is None
        else f"about {spoken_seconds(seconds)} by measured history"
    )
    result(f"to generate: {pending} pictures" + (f", {time}" if pending else ""))


def _check(given: argparse.Namespace, _stop: StopSignals) -> int:
    catalog = open_catalog(Path(given.catalog))
    engine = _engine(catalog, given)
    options = PlanOptions(strict=given.strict)
    draft = draft_plan(
        catalog, engine=engine, shelf=None, options=options, memo=StoreMemo(None), repairing=False
    )
    plan = draft.plan
    if given.json:
        print_json(
            {
                "catalog": catalog.name,
                "pictures": len(plan.items),
                "disabled": plan.disabled,
                "excluded": plan.excluded,
                "rejected": [fault.record() for fault in plan.rejected()],
                "warnings": [fault.record() for fault in plan.faults if fault.severity == "warning"],
                "infos": [fault.record() for fault in plan.faults if fault.severity == "info"],
            }
        )
    else:
        say_faults(plan.faults)
        bad = f", {len(plan.rejected())} faults" if plan.rejected() else ", no faults"
        result(f"{catalog.name}: {len(plan.items)} pictures{bad}")
    return 3 if plan.rejected() else 0


def _preview(given: argparse.Namespace, stop: StopSignals) -> int:
    from newbie_core.cli.preview import make_preview

    catalog = with_engine(open_catalog(Path(given.catalog)), "sketch")
    draft = draft_plan(
        catalog,
        engine=load_engine("sketch"),
        shelf=None,
        options=_plan_options(given),
        memo=StoreMemo(None),
        repairing=False,
    )
    out, count = make_preview(draft, given, stop)
    if given.json:
        print_json(
            {
                "catalog": catalog.name,
                "folder": str(out),
                "pictures": count,
                "rejected": [fault.record() for fault in draft.plan.rejected()],
            }
        )
    else:
        say_faults(draft.plan.faults)
        result(f"{catalog.name}: {count} sketches in {out}; contact sheet {out / 'contact-sheet.png'}")
    return 3 if draft.plan.rejected() else 0


def _template(given: argparse.Namespace, _stop: StopSignals) -> int:
    from newbie_core.sheets.starter import write_starter

    write_starter(given.file)
    if given.json:
        print_json({"file": str(given.file)})
    else:
        result(f"{given.file}: fill it in, then `newbie run {given.file}`")
    return 0


def _rollback(given: argparse.Namespace, _stop: StopSignals) -> int:
    with needed_store(given.store) as store:
        name = set_name_of(given.catalog, store)
        with store.writing(name):
            shelf = Shelf(store, name)
            before = shelf.current()
            ref = shelf.ref(given.release)
            if problem := shelf.store.check(ref.manifest, quick=False):
                raise ReleaseError(f"{ref.name}: its manifest is {problem}; `newbie verify` says more")
            shelf.read(ref)
            shelf.point(ref)
    if given.json:
        print_json(
            {
                "catalog": name,
                "release": ref.name,
                "digest": ref.digest,
                "before": before.name if before else None,
            }
        )
    else:
        was = f" (was {before.name})" if before else ""
        result(f"{name}: {ref.name} counts now{was}; no version was deleted")
    return 0


def _verify(given: argparse.Namespace, _stop: StopSignals) -> int:
    with needed_store(given.store, doubtful=True) as store:
        only = set_name_of(given.catalog, store) if given.catalog else None
        with Meter("files", 1, quiet=given.json) as meter:
            found = verify(
                store,
                given.store,
                quick=given.quick,
                pixels=given.pixels,
                only_set=only,
                progress=lambda done, total: meter.at(done, total),
            )
        repaired = repair(store, given.store, found) if given.repair else []
    if given.json:
        print_json(
            {
                "ok": found.ok,
                "releases": found.releases,
                "pictures": found.pictures,
                "files": found.files,
                "damaged": [damage.record() for damage in found.damaged],
                "repaired": repaired,
            }
        )
    else:
        for damage in found.damaged:
            result(f"damaged: {damage}")
        for name in repaired:
            say(f"put away: {name}; a run makes again what is needed")
        verdict = "all whole" if found.ok else f"{len(found.damaged)} damaged"
        result(f"{found.releases} releases, {found.pictures} pictures, {found.files} files: {verdict}")
    return 0 if found.ok else 1


def _gc(given: argparse.Namespace, _stop: StopSignals) -> int:
    with needed_store(given.store) as store:
        found = collect(
            store,
            given.store,
            apply=given.apply,
            keep_days=given.keep_days,
            candidates=wanted_candidates,
        )
    if given.json:
        print_json(found.record())
        return 0
    what = f"{len(found.objects)} objects ({found.bytes >> 20} MiB), {len(found.actions)} records, {len(found.views)} views"
    if found.applied:
        result(f"moved to the trash: {what}; emptied from it: {len(found.emptied)} files")
    else:
        result(f"no version needs: {what}; in the trash for long: {len(found.emptied)} files")
        if found.objects or found.actions or found.views or found.emptied:
            result("this was a dry run; --apply does it")
    return 0


def _export(given: argparse.Namespace, _stop: StopSignals) -> int:
    from newbie_core.cli.exporting import export

    return export(given)


def _page(given: argparse.Namespace, _stop: StopSignals) -> int:
    from newbie_core.cli.paging import page

    return page(given)


def _writeback(given: argparse.Namespace, _stop: StopSignals) -> int:
    from newbie_core.cli.writing_back import writeback

    return writeback(given)


def _plan_options(given: argparse.Namespace) -> PlanOptions:
    return PlanOptions(
        only=tuple(given.only),
        allow_shrink=getattr(given, "allow_shrink", False),
        allow_empty=getattr(given, "allow_empty", False),
        strict=getattr(given, "strict", False),
    )


def _engine(catalog: Catalog, given: argparse.Namespace) -> Engine:
    settings = catalog.settings.engine
    return load_engine(settings.name, {**settings.options, **engine_options(given)})


def _catalog(given: argparse.Namespace, memo: StoreMemo) -> Catalog:
    catalog = open_catalog(Path(given.catalog), snapshot=memo)
    return catalog if given.engine is None else with_engine(catalog, given.engine)


def _model_command(place: str) -> Command:
    """A command that needs the model's libraries: its module is imported when it is asked for."""

    def run(given: argparse.Namespace, stop: StopSignals) -> int:
        module, name = place.split(":")
        command: Command = getattr(importlib.import_module(f"newbie_core.cli.{module}"), name)
        return command(given, stop)

    return run


COMMANDS: Mapping[str, Command] = {
    "run": _run,
    "retry": _retry,
    "plan": _plan,
    "check": _check,
    "preview": _preview,
    "template": _template,
    "show": show,
    "releases": releases,
    "diff": diff,
    "rollback": _rollback,
    "verify": _verify,
    "gc": _gc,
    "export": _export,
    "page": _page,
    "writeback": _writeback,
    "decide": decide,
    "decisions": decisions,
    "candidates": candidates,
    "choose": choose,
    "retire": retire_pictures,
    "canary": canary,
    "night": night,
    "test": _model_command("single:test"),
    "create": _model_command("interactive:create"),
    "model": _model_command("model_commands:model"),
    "doctor": _model_command("doctor:doctor"),
    "nano": _model_command("nano_commands:nano"),
}

__all__ = ["COMMANDS"]
