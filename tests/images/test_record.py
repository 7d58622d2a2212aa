"""The record inside a file: exact for us, readable for others, silent in public."""

from __future__ import annotations

import dataclasses
import io

import pytest
from lxml import etree
from PIL import Image

from newbie_core.images import (
    ImageError,
    PictureRecord,
    embed,
    encode_png,
    parse_infotext,
    read_record,
    retag,
    software,
)
from newbie_core.images.record import SOURCE_TYPES, TRAINED

XML = '<img>\n  <character_1>\n    <name>角色 "Mina" & <b>🦊</b></name>\n  </character_1>\n</img>\n'


def make_record(**change):
    values = {
        "prompt": XML,
        "flat": "1girl, 角色, reading 🦊",
        "negative": "lowres, bad hands",
        "seed": 2**63 - 1,
        "width": 1024,
        "height": 1536,
        "steps": 28,
        "guidance": "4.5",
        "sampler": "euler",
        "engine": "newbie",
        "fingerprint": "ab" * 32,
        "model": "newbie-image-exp0.1",
        "key": "cd" * 32,
        "software": "newbie-assets 9.9",
    }
    return PictureRecord(**(values | change))


def make_file(record, profile="private"):
    return encode_png(Image.new("RGB", (8, 8)), text=embed(record, profile=profile))


def test_a_private_file_gives_back_the_whole_record():
    record = make_record()
    assert read_record(make_file(record)) == {"format": 1, **dataclasses.asdict(record)}


@pytest.mark.parametrize(
    "prompt",
    [
        XML,
        "plain",
        "",
        "a\r\nb",
        "tab\there",
        "\u2028",
        "'\"\\",
        "Negative prompt: x\nSteps: 1, A1: 2, B2: 3",
    ],
)
def test_the_exact_prompt_survives(prompt):
    assert read_record(make_file(make_record(prompt=prompt)))["prompt"] == prompt


def test_other_tools_read_the_parameters():
    text = Image.open(io.BytesIO(make_file(make_record()))).text["parameters"]
    prompt, negative, parameters = parse_infotext(text)
    assert (prompt, negative) == ("1girl, 角色, reading 🦊", "lowres, bad hands")
    assert parameters == {
        "Steps": "28",
        "Sampler": "euler",
        "CFG scale": "4.5",
        "Seed": str(2**63 - 1),
        "Size-1": "1024",
        "Size-2": "1536",
        "Model": "newbie-image-exp0.1",
        "RNG": "CPU",
        "Version": "newbie-assets 9.9",
        "Backend": "newbie",
        "Fingerprint": "ab" * 32,
        "Content key": "cd" * 32,
    }


@pytest.mark.parametrize("profile", ["private", "public"])
def test_the_xmp_declares_a_models_work(profile):
    packet = embed(make_record(software='a "b" <c> & d'), profile=profile)["XML:com.adobe.xmp"]
    tree = etree.fromstring(packet.encode("utf-8"))
    (description,) = tree.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert (
        description.get("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
        == SOURCE_TYPES + TRAINED
    )
    assert description.get("{http://ns.adobe.com/xap/1.0/}CreatorTool") == 'a "b" <c> & d'


def test_pillow_finds_the_xmp_where_readers_look():
    info = Image.open(io.BytesIO(make_file(make_record()))).info
    assert (SOURCE_TYPES + TRAINED).encode() in info["xmp"]


@pytest.mark.parametrize(
    "make", [lambda r: make_file(r, "public"), lambda r: retag(make_file(r), embed(r, profile="public"))]
)
def test_a_public_file_tells_only_software_key_and_source(make):
    secrets = {
        "prompt": "<img>SECRETPROMPT</img>",
        "flat": "SECRETFLAT",
        "negative": "SECRETNEGATIVE",
        "seed": 918273645,
        "steps": 7777,
        "guidance": "6.6543",
        "sampler": "SECRETSAMPLER",
        "engine": "SECRETENGINE",
        "model": "SECRETMODEL",
        "fingerprint": "fe" * 32,
    }
    data = make(make_record(**secrets))
    for value in (*map(str, secrets.values()), "SECRET", "parameters", "egative"):
        assert value.encode() not in data
    assert read_record(data) == {"format": 1, "key": "cd" * 32, "software": "newbie-assets 9.9"}


def test_a_prompt_with_any_character_can_be_written():
    wild = "".join(map(chr, [*range(0, 0x250), 0x2028, 0x3000, 0x4E00, 0xFEFF, 0xFFFD, 0x1F98A]))
    record = make_record(prompt=wild, flat=wild, negative=wild, model="a, b: c")
    assert read_record(make_file(record))["prompt"] == wild


def test_equal_records_give_equal_texts_in_one_order():
    assert list(embed(make_record(), profile="private").items()) == list(
        embed(make_record(), profile="private").items()
    )
    assert list(embed(make_record(), profile="private")) == [
        "parameters",
        "newbie_assets",
        "XML:com.adobe.xmp",
    ]


def test_a_file_without_our_record_has_none():
    assert read_record(encode_png(Image.new("L", (2, 2)), text={"parameters": "x"})) is None
    assert read_record(b"\xff\xd8\xff not a PNG") is None


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"format": 2}', "{}"])
def test_a_record_that_is_not_ours_is_refused(text):
    with pytest.raises(ImageError, match='PNG text "newbie_assets" is not'):
        read_record(encode_png(Image.new("L", (2, 2)), text={"newbie_assets": text}))


def test_a_record_names_the_software_by_itself():
    record = dataclasses.asdict(make_record())
    del record["software"]
    assert PictureRecord(**record).software == software()
    assert software().startswith("newbie-assets")
