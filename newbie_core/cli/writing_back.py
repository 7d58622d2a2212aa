"""`newbie writeback`: a copy of the workbook that says what became of each row."""

from __future__ import annotations

import argparse
from pathlib import Path

_EXAMPLES = """\
examples:
  newbie writeback cast.xlsx --out back/cast.xlsx
  newbie writeback catalogs/brand --out brand-back --no-thumbnails
  newbie writeback cast.xlsx --out back/cast.xlsx --replace --links https://art.example/cast/r000012/
exit codes: 0 written; 3 written, with rejected rows; 2 the copy cannot be made
"""


def add_writeback(command: argparse.ArgumentParser) -> None:
    """The options of `newbie writeback`."""
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = _EXAMPLES
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="the copy: an .xlsx or .csv file like the source, or a new folder for a folder of CSV files",
    )
    command.add_argument("--set", metavar="NAME", help="the set in the store (default: the catalog's)")
    command.add_argument("--release", metavar="NAME", help="a version (default: the one that counts)")
    command.add_argument("--no-thumbnails", action="store_true", help="put no small pictures into the copy")
    command.add_argument(
        "--links", metavar="ADDRESS", help="what links begin with (default: the way to the store's view)"
    )
    command.add_argument("--replace", action="store_true", help="write over an earlier copy")


def writeback(given: argparse.Namespace) -> int:
    """Copy a catalog's workbook or CSV files with columns about each row; the exit code."""
    from newbie_core.catalogs import open_catalog
    from newbie_core.cli.output import print_json, result, say, spoken_bytes
    from newbie_core.cli.places import needed_store, set_name_of
    from newbie_core.delivery import Writeback, write_back
    from newbie_core.production import StoreMemo
    from newbie_core.production.report import DONE, PUBLISHED_WITH_REJECTS
    from newbie_core.releases import Shelf

    with needed_store(given.store) as store:
        memo = StoreMemo(store)
        catalog = open_catalog(Path(given.catalog), snapshot=memo)
        shelf = Shelf(store, catalog.name if given.set is None else set_name_of(given.set, store))
        ref = shelf.ref(given.release) if given.release else shelf.current()
        release = shelf.read(ref) if ref else None
        wish = Writeback(
            to=given.out,
            has_thumbnails=not given.no_thumbnails,
            links=given.links,
            replace=given.replace,
        )
        written = write_back(catalog, shelf, given.store, release, wish, memo=memo)
    code = PUBLISHED_WITH_REJECTS if written.rejected else DONE
    if given.json:
        print_json(
            {
                "catalog": shelf.set,
                "release": ref.name if ref else None,
                "files": [str(file) for file in written.files],
                "rows": dict(written.rows),
                "rejected": written.rejected,
                "thumbnails": written.thumbnails,
                "thumbnail_bytes": written.thumbnail_bytes,
                "bytes": written.bytes,
                "notes": list(written.notes),
                "exit_code": code,
            }
        )
        return code
    for note in written.notes:
        say(f"note: {note}")
    counts = ", ".join(f"{number} {kind}" for kind, number in written.rows.items())
    result(f"{shelf.set} {ref.name if ref else '(no version yet)'}: {counts or 'no rows'}")
    pictures = (
        f", {written.thumbnails} thumbnails of {spoken_bytes(written.thumbnail_bytes)}"
        if written.thumbnails
        else ""
    )
    result(f"written to {given.out} ({spoken_bytes(written.bytes)}{pictures})")
    return code
