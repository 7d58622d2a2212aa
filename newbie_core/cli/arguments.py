"""What can be said on the command line."""

from __future__ import annotations

import argparse
import os
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from newbie_core.cli.export_arguments import add_export
from newbie_core.cli.model_arguments import add_model_commands
from newbie_core.cli.nano_commands import add_nano
from newbie_core.cli.night import add_night
from newbie_core.cli.paging import add_page
from newbie_core.cli.writing_back import add_writeback

STORE_VARIABLE = "NEWBIE_STORE"
_LONGEST_DAYS = 36_500
_MOST_CANDIDATES = 64
_MOST_WORKERS = 64
_DECIDE_EXAMPLES = """\
examples:
  newbie decide cast reject aria/happy --note "six fingers"   # another seed next time
  newbie decide cast pin 'ren/*'                              # stays, whatever the sheet says
  newbie decide cast approve '*' --by mia                     # lets a held-back version go
  newbie decide cast reroll aria/sad --count 6                # six candidates side by side
  newbie decide cast clear aria/happy                         # forgets what was decided about it
  newbie decide cast --file decisions.json                    # what a review page downloads
exit codes: 0 all taken; 3 some refused, the rest taken; 2 none taken
"""

_RETIRE_EXAMPLES = """\
examples:
  newbie retire cast aria --note "season over"   # every picture of the row aria, later ones too
  newbie retire cast 'ren/*' aria/sad            # globs and single pictures
  newbie retire cast --all                       # the whole set
  newbie retire cast aria --undo                 # brings it back
exit codes: 0 all taken; 3 some refused, the rest taken; 2 none taken
"""

_CANARY_EXAMPLES = """\
examples:
  newbie canary cast                                         # golden pictures, and the drift that waits
  newbie canary cast accept --note "torch 2.12, looked at"   # tonight's pictures become the goldens
  newbie canary cast reject                                  # what was made during the drift is forgotten
A catalog asks for golden pictures with `[canary] pictures = 4`; docs/night.md says more.
"""

_EPILOG = """\
exit codes: 0 done; 1 damage or failure; 2 usage or unusable input; 3 done, with rejected rows;
11 locked by another run; 143 stopped by SIGTERM (130 by Ctrl+C)
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of `newbie`."""
    parser = argparse.ArgumentParser(
        prog="newbie",
        description="A production line for anime character art: a spreadsheet in, versions of an image set out.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"newbie-assets {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_making(commands)
    _add_looking(commands)
    _add_keeping(commands)
    _add_deciding(commands)
    _add_retiring(commands)
    _add_canary(commands)
    add_night(partial(_command, commands))
    add_model_commands(commands)
    add_nano(commands)
    return parser


Commands = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_making(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _command(commands, "run", "make what changed and publish a new version", catalog=True)
    _selection(run)
    _guards(run)
    run.add_argument("--republish", action="store_true", help="publish again what was rolled back from")
    run.add_argument(
        "--wait", type=_seconds, default=0.0, metavar="SECONDS", help="wait for another run of the set"
    )
    run.add_argument(
        "--require-approval", action="store_true", help="hold the version back until changes are approved"
    )
    run.add_argument("--workers", type=_workers, metavar="N", help="processes that make pictures, one a GPU")
    run.add_argument(
        "--page",
        action="store_true",
        help="also make the version's page, beside its pictures (see `newbie page`)",
    )
    retry = _command(commands, "retry", "make the pictures that failed in the last version", catalog=True)
    _engine_choice(retry)
    retry.add_argument(
        "--wait", type=_seconds, default=0.0, metavar="SECONDS", help="wait for another run of the set"
    )
    preview = _command(
        commands, "preview", "sketch the pictures at once, without a version", catalog=True, store=False
    )
    preview.add_argument("--out", type=Path, metavar="DIR", help="where to (default: preview/<set>)")
    _selection(preview, engine=False)
    template = _command(commands, "template", "write a fresh starter workbook", store=False)
    template.add_argument(
        "file", type=Path, metavar="FILE.xlsx", help="the workbook to write; must not exist"
    )


def _add_looking(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    plan = _command(commands, "plan", "say what a run would make, and why", catalog=True)
    _selection(plan)
    _guards(plan)
    check = _command(commands, "check", "check sheets and templates only", catalog=True, store=False)
    check.add_argument("--strict", action="store_true", help="warnings count as faults")
    show = _command(commands, "show", "show a version, one of its pictures, or a picture file", catalog=True)
    show.add_argument("id", nargs="?", help="a picture's id")
    show.add_argument("--release", metavar="NAME", help="a version (default: the one that counts)")
    _command(commands, "releases", "list the versions of a set", catalog=True)
    add_page(_command(commands, "page", "make the page of a version: look, compare, decide"))
    diff = _command(commands, "diff", "say what differs between two versions", catalog=True)
    diff.add_argument("old", nargs="?", metavar="OLD", help="a version (default: the one before NEW)")
    diff.add_argument("new", nargs="?", metavar="NEW", help="a version (default: the one that counts)")


def _add_keeping(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rollback = _command(commands, "rollback", "let an older version count again", catalog=True)
    rollback.add_argument("release", metavar="NAME", help="the version, as `newbie releases` lists it")
    verify = _command(commands, "verify", "check that every version is whole")
    verify.add_argument("catalog", nargs="?", metavar="CATALOG", help="one set only")
    verify.add_argument("--quick", action="store_true", help="presence and sizes only, not every byte")
    verify.add_argument(
        "--pixels", action="store_true", help="also decode every picture and compare its pixels"
    )
    verify.add_argument(
        "--repair", action="store_true", help="put damaged files away, so that a run makes them again"
    )
    gc = _command(commands, "gc", "find what no version needs (a dry run)")
    gc.add_argument("--apply", action="store_true", help="move it to the trash")
    gc.add_argument(
        "--keep-days", type=_days, default=7, metavar="N", help="keep unreleased pictures so long"
    )
    add_export(_command(commands, "export", "copy a version out under readable names", catalog=True))
    add_writeback(
        _command(commands, "writeback", "copy the workbook with what became of each row", catalog=True)
    )


def _add_deciding(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    decide = _command(commands, "decide", "approve, reject, pin or reroll pictures", catalog=True)
    decide.epilog = _DECIDE_EXAMPLES
    decide.formatter_class = argparse.RawDescriptionHelpFormatter
    kinds = ("approve", "reject", "pin", "unpin", "reroll", "clear")
    decide.add_argument("decision", nargs="?", choices=kinds, help="what is decided")
    decide.add_argument("ids", nargs="*", metavar="GLOB", help="picture ids, such as 'aria/*'")
    decide.add_argument("--file", type=Path, metavar="FILE.json", help="take the decisions in this file")
    decide.add_argument(
        "--release", metavar="NAME", help="the version that was looked at, or proposal (default: what counts)"
    )
    decide.add_argument(
        "--count", type=_candidates, default=4, metavar="N", help="of a reroll, so many candidates (usual: 4)"
    )
    _signature(decide)
    _command(commands, "decisions", "list what was decided about a set", catalog=True)
    _command(commands, "candidates", "list the pictures of open rerolls", catalog=True)
    choose = _command(commands, "choose", "make a candidate the picture of the next version", catalog=True)
    choose.add_argument("id", metavar="ID", help="a picture's id")
    choose.add_argument(
        "number", type=_candidates, metavar="K", help="which, as `newbie candidates` lists them"
    )
    _signature(choose)


def _add_retiring(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    retire = _command(
        commands, "retire", "leave pictures or characters out of the next version", catalog=True
    )
    retire.epilog = _RETIRE_EXAMPLES
    retire.formatter_class = argparse.RawDescriptionHelpFormatter
    retire.add_argument(
        "ids", nargs="*", metavar="ID", help="ids of pictures or rows, or globs on picture ids"
    )
    retire.add_argument("--all", action="store_true", help="the whole set")
    retire.add_argument("--undo", action="store_true", help="bring back what was retired by these words")
    _signature(retire)


def _add_canary(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    canary = _command(commands, "canary", "show golden pictures; decide about drift", catalog=True)
    canary.epilog = _CANARY_EXAMPLES
    canary.formatter_class = argparse.RawDescriptionHelpFormatter
    canary.add_argument("decision", nargs="?", choices=("accept", "reject"), help="about the drift")
    _signature(canary)


def _signature(command: argparse.ArgumentParser) -> None:
    command.add_argument("--note", default="", metavar="TEXT", help="why")
    command.add_argument("--by", metavar="NAME", help="who decides (default: the user of this machine)")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    *,
    catalog: bool = False,
    store: bool = True,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    if catalog:
        command.add_argument("catalog", metavar="CATALOG", help="a folder, an .xlsx or a .csv file")
    default = Path(os.environ.get(STORE_VARIABLE) or "store")
    help_text = f"the store (default: ${STORE_VARIABLE}, else ./store)" if store else argparse.SUPPRESS
    command.add_argument("--store", type=Path, default=default, metavar="DIR", help=help_text)
    command.add_argument("--json", action="store_true", help="print one JSON object")
    return command


def _selection(command: argparse.ArgumentParser, *, engine: bool = True) -> None:
    command.add_argument(
        "--only", action="append", default=[], metavar="GLOB", help="picture ids, such as 'aria/*'"
    )
    command.add_argument("--limit", type=_count, metavar="N", help="make N pictures at most")
    if engine:
        _engine_choice(command)


def _engine_choice(command: argparse.ArgumentParser) -> None:
    command.add_argument("--engine", metavar="NAME", help="engine instead of the catalog's")
    command.add_argument("--model", metavar="SOURCE", help="model of the engine: a folder, file or hub id")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the engine"
    )


def _guards(command: argparse.ArgumentParser) -> None:
    command.add_argument("--strict", action="store_true", help="any rejected row or warning stops everything")
    command.add_argument("--allow-shrink", action="store_true", help="accept that many pictures are gone")
    command.add_argument("--allow-empty", action="store_true", help="accept a set without pictures")


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


def _candidates(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST_CANDIDATES:
        raise argparse.ArgumentTypeError(f"{number} is not from 1 to {_MOST_CANDIDATES}")
    return number


def _workers(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{number} is not from 1 to {_MOST_WORKERS}")
    return number


def _days(text: str) -> int:
    number = int(text)
    if not 0 <= number <= _LONGEST_DAYS:
        raise argparse.ArgumentTypeError(f"{number} is not from 0 to {_LONGEST_DAYS}")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1e7:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return number


def _version() -> str:
    try:
        return version("newbie-assets")
    except PackageNotFoundError:
        return "(not installed)"
