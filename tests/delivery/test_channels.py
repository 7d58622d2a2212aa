"""Channels: sizes, what is cut off, transparency, colour profiles, formats; and what catalog.toml says of them."""

from __future__ import annotations

import io
import json
import struct

import pytest
from PIL import Image

from newbie_core.catalogs import BUILT_IN, Channel
from newbie_core.catalogs.settings import load_settings
from newbie_core.delivery import find_channels, read_pattern
from newbie_core.delivery.channels import cover_box, fitted, head_box, in_channel, in_srgb
from newbie_core.errors import CatalogError, DeliveryError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def bands(*colours, width: int = 60, height: int = 40) -> Image.Image:
    """Horizontal bands of the colours, each `height` pixels high."""
    image = Image.new("RGB", (width, height * len(colours)))
    for at, colour in enumerate(colours):
        image.paste(colour, (0, at * height, width, (at + 1) * height))
    return image


def channel(**changes) -> Channel:
    return Channel(**{"name": "web", "width": 32, "height": 32, "crop": "cover"} | changes)


def as_png(image: Image.Image, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


@pytest.mark.parametrize("crop", ["head", "center", "cover", "contain"])
@pytest.mark.parametrize("size", [(60, 120), (7, 3), (1, 1), (300, 200)])
@pytest.mark.parametrize("target", [(32, 32), (64, 16), (5, 90)])
def test_every_crop_gives_exactly_the_size(crop, size, target):
    image = fitted(Image.new("RGB", size, RED), channel(crop=crop, width=target[0], height=target[1]))
    assert image.size == target


def test_cover_keeps_the_middle_and_head_the_top():
    image = bands(RED, GREEN, BLUE)
    assert fitted(image, channel(crop="cover")).getpixel((16, 16)) == GREEN
    head = fitted(image, channel(crop="head"))
    assert head.getpixel((16, 8)) == RED
    assert BLUE not in [colour for _, colour in head.getcolors()]


def test_boxes_have_the_targets_shape_and_lie_inside_the_picture():
    for box_of in (cover_box, head_box):
        for size in ((192, 192), (512, 768), (640, 384)):
            for target in ((256, 256), (100, 300), (300, 100)):
                left, top, right, bottom = box_of(size, target)
                assert (right - left) / (bottom - top) == pytest.approx(target[0] / target[1])
                assert left >= -1e-6 and top >= 0 and right <= size[0] + 1e-6 and bottom <= size[1] + 1e-6


def test_center_cuts_without_scaling():
    image = Image.new("RGB", (9, 9), RED)
    image.putpixel((4, 4), BLUE)
    cut = fitted(image, channel(crop="center", width=3, height=3))
    assert [cut.getpixel((x, y)) for x in range(3) for y in range(3)].count(BLUE) == 1
    assert cut.getpixel((1, 1)) == BLUE


def test_contain_shows_everything_on_a_transparent_or_coloured_ground():
    image = bands(RED, BLUE)
    clear = fitted(image, channel(crop="contain", width=100, height=80))
    assert (clear.mode, clear.getpixel((0, 40))[3], clear.getpixel((50, 10))) == ("RGBA", 0, (*RED, 255))
    filled = fitted(image, channel(crop="contain", width=100, height=80, background="#00ff00"))
    assert (filled.mode, filled.getpixel((0, 40))) == ("RGB", GREEN)


@pytest.mark.parametrize("kind, magic", [("png", b"\x89PNG"), ("webp", b"RIFF"), ("jpeg", b"\xff\xd8\xff")])
def test_transparent_pictures_keep_it_where_the_format_can_and_lie_on_white_where_not(kind, magic):
    image = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (8, 8, 24, 24))
    data = in_channel(as_png(image), channel(format=kind), text={})
    assert data.startswith(magic)
    corner = Image.open(io.BytesIO(data)).getpixel((0, 0))
    assert corner[3] == 0 if kind != "jpeg" else min(corner) >= 250


def test_half_transparent_edges_take_no_colour_of_what_cannot_be_seen():
    image = Image.new("RGBA", (64, 64), (0, 255, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 32, 64))
    scaled = fitted(image, channel(width=9, height=9))
    for x in range(9):
        red, green, _, alpha = scaled.getpixel((x, 4))
        assert alpha < 8 or (red > 240 and green < 16)


def test_webp_at_100_loses_nothing():
    image = Image.effect_noise((32, 32), 80).convert("RGB")
    data = in_channel(as_png(image), channel(format="webp", quality=100), text={})
    assert Image.open(io.BytesIO(data)).convert("RGB").tobytes() == image.tobytes()


def swapped_profile() -> bytes:
    """An ICC profile (v2, matrix and curves) whose red primary is sRGB's green one and the other way round."""
    primaries = {
        b"rXYZ": (0.3851, 0.7169, 0.0971),
        b"gXYZ": (0.4361, 0.2225, 0.0139),
        b"bXYZ": (0.1431, 0.0606, 0.7141),
    }
    values = {b"wtpt": (0.9642, 1.0, 0.8249), **primaries}
    tags = {
        name: b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in xyz)
        for name, xyz in values.items()
    }
    tags |= {
        name: struct.pack(">4sIIH", b"curv", 0, 1, round(2.2 * 256)) + b"\0\0"
        for name in (b"rTRC", b"gTRC", b"bTRC")
    }
    tags[b"desc"] = struct.pack(">4sII", b"desc", 0, 2) + b"x\0" + b"\0" * 78
    tags[b"cprt"] = b"text\0\0\0\0none\0\0\0\0"
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"test", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    head += struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def test_a_colour_profile_is_turned_into_srgb():
    data = as_png(Image.new("RGB", (32, 32), (230, 20, 20)), icc_profile=swapped_profile())
    out = Image.open(io.BytesIO(in_channel(data, channel(), text={})))
    red, green, _ = out.getpixel((16, 16))
    assert green > 200 and red < 90
    assert "icc_profile" not in out.info


def test_a_broken_colour_profile_counts_as_srgb():
    image = Image.new("RGBA", (8, 8), (230, 20, 20, 128))
    image.info["icc_profile"] = b"no profile"
    assert in_srgb(image).getpixel((0, 0)) == (230, 20, 20, 128)


def test_the_built_in_channels_are_delivered_in_folders_of_their_own(export, tmp_path):
    done = export(channels=find_channels(["avatar", "poster", "avatar"], {}), only=("aria/*",))
    assert (done.pictures, done.files) == (2, 4)
    with Image.open(tmp_path / "out/avatar/aria/happy.webp") as avatar:
        assert (avatar.format, avatar.size) == ("WEBP", (256, 256))
    with Image.open(tmp_path / "out/poster/aria/sad.jpg") as poster:
        assert (poster.format, poster.size) == ("JPEG", (1080, 1620))
    rows = json.loads((tmp_path / "out/release.json").read_bytes())["pictures"]
    assert [(row["channel"], row["width"]) for row in rows] == [("avatar", 256)] * 2 + [("poster", 1080)] * 2


def test_a_pattern_may_place_the_channel(export, tmp_path):
    own = {"tiny": channel(name="tiny", width=8, height=8, format="webp")}
    export(
        channels=find_channels(["tiny"], own),
        pattern=read_pattern("{character}/{expression}@{channel}.png"),
        only=("ren/sad",),
    )
    assert (tmp_path / "out/ren/sad@tiny.webp").is_file()


def test_an_unknown_channel_is_named_with_the_nearest():
    with pytest.raises(DeliveryError, match='did you mean "avatar"'):
        find_channels(["avtar"], {})


def test_catalog_toml_describes_channels_and_changes_built_in_ones(tmp_path):
    file = tmp_path / "catalog.toml"
    file.write_text(
        '[channels.icon]\nsize = "64 x 48"\ncrop = "contain"\nformat = "jpeg"\nquality = 70\nbackground = "#102030"\n'
        "[channels.avatar]\nquality = 50\n"
    )
    found = load_settings(file, name="cast").channels
    assert found["icon"] == Channel(
        name="icon", width=64, height=48, crop="contain", format="jpeg", quality=70, background="#102030"
    )
    avatar = BUILT_IN["avatar"]
    assert (found["avatar"].quality, found["avatar"].crop, found["avatar"].width) == (
        50,
        avatar.crop,
        avatar.width,
    )


@pytest.mark.parametrize(
    "text, key",
    [
        ('[channels.a]\nsize = "big"', "channels.a.size"),
        ("[channels.a]\ncrop = 'cover'", "channels.a.size"),
        ('[channels.a]\nsize = "9x9000"', "channels.a.size"),
        ('[channels.a]\nsize = "9x9"\ncrop = "heads"', 'channels.a.crop: "heads" is not known; did you mean "head"?'),
        ('[channels.a]\nsize = "9x9"\nformat = "gif"', "channels.a.format"),
        ('[channels.a]\nsize = "9x9"\nquality = 101', "channels.a.quality"),
        ('[channels.a]\nsize = "9x9"\nbackground = "red"', "channels.a.background"),
        ('[channels.a]\nsize = "9x9"\nqualty = 1', 'channels.a.qualty: is not a known setting; did you mean "quality"?'),
        ('[channels."../x"]\nsize = "9x9"', "channels.../x"),
        ("channels = 3", "channels"),
        ("[channels]\na = 3", "channels.a"),
        ('[sillytavern]\nsmug = "prde"', 'sillytavern.smug: "prde" is not a label; did you mean "pride"?'),
        ('[rights."vae/*"]\ncommercial = "yes"', "rights.vae/*.licence"),
        ('[rights."vae/*"]\nlicence = "X"\ncommercial = "maybe"', "rights.vae/*.commercial"),
        ("[rights]\nvae = 1", "rights.vae"),
    ],
)  # fmt: skip
def test_a_fault_of_the_settings_names_its_key(tmp_path, text, key):
    file = tmp_path / "catalog.toml"
    file.write_text(text)
    with pytest.raises(CatalogError) as refused:
        load_settings(file, name="cast")
    assert key in str(refused.value)
