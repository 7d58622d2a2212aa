"""The command about golden pictures: what the canary saw, and what to do about drift."""

from __future__ import annotations

import argparse
import getpass
from typing import TYPE_CHECKING, Any

from newbie_core.cli.output import print_json, result
from newbie_core.cli.places import needed_store, set_name_of
from newbie_core.production.canary import CanaryBook, accept_drift, read_book, reject_drift

if TYPE_CHECKING:
    from newbie_core.cli.main import StopSignals

_WAIT_SECONDS = 10


def canary(given: argparse.Namespace, _stop: StopSignals) -> int:
    """Show a set's golden pictures, or decide about the drift that holds its releases back."""
    with needed_store(given.store) as store:
        name = set_name_of(given.catalog, store)
        if given.decision is None:
            return _show(name, read_book(store, name), json=given.json)
        by = given.by or getpass.getuser()
        with store.writing(name, wait=_WAIT_SECONDS):
            if given.decision == "accept":
                accept_drift(store, name, by=by, note=given.note)
                told, forgotten = "accepted; the next `newbie run` publishes what was held back", 0
            else:
                forgotten = reject_drift(store, name, by=by, note=given.note)
                told = f"rejected; {forgotten} pictures made since are forgotten. Mend the environment, then run again"
    if given.json:
        print_json({"catalog": name, "decision": given.decision, "forgotten": forgotten})
    else:
        result(f"{name}: drift {told}")
    return 0


def _show(name: str, book: CanaryBook, *, json: bool) -> int:
    environments = [_environment(line) for line in book.baselines.values()]
    record: dict[str, Any] = {
        "catalog": name,
        "environments": environments,
        "drift": None if book.drift is None else {**book.drift["report"], "since": book.drift["since"]},
        "damaged_lines": book.damaged,
    }
    if json:
        print_json(record)
        return 0
    if not book.baselines:
        result(f'{name}: no golden pictures yet; "[canary] pictures = 4" in catalog.toml asks for them')
    for line in environments:
        result(
            f"{name}: {line['pictures']} golden pictures of {line['engine']} since {line['at']} ({line['why']})"
        )
    if book.drift is not None:
        report = book.drift["report"]
        result(f"drift since {book.drift['since']}: {report['verdict']}")
        for change in report["changed"] or ["nothing that is recorded changed"]:
            result(f"  {change}")
        for picture in report["pictures"]:
            result(f"  {picture['id']}: {picture['verdict']}")
        result(f"releases are held back; then: newbie canary {name} accept (or reject)")
    return 0


def _environment(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "engine": line["engine"]["engine"],
        "fingerprint": line["engine"]["fingerprint"],
        "environment": line["environment"],
        "pictures": len(line["goldens"]),
        "at": line["at"],
        "why": line["why"],
    }
