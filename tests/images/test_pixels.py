"""Pixels: one digest for equal pixels, strict decoding, and no black pictures."""

from __future__ import annotations

import io
import random
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from newbie_core.images import ImageError, decode, encode_png, has_picture, pixel_digest
from newbie_core.images.chunks import SIGNATURE, chunk_bytes
from newbie_core.images.strict import _stream_length


def make_picture(mode="RGB", size=(40, 30)):
    return Image.radial_gradient("L").resize(size).convert(mode)


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_png(width, height, rows=b"", *extra):
    """A PNG by hand: 8-bit grey, `rows` as its deflated content."""
    header = chunk_bytes(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"".join(
        (SIGNATURE, header, *extra, chunk_bytes(b"IDAT", zlib.compress(rows)), chunk_bytes(b"IEND", b""))
    )


def test_the_digest_is_sha256_of_the_documented_layout():
    import hashlib

    image = Image.new("RGB", (2, 1), (1, 2, 3))
    expected = hashlib.sha256(b"newbie-pixels 1 RGB 2 1\n\x01\x02\x03\x01\x02\x03").hexdigest()
    assert pixel_digest(image) == expected


def test_equal_pixels_have_one_digest_whatever_file_they_come_from():
    image = make_picture()
    files = (
        encode_png(image),
        saved(image),
        saved(image, compress_level=1),
        saved(image, "WEBP", lossless=True),
    )
    assert {pixel_digest(decode(data)) for data in files} == {pixel_digest(image)}


@pytest.mark.parametrize(
    "other",
    [make_picture("L"), make_picture("RGBA"), make_picture(size=(30, 40)), make_picture(size=(20, 60))],
)
def test_another_mode_or_shape_has_another_digest(other):
    assert pixel_digest(other) != pixel_digest(make_picture())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_whole_pictures_of_the_three_formats_are_read(kind):
    image = decode(saved(make_picture(), kind))
    assert (image.mode, image.size, image.format) == ("RGB", (40, 30), kind)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "EPS", "PPM", "ICO"])
def test_other_formats_are_refused_by_content(kind):
    with pytest.raises(ImageError, match="neither PNG, JPEG nor WebP"):
        decode(saved(make_picture(), kind))


@pytest.mark.parametrize(
    "data", [b"", b"x", b"<html>404</html>", SIGNATURE, b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"]
)
def test_bytes_that_are_no_picture_are_refused(data):
    with pytest.raises(ImageError):
        decode(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(kind, part):
    noise = np.random.default_rng(1).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(ImageError):
        decode(data[: int(len(data) * part)])


def test_a_png_that_lacks_only_its_end_chunk_is_refused_though_pillow_loads_it():
    data = encode_png(make_picture())[:-12]
    Image.open(io.BytesIO(data)).load()
    with pytest.raises(ImageError, match="without an IEND chunk"):
        decode(data)


def test_bytes_after_the_end_of_a_png_are_refused_though_pillow_loads_them():
    data = encode_png(make_picture()) + b"PK\x03\x04"
    Image.open(io.BytesIO(data)).load()
    with pytest.raises(ImageError, match="4 bytes after the end"):
        decode(data)


def test_a_png_with_fewer_rows_than_it_claims_is_refused():
    with pytest.raises(ImageError, match="unpack to 5050 of 10100 bytes"):
        decode(make_png(100, 100, b"\0" * 101 * 50))


def test_a_png_with_more_rows_than_it_claims_is_refused():
    with pytest.raises(ImageError, match="more than the 10100 bytes"):
        decode(make_png(100, 100, b"\0" * 50_000_000))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (13, 9), (100, 3)])
def test_honest_pngs_of_every_kind_pass(mode, size):
    assert decode(saved(Image.new(mode, size))).size == size


@pytest.mark.parametrize(("size", "expected"), [((1, 1), 4), ((2, 3), 23), ((9, 9), 262)])
def test_interlaced_rows_are_counted_by_their_passes(size, expected):
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 1)
    assert _stream_length(header, 100) == expected


@pytest.mark.parametrize("side", [9_000, 20_000, 100_000])
def test_a_pixel_bomb_is_refused_by_its_header(side):
    bomb = make_png(side, side, b"\0" * 1000)
    start = time.monotonic()
    with pytest.raises(ImageError, match=r"too large|pixels, more than"):
        decode(bomb)
    assert time.monotonic() - start < 1


def test_the_pixel_limit_is_the_callers_and_inclusive():
    data = encode_png(make_picture(size=(40, 30)))
    assert decode(data, max_pixels=1200).size == (40, 30)
    with pytest.raises(ImageError, match="40x30 pixels, more than the 1199 allowed"):
        decode(data, max_pixels=1199)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_text_bomb_is_refused(kind):
    packed = zlib.compress(b"a" * 900_000, 9)
    head = b"key\0\0" if kind == b"zTXt" else b"key\0\1\0\0\0"
    bomb = make_png(4, 4, b"\0" * 20, *[chunk_bytes(kind, head + packed)] * 80)
    with pytest.raises(ImageError, match="brings the text over 4194304 bytes"):
        decode(bomb)


def test_a_colour_profile_bomb_is_refused():
    packed = zlib.compress(b"a" * 50_000_000, 9)
    bomb = make_png(4, 4, b"\0" * 20, chunk_bytes(b"iCCP", b"icc\0\0" + packed))
    with pytest.raises(ImageError):
        decode(bomb)


def test_an_animation_is_refused():
    frames = [make_picture(), make_picture().transpose(Image.Transpose.ROTATE_180)]
    with pytest.raises(ImageError, match="2 frames"):
        decode(saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_bytes_end_in_an_image_error_or_a_picture(kind):
    data = saved(make_picture(), kind)
    dice = random.Random(5)
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        try:
            decode(bytes(broken), max_pixels=1_000_000)
        except ImageError as error:
            assert str(error)


def test_a_drawn_picture_is_a_picture():
    assert has_picture(make_picture(), width=40, height=30) is None


@pytest.mark.parametrize("colour", ["black", "white", "red", (127, 128, 127)])
def test_a_picture_of_one_colour_is_refused(colour):
    assert "is one colour" in has_picture(Image.new("RGB", (64, 64), colour))


def test_a_picture_with_less_than_a_level_of_noise_is_refused():
    noise = np.random.default_rng(1).integers(0, 2, (64, 64, 3), dtype=np.uint8)
    assert "is one colour" in has_picture(Image.fromarray(noise))


def test_a_wrong_size_or_mode_is_said():
    assert has_picture(make_picture(), width=64, height=30) == "the picture is 40x30, not 64x30"
    assert has_picture(make_picture("L")) == 'the picture is of mode "L", not "RGB"'


def test_a_transparent_picture_is_refused():
    image = make_picture("RGBA")
    image.putalpha(0)
    assert has_picture(image, mode="RGBA") == "the picture is wholly transparent"
