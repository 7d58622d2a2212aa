"""The commands about decisions: decide, decisions, candidates, choose."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from newbie_core.cli.output import print_json, result, say
from newbie_core.cli.places import needed_store, set_name_of
from newbie_core.errors import InputError
from newbie_core.production.report import DONE, PUBLISHED_WITH_REJECTS, UNUSABLE
from newbie_core.releases import Shelf
from newbie_core.review.candidates import Candidate, candidate_file, open_candidates
from newbie_core.review.deciding import Desk, Refusal, Request, Taken
from newbie_core.review.decision_file import read_requests, text_problem
from newbie_core.review.decisions import Decision, DecisionLog
from newbie_core.review.retiring import read_retired, reasons
from newbie_core.review.standing import Standing, standing_of
from newbie_core.store import object_name

if TYPE_CHECKING:
    from newbie_core.cli.main import StopSignals

_NEXT = "the next `newbie run` obeys"
_ONE_EACH = (
    "name a decision and pictures (`newbie decide cast reject 'aria/*'`), or a file (--file decisions.json)"
)


def decide(given: argparse.Namespace, _stop: StopSignals) -> int:
    """Take decisions about pictures, from the command line or from a file."""
    if (given.file is None) == (given.decision is None or not given.ids):
        raise InputError(_ONE_EACH, code="E_DECISION_FORM")
    by, at = who_decides(given), _now()
    with needed_store(given.store) as store:
        shelf = Shelf(store, set_name_of(given.catalog, store))
        if given.file is not None:
            requests, refused = read_requests(given.file, set_name=shelf.set, by=by, at=at)
            with store.deciding(shelf.set):
                desk = Desk(shelf)
                taken = desk.decide(requests)
        else:
            with store.deciding(shelf.set):
                desk = Desk(shelf)
                requests, refused = _requests(given, desk, by, at)
                taken = desk.decide(requests)
    taken.refused[:0] = refused
    return _tell(given, shelf.set, taken, desk.notes)


def choose(given: argparse.Namespace, _stop: StopSignals) -> int:
    """Make a candidate the picture of the next version."""
    with needed_store(given.store) as store:
        shelf = Shelf(store, set_name_of(given.catalog, store))
        request = Request(
            id=given.id,
            decision="choose",
            number=given.number,
            by=who_decides(given),
            at=_now(),
            note=given.note,
        )
        with store.deciding(shelf.set):
            desk = Desk(shelf)
            taken = desk.decide([request])
    return _tell(given, shelf.set, taken, desk.notes)


def decisions(given: argparse.Namespace, _stop: StopSignals) -> int:
    """Every decision about a set, and what is in force."""
    with needed_store(given.store) as store:
        shelf = Shelf(store, set_name_of(given.catalog, store))
        found, notes = DecisionLog(store, shelf.set).read()
        retired = read_retired(store, shelf.set)
    standing = standing_of(found)
    if given.json:
        record = {**_standing_record(found, standing), "retired": reasons(retired)}
        print_json({"catalog": shelf.set, **record, "notes": list(notes)})
        return DONE
    for note in notes:
        say(f"note: {note}")
    for decision in found:
        note = f'  "{decision.note}"' if decision.note else ""
        result(
            f"{decision.at}  {decision.by}  {decision.decision} {decision.id}"
            f"  ({decision.version}, seed {decision.about.seed}){note}"
        )
    for pattern, retirement in retired.items():
        result(f"{retirement.at}  {retirement.by}  {pattern} is {retirement}")
    rejected = sum(map(len, standing.rejected.values()))
    result(
        f"{shelf.set}: {len(found)} decisions; {len(standing.pinned)} pinned, {rejected} seeds rejected"
        + (f", {len(retired)} retired" if retired else "")
    )
    return DONE


def candidates(given: argparse.Namespace, _stop: StopSignals) -> int:
    """The pictures of every open reroll."""
    with needed_store(given.store) as store:
        shelf = Shelf(store, set_name_of(given.catalog, store))
        found, notes = DecisionLog(store, shelf.set).read()
        listed = open_candidates(store, shelf.set, standing_of(found))
        rows = [{**c.record(), "file": _file(given, shelf.set, c)} for c in listed]
    if given.json:
        print_json({"catalog": shelf.set, "candidates": rows, "notes": list(notes)})
        return DONE
    for row in rows:
        place = row["file"] or "not made yet; `newbie run` makes it"
        result(f"{row['id']} {row['number']}  seed {row['seed']}  {place}")
    if not rows:
        result(f"{shelf.set}: no open reroll; `newbie decide {shelf.set} reroll ID --count 4` opens one")
    elif any(row["made"] for row in rows):
        result(f"`newbie choose {shelf.set} ID K` makes one of them the picture of the next version")
    return DONE


def _file(given: argparse.Namespace, set_name: str, candidate: Candidate) -> str | None:
    """Where to look at a candidate; views are disposable, so it may be the object itself."""
    if candidate.about is None:
        return None
    place = candidate_file(given.store, set_name, candidate)
    return str(place if place.exists() else given.store / object_name(candidate.about.object))


def _requests(given: argparse.Namespace, desk: Desk, by: str, at: str) -> tuple[list[Request], list[Refusal]]:
    """One request for each picture that a glob means; a glob that means none is refused."""
    known = desk.ids(given.release)
    wanted: dict[str, None] = {}
    refused = []
    for glob in given.ids:
        found = [glob] if glob in known else [i for i in known if fnmatchcase(i, glob)]
        if not found:
            reason = "no picture's id is or matches this; `newbie show CATALOG --json` lists the ids"
            refused.append(
                Refusal(id=glob, decision=given.decision, code="E_DECISION_PICTURE", reason=reason)
            )
        wanted.update(dict.fromkeys(found))
    usual: dict[str, Any] = {"note": given.note, "by": by, "at": at, "version": given.release}
    return [Request(id=i, decision=given.decision, number=given.count, **usual) for i in wanted], refused


def _tell(given: argparse.Namespace, set_name: str, taken: Taken, notes: Iterable[str]) -> int:
    code = DONE
    if taken.refused:
        code = PUBLISHED_WITH_REJECTS if taken.decisions or taken.already else UNUSABLE
    if given.json:
        print_json(
            {
                "catalog": set_name,
                "taken": [decision.record() for decision in taken.decisions],
                "already": [{"id": r.id, "decision": r.decision} for r in taken.already],
                "refused": [refusal.record() for refusal in taken.refused],
                "notes": list(notes),
                "exit_code": code,
            }
        )
        return code
    for note in notes:
        say(f"note: {note}")
    for refusal in taken.refused:
        say(f"refused: {refusal}")
    already = f", {len(taken.already)} stood already" if taken.already else ""
    refused = f", {len(taken.refused)} refused" if taken.refused else ""
    hint = f"; {_NEXT}" if taken.decisions else ""
    result(f"{set_name}: {len(taken.decisions)} decisions taken{already}{refused}{hint}")
    return code


def _standing_record(found: Iterable[Decision], standing: Standing) -> dict[str, Any]:
    return {
        "decisions": [decision.record() for decision in found],
        "pinned": {i: d.version for i, d in sorted(standing.pinned.items())},
        "rejected": {i: sorted(seeds) for i, seeds in sorted(standing.rejected.items()) if seeds},
        "approved": {i: sorted(pixels) for i, pixels in sorted(standing.approved.items()) if pixels},
        "chosen": {i: d.about.seed for i, d in sorted(standing.chosen.items())},
    }


def who_decides(given: argparse.Namespace) -> str:
    """Who decides: `--by`, else the user of this machine."""
    try:
        by: str = given.by or getpass.getuser()
    except (KeyError, OSError):
        raise InputError(
            "nobody knows who decides here; say it with --by NAME", code="E_DECISION_FORM"
        ) from None
    for name, text in (("by", by), ("note", given.note)):
        if problem := text_problem(name, text):
            raise InputError(f"--{name}: {problem}", code="E_DECISION_FORM")
    return by


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


__all__ = ["candidates", "choose", "decide", "decisions", "who_decides"]
