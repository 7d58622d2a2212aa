"""A certificate and its private key, as C2PA wants them: read, and refused with what to do.

The certificate file holds PEM blocks, the signer's first, then those above it; the key file one PEM block,
which is not encrypted. No message tells anything of the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from newbie_core.errors import DeliveryError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

INSTALL = 'pip install "newbie-assets[c2pa]"'

USES = {
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "documentSigning": "1.3.6.1.5.5.7.3.36",
    "C2PA claim signing": "1.3.6.1.4.1.62558.2.1",
    "Microsoft C2PA signing": "1.3.6.1.4.1.311.76.59.1.9",
}
"""Extended key usages for signing claims (C2PA 2.2, 14.5.1, and the list of c2pa-rs)."""

LARGEST_FILE = 1 << 20
"""Bytes of a certificate or key file; chains have a few thousand."""

_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_LEAST_RSA = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signs: certificate and key that fit, valid today.

    Attributes:
        chain: the certificates in PEM form, the signer's first.
        key: PKCS 8 in PEM form.
        algorithm: C2PA's name, such as "es256".
        holder: the name on the certificate.
        until: when the certificate expires.
    """

    chain: bytes
    key: bytes = field(repr=False)
    algorithm: str
    holder: str
    until: datetime


def read_identity(certificate: Path, key: Path) -> Identity:
    """The certificate and the key of these files.

    Raises:
        DeliveryError: one is missing, cannot be read, does not fit the other or is not valid today.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
    except ImportError:
        raise DeliveryError(
            f"--sign needs the package cryptography; {INSTALL}", code="E_SIGN_EXTRA"
        ) from None
    chain = _read_chain(certificate)
    private = _read_key(key)
    algorithm = _algorithm(private, key)
    try:
        _require_fit(chain, private, certificate, key)
        for number, each in enumerate(chain, 1):
            _require_valid(
                each, f"{certificate}, certificate {number}" if len(chain) > 1 else f"{certificate}"
            )
        _require_use(chain[0], certificate)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DeliveryError(
            f"--sign {certificate}: cannot be understood: {error}; get a new one from who issued it",
            code="E_SIGN_CERTIFICATE",
        ) from None
    return Identity(
        chain=b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain),
        key=private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        algorithm=algorithm,
        holder=_holder(chain[0]),
        until=chain[0].not_valid_after_utc,
    )


def _read(path: Path, option: str, code: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise DeliveryError(f"{option} {path}: there is no such file; name a PEM file", code=code) from None
    except OSError as error:
        raise DeliveryError(f"{option} {path}: cannot be read: {error.strerror}", code=code) from None
    if len(data) > LARGEST_FILE:
        raise DeliveryError(f"{option} {path}: is larger than 1 MiB; name a PEM file", code=code)
    return data


def _read_chain(path: Path) -> Sequence[Certificate]:
    from cryptography import x509

    data = _read(path, "--sign", "E_SIGN_CERTIFICATE")
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        hint = (
            "it is a key; --sign takes the certificate, --key the key"
            if b"PRIVATE KEY" in data
            else f'"openssl x509 -inform der -in {path}" turns a DER file into PEM'
        )
        raise DeliveryError(
            f"--sign {path}: holds no certificate in PEM form (-----BEGIN CERTIFICATE-----); {hint}",
            code="E_SIGN_CERTIFICATE",
        ) from None


def _read_key(path: Path) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path, "--key", "E_SIGN_KEY")
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise DeliveryError(
            f"--key {path}: is encrypted, and no passphrase is asked for; "
            f'give it decrypted without a file: --key <(openssl pkey -in "{path}")',
            code="E_SIGN_ENCRYPTED",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise DeliveryError(
            f"--key {path}: holds no private key in PEM form (-----BEGIN PRIVATE KEY-----); "
            f'"openssl pkey -in {path}" shows whether it is one',
            code="E_SIGN_KEY",
        ) from None


def _algorithm(private: PrivateKeyTypes, path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _CURVES:
        return _CURVES[private.curve.name]
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= _LEAST_RSA:
        return "ps256"
    raise DeliveryError(
        f"--key {path}: is of a kind that C2PA does not take; it takes P-256, P-384 and P-521, Ed25519, "
        f"and RSA from {_LEAST_RSA} bits",
        code="E_SIGN_KEY",
    )


def _require_fit(
    chain: Sequence[Certificate], private: PrivateKeyTypes, certificate: Path, key: Path
) -> None:
    own = private.public_key()
    fitting = [number for number, each in enumerate(chain, 1) if each.public_key() == own]
    if not fitting:
        raise DeliveryError(
            f"--key {key}: does not belong to the certificate {certificate} ({_holder(chain[0])}); "
            "name the key that the certificate was made for",
            code="E_SIGN_MISMATCH",
        )
    if fitting[0] != 1:
        raise DeliveryError(
            f"--sign {certificate}: the key {key} belongs to certificate {fitting[0]} of the file; "
            "put the signer's certificate first, then those above it",
            code="E_SIGN_MISMATCH",
        )


def _require_valid(each: Certificate, where: str) -> None:
    now = datetime.now(UTC)
    if now > each.not_valid_after_utc:
        raise DeliveryError(
            f"--sign {where}: the certificate of {_holder(each)} expired on "
            f"{each.not_valid_after_utc:%Y-%m-%d}; get a new one from who issued it",
            code="E_SIGN_EXPIRED",
        )
    if now < each.not_valid_before_utc:
        raise DeliveryError(
            f"--sign {where}: the certificate of {_holder(each)} counts from "
            f"{each.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on; wait, or set this machine's clock",
            code="E_SIGN_EXPIRED",
        )


def _require_use(own: Certificate, path: Path) -> None:
    from cryptography import x509

    if own.issuer == own.subject:
        raise DeliveryError(
            f"--sign {path}: is self-signed, which C2PA refuses; use one that an authority signed, "
            "for tests an authority of your own (docs/delivery.md)",
            code="E_SIGN_CERTIFICATE",
        )
    try:
        uses = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        found = {use.dotted_string for use in uses}
    except (x509.ExtensionNotFound, x509.DuplicateExtension):
        found = set()
    if not found & set(USES.values()):
        raise DeliveryError(
            f"--sign {path}: the certificate is not meant for signing pictures; its extended key usage must "
            f"be one of {', '.join(USES)}",
            code="E_SIGN_CERTIFICATE",
        )


def _holder(certificate: Certificate) -> str:
    """The common name, else the organisation, else all of the subject."""
    from cryptography.x509.oid import NameOID

    for wanted in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in certificate.subject.get_attributes_for_oid(wanted):
            return str(attribute.value)
    return certificate.subject.rfc4514_string()
