"""Objects named by their digest: whole or not there."""

from __future__ import annotations

from newbie_core.store.checking import Problem
from newbie_core.store.driver import Driver, Stat, check_name
from newbie_core.store.journals import Journal
from newbie_core.store.layout import object_name
from newbie_core.store.local import LocalDriver
from newbie_core.store.names import safe_name
from newbie_core.store.records import decode_lines, encode_line, seal, unseal
from newbie_core.store.store import Store

__all__ = [
    "Driver",
    "Journal",
    "LocalDriver",
    "Problem",
    "Stat",
    "Store",
    "check_name",
    "decode_lines",
    "encode_line",
    "object_name",
    "safe_name",
    "seal",
    "unseal",
]
