"""Content Credentials: signed files validate, tell what they may, and everything else in them stays."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys

import pytest

c2pa = pytest.importorskip("c2pa", reason="c2pa-python is not installed")
pytest.importorskip("cryptography", reason="cryptography is not installed")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402
from PIL import Image  # noqa: E402

from newbie_core.catalogs import Channel  # noqa: E402
from newbie_core.cli import main  # noqa: E402
from newbie_core.delivery import read_signer  # noqa: E402
from newbie_core.delivery.signing import make_manifest  # noqa: E402
from newbie_core.digests import digest_bytes  # noqa: E402
from newbie_core.errors import DeliveryError  # noqa: E402
from newbie_core.images import (  # noqa: E402
    decode,
    embed,
    encode_as,
    parse_infotext,
    pixel_digest,
    public_texts,
    read_record,
    read_texts,
)
from newbie_core.images.chunks import chunk_bytes, is_png, read_chunks  # noqa: E402
from newbie_core.images.record import SOURCE_TYPES  # noqa: E402
from tests.delivery.certifying import Files, answering, key_pem, make_key, make_pair, time_stamps  # noqa: E402
from tests.delivery.test_metadata import FORMATS, SECRETS, source_type  # noqa: E402
from tests.images.test_record import make_record  # noqa: E402
from tests.releases.building import root_of  # noqa: E402

CLAIM_SIGNING = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
SERVER = x509.oid.ExtendedKeyUsageOID.SERVER_AUTH


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Files:
    """A chain and its key that can sign."""
    return make_pair(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def signer(files):
    return read_signer(*files)


@pytest.fixture(params=FORMATS)
def web(request):
    return Channel(name="web", width=48, height=48, format=request.param)


def delivered(tmp_path, channel: Channel, picture: str = "aria/happy") -> bytes:
    return (tmp_path / f"out/web/{picture}.{FORMATS[channel.format]}").read_bytes()


def read(data: bytes, kind: str) -> dict:
    """What c2pa's reader says of a file."""
    with c2pa.Reader(f"image/{kind}", io.BytesIO(data)) as reader:
        return json.loads(reader.json())


def failures(said: dict) -> list[str]:
    return [each["code"] for each in said["validation_results"]["activeManifest"]["failure"]]


def active(said: dict) -> dict:
    return said["manifests"][said["active_manifest"]]


def created(said: dict) -> dict:
    """The one action of a manifest."""
    (actions,) = (each for each in active(said)["assertions"] if each["label"].startswith("c2pa.actions"))
    (action,) = actions["data"]["actions"]
    return action


@pytest.mark.parametrize("profile", ["private", "public"])
def test_signed_files_of_every_format_validate_and_nothing_but_trust_is_missing(
    export, tmp_path, web, signer, profile
):
    done = export(channels=(web,), profile=profile, signer=signer)
    assert done.files == 4
    for picture in ("aria/happy", "aria/sad", "ren/happy", "ren/sad"):
        said = read(delivered(tmp_path, web, picture), web.format)
        assert failures(said) == ["signingCredential.untrusted"]
        assert said["validation_state"] == "Valid"
        assert active(said)["title"] == f"cast: {picture}"
        assert active(said)["signature_info"]["common_name"] == "Studio pictures"
        assert active(said)["claim_generator_info"][0]["name"] == "newbie-assets"


def test_the_manifest_says_the_same_source_type_as_the_xmp(export, tmp_path, web, signer):
    export(channels=(web,), only=("aria/happy",), signer=signer)
    data = delivered(tmp_path, web)
    action = created(read(data, web.format))
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"] == source_type(data) == SOURCE_TYPES + "algorithmicMedia"


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("profile", ["private", "public"])
def test_a_picture_of_a_network_is_signed_as_a_trained_models_work(signer, kind, profile):
    texts = embed(make_record(), profile="private")
    picture = encode_as(Image.new("RGB", (8, 8)), "png", text=texts)
    manifest = make_manifest(read_record(picture), title="cast: aria/happy", profile=profile)
    said = read(signer.sign(encode_as(Image.new("RGB", (8, 8)), kind, text=texts), kind, manifest), kind)
    expected = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert created(said)["digitalSourceType"] == expected
    assert failures(said) == ["signingCredential.untrusted"]


def test_a_private_file_names_engine_prompt_and_seed_in_its_manifest(export, tmp_path, web, signer, release):
    export(channels=(web,), only=("aria/happy",), signer=signer)
    action = created(read(delivered(tmp_path, web), web.format))
    assert action["softwareAgent"]["name"] == "sketch"
    assert "silver_hair" in action["parameters"]["newbie.prompt"]
    assert action["parameters"]["newbie.seed"] == release.content.entries[0].seed


def test_a_public_file_tells_no_prompt_seed_or_model_in_its_manifest(export, tmp_path, web, signer, release):
    export(channels=(web,), only=("aria/happy",), profile="public", signer=signer)
    data = delivered(tmp_path, web)
    action = created(read(data, web.format))
    assert set(action) == {"action", "digitalSourceType", "softwareAgent"}
    assert action["softwareAgent"]["name"] == "newbie-assets"
    secrets = (*SECRETS, b"sketch", b"newbie.", str(release.content.entries[0].seed).encode())
    assert not any(secret in data for secret in secrets)


def test_everything_else_in_a_private_file_stays_readable(export, tmp_path, web, signer, release):
    export(channels=(web,), only=("aria/happy",), signer=signer)
    data = delivered(tmp_path, web)
    _, negative, parameters = parse_infotext(read_texts(data)["parameters"])
    assert (negative, parameters["Seed"]) == ("lowres", str(release.content.entries[0].seed))
    if web.format == "png":
        assert read_record(data)["prompt"].count("silver_hair") == 1


def test_a_picture_without_a_channel_keeps_its_pixels_and_its_public_texts(
    export, tmp_path, signer, shelf, release
):
    export(only=("aria/happy",), profile="public", signer=signer)
    data = (tmp_path / "out/pictures/aria/happy.png").read_bytes()
    entry = release.content.entries[0]
    assert pixel_digest(decode(data)) == entry.pixels
    assert read_texts(data) == public_texts(shelf.store.get(entry.object))
    assert failures(read(data, "png")) == ["signingCredential.untrusted"]


def with_other_pixels(data: bytes) -> bytes:
    """The file with other pixels and all of its other parts, the manifest too."""
    if not is_png(data):
        at = data.index(b"VP8 " if data.startswith(b"RIFF") else b"\xff\xda") + 40
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    changed = decode(data).convert("RGB")
    changed.putpixel((3, 3), (1, 2, 3))
    rows = [c for c in read_chunks(encode_as(changed, "png", text={})) if c.type == b"IDAT"]
    parts, is_done = [data[:8]], False
    for chunk in read_chunks(data):
        if chunk.type != b"IDAT":
            parts.append(chunk_bytes(chunk.type, chunk.data))
        elif not is_done:
            parts += [chunk_bytes(b"IDAT", row.data) for row in rows]
            is_done = True
    return b"".join(parts)


def test_a_changed_pixel_is_found(export, tmp_path, web, signer):
    export(channels=(web,), only=("aria/happy",), signer=signer)
    said = read(with_other_pixels(delivered(tmp_path, web)), web.format)
    assert "assertion.dataHash.mismatch" in failures(said)
    assert said["validation_state"] == "Invalid"


def test_the_lists_of_a_data_package_have_the_digests_of_the_signed_files(export, tmp_path, signer):
    export(kind="datapackage", signer=signer)
    resources = json.loads((tmp_path / "out/datapackage.json").read_bytes())["resources"]
    for resource in resources:
        data = (tmp_path / "out" / resource["path"]).read_bytes()
        assert (resource["bytes"], resource["hash"]) == (len(data), f"sha256:{digest_bytes(data)}")
    assert failures(read(data, "png")) == ["signingCredential.untrusted"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(65537, 2048),
    ],
    ids=["es384", "ed25519", "ps256"],
)
def test_other_keys_and_the_use_that_c2pa_registered_sign_too(tmp_path, make):
    signer = read_signer(*make_pair(tmp_path, key=make(), use=CLAIM_SIGNING))
    manifest = make_manifest({"software": "newbie-assets 0.1.0"}, title="x", profile="public")
    said = read(signer.sign(encode_as(Image.new("RGB", (8, 8)), "webp", text={}), "webp", manifest), "webp")
    assert said["active_manifest"] and "assertion.dataHash.mismatch" not in failures(said)


def test_a_key_in_openssls_older_form_signs(tmp_path):
    from cryptography.hazmat.primitives import serialization

    key = make_key()
    files = make_pair(tmp_path, key=key)
    older = serialization.PrivateFormat.TraditionalOpenSSL
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, older, serialization.NoEncryption()))
    assert read_signer(*files).identity.holder == "Studio pictures"


def refused(certificate, key, **options) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        read_signer(certificate, key, **options)
    lines = key.read_text().splitlines() if key.is_file() else []
    assert not any(line in str(caught.value) for line in lines)
    return caught.value


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"days": (-9, -1)}, "E_SIGN_EXPIRED", "expired on"),
        ({"days": (1, 9)}, "E_SIGN_EXPIRED", "counts from"),
        ({"use": None}, "E_SIGN_CERTIFICATE", "extended key usage"),
        ({"use": SERVER}, "E_SIGN_CERTIFICATE", "emailProtection"),
        ({"self_signed": True}, "E_SIGN_CERTIFICATE", "self-signed"),
        ({"root_first": True}, "E_SIGN_MISMATCH", "put the signer's certificate first"),
        ({"key": ec.generate_private_key(ec.SECP256K1())}, "E_SIGN_KEY", "P-256"),
    ],
)
def test_a_certificate_that_cannot_sign_is_named_with_what_to_do(tmp_path, options, code, text):
    error = refused(*make_pair(tmp_path, **options))
    assert (error.code, text in str(error)) == (code, True), error


def test_a_key_that_does_not_fit_an_encrypted_one_and_no_key_are_told_apart(tmp_path, files):
    other = tmp_path / "other.key"
    other.write_bytes(key_pem(make_key()))
    assert refused(files.certificate, other).code == "E_SIGN_MISMATCH"
    other.write_bytes(key_pem(make_key(), b"secret"))
    error = refused(files.certificate, other)
    assert error.code == "E_SIGN_ENCRYPTED" and "openssl pkey" in str(error)
    other.write_text("hello")
    assert refused(files.certificate, other).code == "E_SIGN_KEY"
    assert "no such file" in str(refused(files.certificate, tmp_path / "none.key"))


def test_a_certificate_that_is_missing_or_is_none_is_named(tmp_path, files):
    assert "no such file" in str(refused(tmp_path / "none.pem", files.key))
    assert "it is a key" in str(refused(files.key, files.key))
    (tmp_path / "der.pem").write_bytes(b"\x30\x82\x01\x01")
    error = refused(tmp_path / "der.pem", files.key)
    assert error.code == "E_SIGN_CERTIFICATE" and "-inform der" in str(error)
    assert refused(tmp_path, files.key).code == "E_SIGN_CERTIFICATE"


def test_a_time_stamp_authority_that_does_not_answer_is_named_before_anything_is_written(files):
    assert refused(*files, timestamp="ftp://x").code == "E_SIGN_TIMESTAMP"
    error = refused(*files, timestamp="http://127.0.0.1:9/tsa")
    assert error.code == "E_SIGN_TIMESTAMP" and "leave --timestamp out" in str(error)


@pytest.mark.parametrize("kind", ["text/html", "application/timestamp-reply"])
def test_an_answer_that_is_no_time_stamp_is_the_authoritys_fault(files, kind):
    with answering(kind, b"<html>hello</html>") as address:
        error = refused(*files, timestamp=address)
    assert error.code == "E_SIGN_TIMESTAMP" and address in str(error)


@needs_openssl
def test_a_time_stamp_stands_in_the_signature(export, tmp_path, web, files):
    with time_stamps(tmp_path) as address:
        export(channels=(web,), only=("aria/happy",), signer=read_signer(*files, timestamp=address))
    said = read(delivered(tmp_path, web), web.format)
    assert "time" in active(said)["signature_info"]
    found = {each["code"] for each in said["validation_results"]["activeManifest"]["success"]}
    assert "timeStamp.validated" in found
    assert failures(said) == ["signingCredential.untrusted"]


@needs_openssl
def test_an_authority_that_goes_away_between_two_pictures_leaves_nothing_behind(
    export, tmp_path, tmp_path_factory, files
):
    with time_stamps(tmp_path_factory.mktemp("stamps"), answers=2) as address:
        signer = read_signer(*files, timestamp=address)
        with pytest.raises(DeliveryError, match='picture "aria/sad": --timestamp') as caught:
            export(signer=signer)
    assert caught.value.code == "E_SIGN_TIMESTAMP"
    assert list(tmp_path.iterdir()) == []


def test_the_command_signs_and_says_by_whom(shelf, tmp_path, files, capsys):
    words = ["export", "cast", "--to", str(tmp_path / "out"), "--store", str(root_of(shelf.store)), "--json"]
    assert main([*words, "--sign", str(files.certificate)]) == 2
    assert "--key" in capsys.readouterr().err
    assert main([*words, "--sign", str(files.certificate), "--key", str(files.key)]) == 0
    said = capsys.readouterr()
    signed = json.loads(said.out)["signed"]
    assert (signed["by"], signed["algorithm"], signed["timestamp"]) == ("Studio pictures", "es256", None)
    assert f"count until {signed['until'][:10]} only" in said.err


WITHOUT = """
import sys
sys.modules["c2pa"] = None
from newbie_core.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_the_extra_the_message_says_what_to_install(tmp_path, files):
    words = ["export", "cast", "--to", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *words, "--sign", *map(str, (files.certificate, "--key", files.key))],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert 'pip install "newbie-assets[c2pa]"' in done.stderr
