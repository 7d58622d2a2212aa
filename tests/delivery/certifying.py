"""Certificate chains for tests: an authority, what it signs, and a time stamp authority of openssl's."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

EMAIL, STAMPING = ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.TIME_STAMPING
_STAMPS = """
[tsa]
dir = {folder}
serial = {folder}/serial
signer_cert = {folder}/stamps.pem
certs = {folder}/stamps.pem
signer_key = {folder}/stamps.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha384, sha512
accuracy = secs:1
"""


class Files(NamedTuple):
    """A certificate chain and its key, as files."""

    certificate: Path
    key: Path


def make_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key, for ES256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Any, passphrase: bytes | None = None) -> bytes:
    """A key as a PEM block, encrypted where there is a passphrase."""
    protection = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def make_pair(
    folder: Path,
    *,
    key: Any = None,
    use: x509.ObjectIdentifier | None = EMAIL,
    days: tuple[float, float] = (-1, 30),
    self_signed: bool = False,
    root_first: bool = False,
    name: str = "studio",
) -> Files:
    """A signer's certificate with its authority's in one file, and the key in another.

    Args:
        days: from when to when it counts, from now.
    """
    root, key = make_key(), key or make_key()
    authority = _certificate("Studio root", "Studio root", root, root, days=(-2, 60))
    issuer = ("Studio pictures", key) if self_signed else ("Studio root", root)
    own = _certificate("Studio pictures", issuer[0], key, issuer[1], days=days, use=use)
    chain = [own] if self_signed else [authority, own] if root_first else [own, authority]
    files = Files(folder / f"{name}.pem", folder / f"{name}.key")
    files.certificate.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain))
    files.key.write_bytes(key_pem(key))
    return files


def _certificate(
    subject: str,
    issuer: str,
    key: Any,
    signed_by: ec.EllipticCurvePrivateKey,
    *,
    days: tuple[float, float],
    use: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    now, is_authority = datetime.now(UTC), key is signed_by and use is None
    usage = dict.fromkeys(
        "content_commitment key_encipherment data_encipherment key_agreement encipher_only decipher_only".split(),
        False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                **usage,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by.public_key()), critical=False
        )
    )
    if use is not None:
        made = made.add_extension(x509.ExtendedKeyUsage([use]), critical=use == STAMPING)
    return made.sign(signed_by, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Studio"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


@contextlib.contextmanager
def time_stamps(folder: Path, *, answers: int = 1000) -> Iterator[str]:
    """The address of a time stamp authority (RFC 3161) that is away after so many answers."""
    make_pair(folder, use=STAMPING, name="stamps")
    (folder / "stamps.cnf").write_text(_STAMPS.format(folder=folder))
    given: list[bytes] = []

    def stamp(query: bytes) -> bytes | None:
        if len(given) >= answers:
            return None
        (folder / "query").write_bytes(query)
        command = f"openssl ts -reply -config {folder}/stamps.cnf -section tsa -queryfile {folder}/query"
        given.append(subprocess.run(command.split(), capture_output=True, check=True).stdout)
        return given[-1]

    with _server("application/timestamp-reply", stamp) as address:
        yield address


@contextlib.contextmanager
def answering(kind: str, body: bytes) -> Iterator[str]:
    """The address of a server that answers everything so."""
    with _server(kind, lambda _: body) as address:
        yield address


@contextlib.contextmanager
def _server(kind: str, answer: Callable[[bytes], bytes | None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        """Answers each request, or is out of service."""

        def do_POST(self) -> None:
            body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            if body is None:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
