"""`newbie page`: make the page of a version."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from newbie_core.cli.exporting import split_version
from newbie_core.cli.output import Meter, print_json, result, say, spoken_bytes
from newbie_core.cli.places import needed_store, set_name_of
from newbie_core.errors import CatalogError
from newbie_core.releases import Shelf, sets
from newbie_core.store import Store

_EXAMPLES = """\
examples:
  newbie page cast --open                      # what waits for approval, else the version that counts
  newbie page cast@r000012 --out morning       # another version, in a folder of its own
  newbie page                                  # the only set of the store
  newbie decide cast --file cast-r000012-decisions.json   # what the page gave to download
"""


def add_page(command: argparse.ArgumentParser) -> None:
    """The options of `newbie page`."""
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = _EXAMPLES
    command.add_argument(
        "catalog",
        nargs="?",
        metavar="CATALOG",
        help="a folder, a file or a set's name; @VERSION behind it names a version (default: the only set)",
    )
    command.add_argument(
        "--release", metavar="NAME", help="a version, or proposal (default: the proposal, else what counts)"
    )
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="the folder to make (default: page/<set>/<version>)"
    )
    command.add_argument(
        "--pictures",
        choices=("link", "store"),
        default="link",
        help="link: put the pictures into the folder, at no cost where hard links work; it can be zipped. "
        "store: show them where they lie in the store; the folder must stay where it is",
    )
    command.add_argument(
        "--post",
        default="",
        metavar="PATH",
        help="where a served page sends decisions, a path of its server such as /decisions",
    )
    command.add_argument("--open", action="store_true", help="open it in the browser")


def page(given: argparse.Namespace) -> int:
    """Build the page; the exit code."""
    from newbie_core.review.page import PageOrder, build_page

    with needed_store(given.store) as store:
        catalog, version = split_version(given.catalog or _only_set(store), given.release)
        shelf = Shelf(store, set_name_of(catalog, store))
        order = PageOrder(version=version, out=given.out, files=given.pictures, post=given.post)
        with Meter("thumbnails", 1, quiet=given.json) as meter:
            done = 0

            def step(total: int) -> None:
                nonlocal done
                done += 1
                meter.at(done, total)

            built = build_page(shelf, order, progress=step)
    if given.json:
        print_json(
            {
                "catalog": shelf.set,
                "release": built.version,
                "page": str(built.index),
                "pictures": built.pictures,
                "changed": built.changed,
                "thumbnails_made": built.thumbnails_made,
                "bytes": built.bytes,
                "notes": built.notes,
            }
        )
    else:
        for note in built.notes:
            say(f"note: {note}")
        result(
            f"{shelf.set} {built.version}: {built.pictures} pictures, {built.changed} changed, "
            f"{spoken_bytes(built.bytes)} beside the pictures"
        )
        result(f"page     {built.index}")
    if given.open:
        webbrowser.open(built.index.resolve().as_uri())
    return 0


def _only_set(store: Store) -> str:
    known = sets(store)
    if len(known) != 1:
        raise CatalogError(
            f"the store has {len(known)} sets ({', '.join(known[:10])}); name one", code="E_CATALOG_MISSING"
        )
    return known[0]
