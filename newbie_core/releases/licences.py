"""The licences a release tells of: in its attestation, by the fingerprint of what made the pictures.

::

    "rights": {"<fingerprint>": [{"part": "engine", "name": "sketch", "licence": "MIT", "commercial": "yes", …}]}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from newbie_core.errors import DamageError, MissingError
from newbie_core.releases.shelf import Release, Shelf
from newbie_core.rights import Licence, read_licence


def read_attestation(shelf: Shelf, release: Release) -> Mapping[str, Any]:
    """The release's attestation; nothing where it is not there or damaged."""
    try:
        found = orjson.loads(shelf.store.get(release.manifest.attestation))
    except (MissingError, DamageError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def read_rights(shelf: Shelf, release: Release) -> dict[str, list[Licence]]:
    """What the release tells of licences, by fingerprint; releases of older versions tell nothing."""
    told = read_attestation(shelf, release).get("rights")
    if not isinstance(told, dict):
        return {}
    return {
        fingerprint: [read_licence(record) for record in records if isinstance(record, dict)]
        for fingerprint, records in told.items()
        if isinstance(records, list)
    }
