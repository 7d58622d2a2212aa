"""`newbie export`: copy a version out."""

from __future__ import annotations

import argparse
from pathlib import Path

from newbie_core.catalogs.settings import SETTINGS_FILE, Settings, load_settings
from newbie_core.cli.output import print_json, result, say
from newbie_core.cli.places import needed_store, set_name_of
from newbie_core.delivery import Order, Signer, deliver, find_channels, read_pattern, read_signer
from newbie_core.errors import DeliveryError, ReleaseError
from newbie_core.releases import Shelf


def export(given: argparse.Namespace) -> int:
    """Copy a version of a set to a new place; the exit code."""
    catalog, version = split_version(given.catalog, given.release)
    settings = _settings(Path(catalog))
    pattern = read_pattern(given.pattern) if given.pattern is not None else None
    channels = find_channels(given.channel, settings.channels)
    signer = _signer(given)
    with needed_store(given.store) as store:
        shelf = Shelf(store, set_name_of(catalog, store))
        ref = shelf.ref(version) if version else shelf.current()
        if ref is None:
            raise ReleaseError(f'set "{shelf.set}" has no release yet; `newbie run` makes one')
        order = Order(
            to=given.to,
            kind=given.kind,
            profile=given.profile,
            only=tuple(given.only),
            pattern=pattern,
            channels=channels,
            labels=settings.sillytavern,
            statements=settings.rights,
            is_commercial=given.commercial,
            signer=signer,
        )
        delivered = deliver(shelf, ref, order)
    if given.json:
        print_json(
            {
                "catalog": shelf.set,
                "release": ref.name,
                "pictures": delivered.pictures,
                "to": str(given.to),
                **({"signed": signer.record()} if signer else {}),
                **delivered.details,
            }
        )
    else:
        by = f", signed by {signer.identity.holder}" if signer else ""
        result(f"{shelf.set} {ref.name}: {delivered.pictures} pictures copied to {given.to}{by}")
    for note in delivered.notes:
        say(f"note: {note}")
    if signer and signer.timestamp is None:
        say(f"note: without --timestamp the signatures count until {signer.identity.until:%Y-%m-%d} only")
    return 0


def _signer(given: argparse.Namespace) -> Signer | None:
    """Who signs the pictures; None for nobody.

    Raises:
        DeliveryError: certificate and key are not given together, or cannot be used.
    """
    if given.sign is None and given.key is None and given.timestamp is None:
        return None
    if given.sign is None or given.key is None:
        raise DeliveryError(
            "--sign CERT.pem and --key KEY.pem go together, and --timestamp with them; name both files",
            code="E_SIGN_OPTIONS",
        )
    return read_signer(given.sign, given.key, timestamp=given.timestamp)


def _settings(catalog: Path) -> Settings:
    """The catalog's settings where it is a folder; a set's bare name has the usual ones."""
    if not catalog.is_dir():
        return Settings(name=catalog.stem)
    return load_settings(catalog / SETTINGS_FILE, name=catalog.resolve().name)


def split_version(catalog: str, release: str | None) -> tuple[str, str | None]:
    """The set and the version of `SET@VERSION`; a path with an @ in it stays whole.

    Raises:
        DeliveryError: `--release` names another version.
    """
    name, mark, version = catalog.rpartition("@")
    if not mark or not name or not version or Path(catalog).exists():
        return catalog, release
    if release is not None and release != version:
        raise DeliveryError(
            f'"{catalog}" and --release {release} name two versions; name one', code="E_EXPORT_VERSION"
        )
    return name, version
