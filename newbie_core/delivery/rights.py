"""May these pictures be sold? The licences behind each picture, and the refusal where one does not allow it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson

from newbie_core.digests import digest_value
from newbie_core.errors import DamageError, DeliveryError, Fault, MissingError
from newbie_core.images.record import Profile
from newbie_core.releases import Entry, Release, Shelf, read_rights
from newbie_core.rights import ENGINE_PART, Licence, Statement, stated

_FAULTS_SHOWN = 20
_WEIGHTS_NEEDLESS = frozenset({"sketch"})
"""Engines that draw without weights: releases from before licences were kept are cleared by their name."""


def licences_behind(
    shelf: Shelf, release: Release, entries: Iterable[Entry], statements: Sequence[Statement]
) -> dict[str, list[Licence]]:
    """The licences of what made the entries, by the fingerprint of each engine, with what people state today.

    What the release does not tell, for it is from before licences were kept, is taken from the set's other
    releases; what nobody tells is not known.
    """
    recipes = release.content.recipes
    wanted = {recipes[entry.recipe].engine for entry in entries}
    told = {name: found for name, found in read_rights(shelf, release).items() if name in wanted and found}
    if missing := wanted - told.keys():
        told |= _told_elsewhere(shelf, release, missing)
    return {
        name: stated(told.get(name) or [Licence(part=ENGINE_PART, name="?", digest=name)], statements)
        for name in sorted(wanted)
    }


def _told_elsewhere(shelf: Shelf, release: Release, wanted: set[str]) -> dict[str, list[Licence]]:
    """What other releases tell of these fingerprints, else the parts of the engine a release was made with."""
    told: dict[str, list[Licence]] = {}
    parts = _from_parts(release, wanted)
    for ref in shelf.refs():
        if wanted <= told.keys():
            break
        try:
            other = shelf.read(ref)
        except (DamageError, MissingError):
            continue
        told |= {name: found for name, found in read_rights(shelf, other).items() if name in wanted and found}
        parts |= _from_parts(other, wanted)
    return parts | told


def _from_parts(release: Release, wanted: set[str]) -> dict[str, list[Licence]]:
    """The parts of a release's engine as licences nobody has told; nothing when it is not one of `wanted`."""
    parts = dict(release.content.engine)
    if (fingerprint := digest_value(parts)) not in wanted:
        return {}
    engine = parts.get("engine", "?")
    if engine in _WEIGHTS_NEEDLESS:
        return {
            fingerprint: [
                Licence(part=ENGINE_PART, name=engine, licence="MIT", commercial="yes", stated="package")
            ]
        }
    weights = [
        Licence(part=part, name=name, digest=digest)
        for part, mark, name, digest in ((*key.partition("/"), value) for key, value in parts.items())
        if mark
    ]
    return {fingerprint: weights or [Licence(part=ENGINE_PART, name=engine)]}


def require_commercial(
    release: Release, entries: Sequence[Entry], licences: Mapping[str, Sequence[Licence]]
) -> None:
    """Refuse a delivery for sale with a picture that is not cleared.

    Raises:
        DeliveryError: naming each picture, and the parts whose licence does not allow it or is not known.
    """
    recipes = release.content.recipes
    faults = []
    for entry in entries:
        barred = [each for each in licences[recipes[entry.recipe].engine] if each.commercial != "yes"]
        if barred:
            why = ", ".join(dict.fromkeys(map(_spoken, barred)))
            faults.append(
                Fault(
                    file=f"{release.content.set} {release.ref.name}",
                    code="E_EXPORT_RIGHTS",
                    message=f'picture "{entry.id}" is not cleared for commercial use: {why}',
                    severity="file",
                )
            )
    if faults:
        lines = [str(fault) for fault in faults[:_FAULTS_SHOWN]]
        if len(faults) > _FAULTS_SHOWN:
            lines.append(f"… and {len(faults) - _FAULTS_SHOWN} more pictures (see --json)")
        lines.append(
            'Make them with other weights, or state your licence of these under [rights."PART/NAME"] '
            'in catalog.toml, with commercial = "yes"'
        )
        raise DeliveryError("\n".join(lines), faults=faults)


def _spoken(licence: Licence) -> str:
    terms = licence.licence or "no licence known"
    word = "not commercial" if licence.commercial == "no" else "commercial use not known"
    return f"{licence.part}/{licence.name} ({terms}, {word})"


def rights_page(
    entries: Sequence[Entry],
    release: Release,
    licences: Mapping[str, Sequence[Licence]],
    profile: Profile,
) -> bytes:
    """The licences behind an export as JSON: which, and which pictures each group of them made.

    A public page names no file, digest or source: those tell what a studio works with.
    """
    groups = []
    for fingerprint, found in licences.items():
        made = [entry.id for entry in entries if release.content.recipes[entry.recipe].engine == fingerprint]
        records = [_public(each) if profile == "public" else each.record() for each in found]
        unique = list({orjson.dumps(record): record for record in records}.values())
        cleared = all(each.commercial == "yes" for each in found)
        groups.append(
            {"commercial": "yes" if cleared else "not cleared", "licences": unique, "pictures": made}
        )
    return orjson.dumps({"rights": groups}, option=orjson.OPT_INDENT_2) + b"\n"


def _public(licence: Licence) -> dict[str, str]:
    return {"part": licence.part, "licence": licence.licence, "commercial": licence.commercial}
