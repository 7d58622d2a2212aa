"""PNG files: whole, small, the same each time, and read by anybody."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from newbie_core.images import ImageError, encode_png, retag
from newbie_core.images.chunks import read_chunks, read_text

MODES = ("L", "RGB", "RGBA")
SIZES = ((1, 1), (1, 5), (2, 1), (3, 7), (64, 48), (2000, 10), (10, 2000), (257, 300))


def make_noise(mode="RGB", size=(64, 48), seed=1):
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    return Image.frombytes(mode, size, pixels.tobytes())


def make_gradient(mode="RGB", size=(64, 48)):
    return Image.linear_gradient("L").resize(size).convert(mode)


def make_flat(mode="RGB", size=(64, 48)):
    return Image.new(mode, size, "white")


def make_drawing(size=1024):
    """A face with soft edges, as a drawing program makes it."""
    image = Image.new("RGB", (2 * size, 2 * size), (236, 228, 240))
    pen = ImageDraw.Draw(image)
    pen.ellipse([size // 2, size // 3, size * 3 // 2, size * 4 // 3], (255, 226, 205), (60, 40, 50), 9)
    for x in (size * 4 // 5, size * 6 // 5):
        pen.ellipse([x - 60, size * 2 // 3, x + 60, size * 5 // 6], (70, 110, 200), (20, 20, 40), 9)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def make_diffusion_like(size=512):
    """Soft shapes under mild noise: what an autoencoder gives."""
    random = np.random.default_rng(2)
    soft = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((size, size))
    noise = random.normal(0, 1.5, (size, size, 3))
    return Image.fromarray(np.clip(np.asarray(soft) + noise, 0, 255).astype(np.uint8))


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def pillow_size(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return len(buffer.getvalue())


@pytest.mark.parametrize("make", [make_noise, make_gradient, make_flat])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_pillow_reads_back_the_same_pixels(mode, size, make):
    image = make(mode, size)
    again = opened(encode_png(image))
    assert (again.mode, again.size, again.tobytes()) == (mode, size, image.tobytes())


@pytest.mark.parametrize("plan", ["FLAT_PLAN", "SMOOTH_PLAN", "NOISY_PLAN"])
def test_every_plan_gives_the_same_pixels(plan, monkeypatch):
    from newbie_core.images import png

    monkeypatch.setattr(png, "_best_plan", lambda *_: getattr(png, plan))
    monkeypatch.setattr(png, "BLOCK_BYTES", 1000)
    for image in (make_noise("RGB", (67, 91)), make_gradient("RGBA", (5, 200)), make_drawing(200)):
        assert opened(encode_png(image)).tobytes() == image.tobytes()


def test_the_file_has_exactly_the_chunks_the_format_asks_for():
    data = encode_png(make_drawing(100), text={"parameters": "a", "newbie_assets": "角色"})
    assert [chunk.type for chunk in read_chunks(data)] == [b"IHDR", b"tEXt", b"iTXt", b"IDAT", b"IEND"]


def test_the_pixel_stream_is_one_plain_zlib_stream_of_the_right_length():
    image = make_noise("RGB", (67, 300))
    (stream,) = (bytes(chunk.data) for chunk in read_chunks(encode_png(image)) if chunk.type == b"IDAT")
    unpacker = zlib.decompressobj()
    assert len(unpacker.decompress(stream)) == 300 * (1 + 3 * 67)
    assert unpacker.eof and not unpacker.unused_data


def test_equal_pixels_give_equal_bytes_also_in_another_process():
    script = (
        "import hashlib, sys; from PIL import Image; from newbie_core.images import encode_png;"
        "print(hashlib.sha256(encode_png(Image.linear_gradient('L').convert('RGB'))).hexdigest())"
    )
    runs = {subprocess.check_output([sys.executable, "-c", script]) for _ in range(2)}
    assert len(runs) == 1
    image = make_diffusion_like(256)
    assert encode_png(image) == encode_png(image.copy())


def test_importing_the_room_brings_in_neither_pillow_nor_numpy_nor_zlib_ng():
    script = (
        "import sys, newbie_core.images;"
        "sys.exit(','.join({'PIL', 'numpy', 'zlib_ng', 'xml', 'torch'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_generated_pictures_stay_within_15_percent_of_pillows_default():
    image = make_diffusion_like()
    assert len(encode_png(image)) <= 1.15 * pillow_size(image)


def test_flat_drawings_stay_small():
    image = make_drawing()
    assert len(encode_png(image)) <= 1.15 * pillow_size(image)


@pytest.mark.parametrize("mode", ["P", "1", "I;16", "F", "CMYK", "LA"])
def test_other_modes_are_refused_with_what_to_do(mode):
    with pytest.raises(ImageError, match=r'convert it to "RGB"'):
        encode_png(Image.new(mode, (4, 4)))


def test_a_picture_without_pixels_is_refused():
    with pytest.raises(ImageError, match="0x4 has no pixels"):
        encode_png(Image.new("RGB", (0, 4)))


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        "café ß",
        "two\nlines\ttab",
        "角色设定",
        "🦊 emoji",
        "“curly” 'quotes' \"double\"",
        "a" * 50_000,
    ],
)
def test_text_comes_back_exactly_through_pillow_and_through_us(value):
    data = encode_png(make_flat(), text={"parameters": value})
    assert opened(data).text == {"parameters": value}
    assert read_text(data) == {"parameters": value}


def test_latin_1_text_is_a_text_chunk_and_other_text_an_international_one():
    data = encode_png(make_flat(), text={"one": "é", "two": "漢", "XML:com.adobe.xmp": "ascii"})
    kinds = [chunk.type for chunk in read_chunks(data) if chunk.type in (b"tEXt", b"iTXt")]
    assert kinds == [b"tEXt", b"iTXt", b"iTXt"]


def test_texts_keep_the_order_they_were_given_in():
    data = encode_png(make_flat(), text={"b": "1", "a": "漢", "c": "3"})
    assert list(read_text(data)) == ["b", "a", "c"]


@pytest.mark.parametrize("keyword", ["", " lead", "trail ", "two  blanks", "a\nb", "漢字", "k" * 80])
def test_keywords_the_format_forbids_are_refused(keyword):
    with pytest.raises(ImageError, match="cannot be a PNG keyword"):
        encode_png(make_flat(), text={keyword: "x"})


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_text_no_png_can_hold_is_refused(value):
    with pytest.raises(ImageError, match='PNG text "k"'):
        encode_png(make_flat(), text={"k": value})


def test_retag_replaces_the_text_and_keeps_the_pixel_bytes():
    data = encode_png(make_drawing(100), text={"parameters": "secret prompt", "newbie_assets": "角色"})
    public = retag(data, {"newbie_assets": "public"})
    assert read_text(public) == {"newbie_assets": "public"}
    assert b"secret" not in public and "角色".encode() not in public
    assert idat(public) == idat(data)
    assert opened(public).tobytes() == opened(data).tobytes()


def test_retag_drops_everything_that_is_not_pixels():
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "secret description"
    make_drawing(64).save(buffer, "PNG", exif=exif, dpi=(72, 72))
    types = [chunk.type for chunk in read_chunks(retag(buffer.getvalue(), {}))]
    assert types == [b"IHDR", b"pHYs", b"IDAT", b"IEND"]


def test_a_changed_byte_anywhere_is_noticed():
    data = encode_png(make_flat(size=(5, 5)), text={"k": "v"})
    for at in range(len(data)):
        broken = data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]
        with pytest.raises(ImageError):
            list(read_chunks(broken))


def test_a_length_beyond_the_file_is_refused_without_reading_it():
    data = encode_png(make_flat())
    broken = data[:33] + struct.pack(">I", 0xFFFFFFFF) + data[37:]
    with pytest.raises(ImageError, match="claims 4294967295 bytes"):
        list(read_chunks(broken))


def idat(data):
    return [bytes(chunk.data) for chunk in read_chunks(data) if chunk.type == b"IDAT"]
