"""What delivered files say of themselves, in every format and profile."""

from __future__ import annotations

import io
import json
import shutil
import subprocess

import pytest
from lxml import etree
from PIL import Image

from newbie_core.catalogs import Channel
from newbie_core.images import (
    ImageError,
    embed,
    encode_as,
    encode_png,
    parse_infotext,
    read_record,
    read_texts,
)
from newbie_core.images.chunks import XMP_KEYWORD
from newbie_core.images.record import SOURCE_TYPES
from tests.images.test_record import make_record

FORMATS = {"png": "png", "webp": "webp", "jpeg": "jpg"}
SOURCE_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
SECRETS = (b"silver_hair", b"black_hair", b"lowres", b"Seed", "silver_hair".encode("utf-16-be"), b"mood")


def source_type(data: bytes) -> str:
    """The digital source type in a file's XMP packet."""
    packet = read_texts(data)[XMP_KEYWORD]
    root = etree.fromstring(packet.encode())
    return next(element.get(SOURCE_TYPE) for element in root.iter() if element.get(SOURCE_TYPE))


@pytest.fixture(params=FORMATS)
def web(request):
    return Channel(name="web", width=48, height=48, format=request.param)


def delivered(tmp_path, channel: Channel) -> bytes:
    return (tmp_path / f"out/web/aria/happy.{FORMATS[channel.format]}").read_bytes()


@pytest.mark.parametrize("profile", ["private", "public"])
def test_drawn_pictures_say_that_an_algorithm_made_them(export, tmp_path, web, profile):
    export(channels=(web,), only=("aria/happy",), profile=profile)
    assert source_type(delivered(tmp_path, web)) == SOURCE_TYPES + "algorithmicMedia"


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("profile", ["private", "public"])
def test_pictures_of_a_network_say_that_a_trained_model_made_them(kind, profile):
    text = embed(make_record(), profile=profile)
    data = encode_as(Image.new("RGB", (8, 8)), kind, text=text)
    expected = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert source_type(data) == expected


def test_a_private_copy_keeps_the_parameters_that_other_tools_read(export, tmp_path, web, release):
    export(channels=(web,), only=("aria/happy",))
    prompt, negative, parameters = parse_infotext(read_texts(delivered(tmp_path, web))["parameters"])
    assert "silver_hair" in prompt.replace(" ", "_")
    assert negative == "lowres"
    assert parameters["Seed"] == str(release.content.entries[0].seed)
    assert (parameters["RNG"], parameters["Model"]) == ("CPU", "sketch")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_script_survives_in_the_parameters(kind):
    record = make_record()
    data = encode_as(Image.new("RGB", (8, 8)), kind, text=embed(record, profile="private"))
    prompt, negative, parameters = parse_infotext(read_texts(data)["parameters"])
    assert (prompt, negative, parameters["Seed"]) == (record.flat, record.negative, str(record.seed))


def test_a_public_copy_tells_no_prompt_seed_or_model_in_any_format(export, tmp_path, web):
    export(channels=(web,), only=("aria/happy",), profile="public")
    data = delivered(tmp_path, web)
    assert "parameters" not in read_texts(data)
    assert not any(secret in data for secret in SECRETS)
    if web.format == "png":
        assert set(read_record(data)) == {"format", "key", "software"}
    listed = (tmp_path / "out/release.json").read_bytes() + (tmp_path / "out/rights.json").read_bytes()
    assert not any(secret in listed for secret in (*SECRETS, b"seed", b"key"))


def test_a_prompt_that_is_too_long_for_a_jpeg_is_named_so():
    text = embed(make_record(flat="x, " * 20_000), profile="private")
    with pytest.raises(ImageError, match="does not fit into a JPEG"):
        encode_as(Image.new("RGB", (8, 8)), "jpeg", text=text)
    assert len(encode_as(Image.new("RGB", (8, 8)), "webp", text=text)) > 60_000


@pytest.mark.parametrize(
    "junk", [b"", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff\xe1\0\4ab", b"\x89PNG\r\n\x1a\n"]
)
def test_texts_of_what_is_no_picture_are_refused(junk):
    with pytest.raises(ImageError):
        read_texts(junk)


def test_a_foreign_comment_is_no_parameters():
    out = io.BytesIO()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0hello"
    Image.new("RGB", (8, 8)).save(out, "JPEG", exif=exif)
    assert read_texts(out.getvalue()) == {}
    assert read_texts(encode_png(Image.new("RGB", (8, 8)), text={"a": "b"})) == {"a": "b"}


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_the_source_type_and_the_parameters(export, tmp_path, web):
    export(channels=(web,), only=("aria/happy",))
    file = tmp_path / f"out/web/aria/happy.{FORMATS[web.format]}"
    said = subprocess.run(["exiftool", "-j", "-n", str(file)], capture_output=True, check=True)
    found = json.loads(said.stdout)[0]
    assert found["DigitalSourceType"] == SOURCE_TYPES + "algorithmicMedia"
    assert "Steps: 28" in found["Parameters" if web.format == "png" else "UserComment"]
