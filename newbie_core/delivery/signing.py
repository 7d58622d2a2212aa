"""Content Credentials (C2PA): a signed manifest in a picture file that says who made it and how.

The manifest has one action::

    c2pa.created            digitalSourceType: IPTC's word, as in the file's XMP
                            softwareAgent: what made the picture
                            parameters: newbie.prompt, newbie.seed …, in a private file only

It binds every byte of the file, so it is put in when nothing else will be written.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from newbie_core.catalogs.outlets import Format
from newbie_core.delivery.certificates import INSTALL, USES, Identity, read_identity
from newbie_core.errors import DeliveryError
from newbie_core.images import TRAINED, encode_as, software
from newbie_core.images.record import SOURCE_TYPES, Profile

_TOLD = ("prompt", "negative", "seed", "steps", "guidance", "sampler", "key")
"""Fields of our record that a private manifest repeats."""

_FINGERPRINT_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Signs picture files, all of an export with one certificate.

    Attributes:
        context: c2pa's, with the certificate and key in it.
        timestamp: the address of a time stamp authority (RFC 3161), asked once a file.
    """

    identity: Identity
    context: Any
    timestamp: str | None = None

    def sign(self, data: bytes, kind: Format, manifest: Mapping[str, Any]) -> bytes:
        """The file `data` with the manifest in it, signed and read back.

        Raises:
            DeliveryError: it cannot be signed, or the time stamp authority does not answer.
        """
        import c2pa

        out = io.BytesIO()
        try:
            with c2pa.Builder(orjson.dumps(manifest).decode(), self.context) as builder:
                builder.sign(f"image/{kind}", io.BytesIO(data), out)
        except c2pa.C2paError as error:
            raise self._refused(" ".join(str(error).split())) from None
        return out.getvalue()

    def _refused(self, why: str) -> DeliveryError:
        if self.timestamp is not None:
            return DeliveryError(
                f"--timestamp {self.timestamp}: gave no time stamp ({why}); try again, name another "
                "authority, or leave --timestamp out",
                code="E_SIGN_TIMESTAMP",
            )
        return DeliveryError(
            f"the certificate of {self.identity.holder} cannot sign: {why}; see what C2PA wants of "
            "certificates in docs/delivery.md",
            code="E_SIGN_FAILED",
        )

    def record(self) -> dict[str, object]:
        """Who signed, as programs read it."""
        return {
            "by": self.identity.holder,
            "algorithm": self.identity.algorithm,
            "until": f"{self.identity.until:%Y-%m-%dT%H:%M:%SZ}",
            "timestamp": self.timestamp,
        }


def read_signer(certificate: Path, key: Path, *, timestamp: str | None = None) -> Signer:
    """The signer of these PEM files, after it has signed a picture of one pixel: without a time stamp, then with one.

    Raises:
        DeliveryError: the package c2pa is missing, certificate or key cannot be used, or no time stamp
            comes; the code tells which.
    """
    try:
        import c2pa  # noqa: F401
    except ImportError as error:
        raise DeliveryError(
            f"--sign needs the package c2pa-python ({error}); {INSTALL}", code="E_SIGN_EXTRA"
        ) from None
    if timestamp is not None and not timestamp.startswith(("http://", "https://")):
        raise DeliveryError(
            f'--timestamp "{timestamp}": is no address; one begins with http:// or https://',
            code="E_SIGN_TIMESTAMP",
        )
    identity = read_identity(certificate, key)
    signer = _make_signer(identity, None)
    _try(signer)
    if timestamp is not None:
        signer = _make_signer(identity, timestamp)
        _try(signer)
    return signer


def _make_signer(identity: Identity, timestamp: str | None) -> Signer:
    import c2pa

    info = c2pa.C2paSignerInfo(identity.algorithm, identity.chain, identity.key, timestamp)
    settings = {
        "builder": {"thumbnail": {"enabled": False}},
        "trust": {"trust_config": "\n".join(USES.values())},
        "verify": {"verify_after_sign": True},
    }
    try:
        context = c2pa.Context.from_dict(settings, c2pa.Signer.from_info(info))
    except c2pa.C2paError as error:
        raise DeliveryError(f"the certificate of {identity.holder}: {error}", code="E_SIGN_FAILED") from None
    return Signer(identity=identity, context=context, timestamp=timestamp)


def _try(signer: Signer) -> None:
    """Sign a picture of one pixel, so that what is wrong is known before anything is written."""
    from PIL import Image

    record = {"software": software()}
    signer.sign(
        encode_as(Image.new("RGB", (1, 1)), "png", text={}),
        "png",
        make_manifest(record, title="trial", profile="public"),
    )


def make_manifest(record: Mapping[str, Any], *, title: str, profile: Profile) -> dict[str, Any]:
    """What is to be signed of a picture, from the record in its file.

    A public one tells the software, the source type and the title: no prompt, no seed, no model.
    """
    action: dict[str, Any] = {
        "action": "c2pa.created",
        "digitalSourceType": SOURCE_TYPES + record.get("source_type", TRAINED),
        "softwareAgent": _program(record["software"]),
    }
    if profile == "private":
        engine, model = str(record["engine"]), str(record["model"])
        action["softwareAgent"] = {
            "name": engine if engine == model else f"{engine} {model}",
            "version": str(record["fingerprint"])[:_FINGERPRINT_SHOWN],
        }
        action["parameters"] = {f"newbie.{name}": record[name] for name in _TOLD}
    return {
        "claim_generator_info": [_program(software())],
        "title": title,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }


def _program(name_and_version: str) -> dict[str, str]:
    name, _, version = name_and_version.partition(" ")
    return {"name": name, "version": version} if version else {"name": name}
