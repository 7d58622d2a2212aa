"""Where things lie in the store, by name.

format.json                      which kind of store this is
objects/ab/cdef…                 bytes named by their sha256
actions/ab/<key>                 what a job gave (sealed, droppable)
releases/…  refs/…               published versions and pointers to them (sealed)
runs/<run>/journal.jsonl         what happened, line by line
decisions/<set>/journal.jsonl    what people decided about a set's pictures, line by line; beside it candidates/,
                                 cells/ (decisions read from sheets) and retired/
goldens/<set>/journal.jsonl      pictures made again before others, per engine and environment, line by line
memo/…                           droppable caches (sealed)
locks/…                          empty files that are flocked
quarantine/…  trash/<time>/…     what was damaged, what nothing needs
views/<set>/<release>/…          objects under readable names (hard links, disposable)
tmp/…                            files being written
"""

from __future__ import annotations

import re

from newbie_core.errors import StoreError
from newbie_core.store.names import safe_name
from newbie_core.store.temporaries import TEMPORARIES

FORMAT = "format.json"
FORMAT_TEXT = b'{"format":1,"hash":"sha256"}\n'
ACTIONS, DECISIONS, LOCKS, MEMO, OBJECTS = "actions", "decisions", "locks", "memo", "objects"
GOLDENS = "goldens"
QUARANTINE, RUNS, TRASH, VIEWS = "quarantine", "runs", "trash", "views"
SEALED = frozenset({ACTIONS, DECISIONS, GOLDENS, MEMO, RUNS, "releases", "refs"})
"""Folders whose files are sealed records, journals aside."""
JOURNALLED = frozenset({DECISIONS, GOLDENS, RUNS})
"""Folders with journals."""
NAMED = frozenset({ACTIONS, MEMO})
"""Folders whose sealed files also carry their own name."""
AREAS = SEALED | {FORMAT, LOCKS, OBJECTS, QUARANTINE, TRASH, TEMPORARIES, VIEWS}
UNCHECKED = frozenset({LOCKS, QUARANTINE, VIEWS})
"""Folders `verify` does not read; views are links of objects and are checked with their release."""
JOURNAL = "journal.jsonl"
TOKENS = f"{MEMO}/tokens"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[0-9a-f]{8,64}")
_OBJECT = re.compile(rf"{OBJECTS}/([0-9a-f]{{2}})/([0-9a-f]{{62}})")


def object_name(digest: str) -> str:
    """The name of the object with this sha256."""
    if not _DIGEST.fullmatch(digest):
        raise StoreError(f"{digest!r} is not a digest; expected 64 lower-case hex digits")
    return f"{OBJECTS}/{digest[:2]}/{digest[2:]}"


def digest_of(name: str) -> str | None:
    """The sha256 an object's name promises; None when it is no object's name."""
    match = _OBJECT.fullmatch(name)
    return match and match[1] + match[2]


def action_name(key: str) -> str:
    """The name of the record of the action with this key."""
    if not _KEY.fullmatch(key):
        raise StoreError(f"{key!r} is not an action key; expected 8 to 64 lower-case hex digits")
    return f"{ACTIONS}/{key[:2]}/{key}"


def journal_name(run_id: str) -> str:
    """The name of the journal of a run."""
    return f"{RUNS}/{safe_name(run_id)}/{JOURNAL}"


def decisions_name(set_name: str) -> str:
    """The name of the journal of a set's decisions."""
    return f"{DECISIONS}/{safe_name(set_name)}/{JOURNAL}"


def notes_name(set_name: str, kind: str) -> str:
    """The name of the journal of a kind of notes that go with a set's decisions."""
    return f"{DECISIONS}/{safe_name(set_name)}/{safe_name(kind)}/{JOURNAL}"


def goldens_name(set_name: str) -> str:
    """The name of the journal of a set's golden pictures."""
    return f"{GOLDENS}/{safe_name(set_name)}/{JOURNAL}"


def candidates_name(set_name: str) -> str:
    """The name of the journal of a set's candidates."""
    return f"{DECISIONS}/{safe_name(set_name)}/candidates/{JOURNAL}"


def fan_out() -> list[str]:
    """The folders made with the store, so that no later write has to make one."""
    return [f"{area}/{number:02x}" for area in (OBJECTS, ACTIONS) for number in range(256)]
