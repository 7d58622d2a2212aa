"""`newbie retire`: leave pictures, characters or a whole set out of the next version."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from newbie_core.cli.output import print_json, result, say
from newbie_core.cli.places import needed_store, set_name_of
from newbie_core.errors import InputError
from newbie_core.production.report import DONE, PUBLISHED_WITH_REJECTS, UNUSABLE
from newbie_core.releases import Shelf
from newbie_core.review.deciding import Desk
from newbie_core.review.retiring import bring_back, retire

if TYPE_CHECKING:
    from newbie_core.cli.main import StopSignals

ALL = "*"


def retire_pictures(given: argparse.Namespace, _stop: StopSignals) -> int:
    """Retire what is named, or bring it back."""
    from newbie_core.cli.deciding import who_decides

    patterns = [ALL] if given.all else given.ids
    if bool(given.ids) == given.all:
        raise InputError(
            "name pictures, rows or globs (`newbie retire cast aria`), or the whole set with --all",
            code="E_DECISION_FORM",
        )
    by, at = who_decides(given), datetime.now(UTC).isoformat(timespec="milliseconds")
    with needed_store(given.store) as store:
        shelf = Shelf(store, set_name_of(given.catalog, store))
        with store.deciding(shelf.set):
            if given.undo:
                changed = bring_back(shelf, patterns, by=by, at=at, note=given.note)
            else:
                known = Desk(shelf).ids(None)
                changed = retire(shelf, patterns, known, by=by, at=at, note=given.note)
    code = DONE
    if changed.refused:
        code = PUBLISHED_WITH_REJECTS if changed.taken or changed.already else UNUSABLE
    word = "brought back" if given.undo else "retired"
    if given.json:
        print_json(
            {
                "catalog": shelf.set,
                word.replace(" ", "_"): [one.pattern for one in changed.taken],
                "already": changed.already,
                "refused": [refusal.record() for refusal in changed.refused],
                "exit_code": code,
            }
        )
        return code
    for refusal in changed.refused:
        say(f"refused: {refusal}")
    already = f", {len(changed.already)} stood already" if changed.already else ""
    hint = "; the next `newbie run` obeys, and no version loses anything" if changed.taken else ""
    result(f"{shelf.set}: {len(changed.taken)} {word}{already}{hint}")
    return code
