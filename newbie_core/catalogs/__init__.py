"""An image set's folder: its settings, its tables, its template."""

from newbie_core.catalogs.catalog import Catalog, find_catalogs, open_catalog, with_engine
from newbie_core.catalogs.outlets import BUILT_IN, LABELS, Channel
from newbie_core.catalogs.settings import Settings, parse_size

__all__ = [
    "BUILT_IN",
    "LABELS",
    "Catalog",
    "Channel",
    "Settings",
    "find_catalogs",
    "open_catalog",
    "parse_size",
    "with_engine",
]
