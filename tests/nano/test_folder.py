"""Pictures of one's own: what is taken from a folder, and how everything else is named."""

import io
import os
import random
import struct
import unicodedata
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from newbie_core.errors import InputError, TrainingError
from newbie_core.nano.batches import BATCH, Writer, pool_batches
from newbie_core.nano.folder import (
    ALL_WORDS,
    LARGEST_CAPTION,
    MOST_PIXELS,
    caption_words,
    fit_picture,
    folder_basis,
    folder_samples,
    open_picture,
    open_pictures,
    read_folder,
)
from newbie_core.nano.scenes import SIZES, draw_scene, random_scene
from newbie_core.nano.tokenizer import BREAK, UNKNOWN, vocabulary

GOOD = 200
XML = "<character_1>\n<gender>1girl</gender>\n<appearance>red_hair, blue_eyes</appearance>\n</character_1>"


def make_picture(seed=1, width=64, height=64):
    return draw_scene(random_scene(random.Random(seed))).resize((width, height))


def save(file, picture=None, caption="1girl, red_hair", **how):
    """A picture with its caption beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    (picture or make_picture()).save(file, **how)
    if caption is not None:
        file.with_suffix(".txt").write_bytes(caption if isinstance(caption, bytes) else caption.encode())
    return file


def pixel(picture, x=0.5, y=0.5):
    return picture.getpixel((int(x * (picture.width - 1)), int(y * (picture.height - 1))))


def encoded(kind, picture=None, **how):
    data = io.BytesIO()
    (picture or make_picture()).save(data, kind, **how)
    return data.getvalue()


def halves(upper, lower, size=(128, 128), mode="RGB"):
    """Two colours, one above the other."""
    picture = Image.new(mode, size, upper)
    picture.paste(lower, (0, size[1] // 2, *size))
    return picture


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder of 200 drawn pictures, some with awkward names and places, and one of every bad thing."""
    folder = tmp_path_factory.mktemp("large")
    rng = random.Random(4)
    places = ["", "3_hero", "deep/er/still", "名前 と 空白", "2_twice/inside"]
    endings = [".png", ".jpg", ".JPEG", ".webp", ".bmp"]
    names = ["plain", "with space", "红发 女孩", "a.b.c", "é", "100%", "quote's", "-dash"]
    for number in range(GOOD):
        tags = f"1girl, {rng.choice(('red_hair', 'hatsune_miku_(vocaloid)', 'blue eyes'))}, smile"
        name = f"{names[number % len(names)]}{number}{endings[number % len(endings)]}"
        save(folder / places[number % len(places)] / name, make_picture(number), tags)
    return folder, make_bad_files(folder)


def make_bad_files(folder):
    """One file of every bad kind: name → the fault's code and a word of its message."""
    whole = encoded("PNG")
    save(folder / "renamed.png").write_text("I am a text", encoding="utf-8")
    save(folder / "zero.png").write_bytes(b"")
    save(folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    save(folder / "cut2.jpg").write_bytes(encoded("JPEG")[:-400])
    save(folder / "gif inside.png").write_bytes(encoded("GIF"))
    save(folder / "postscript.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n")
    save(folder / "moving2.png", save_all=True, append_images=[make_picture(2)])
    save(folder / "moving.webp", save_all=True, append_images=[make_picture(2)])
    save(folder / "palette.gif")
    save(folder / "tiny.png", make_picture(1, 64, 63))
    save(folder / "huge.png").write_bytes(png_of_size(whole, 9000, 9000))
    save(folder / "bomb.png").write_bytes(png_of_size(whole, 60000, 60000))
    save(folder / "silent.png", caption=None)
    save(folder / "empty.png", caption=" \n,\n")
    save(folder / "latin.png", caption="blümchen".encode("latin-1"))
    save(folder / "wide.png", caption="1girl".encode("utf-16"))
    save(folder / "binary.png", caption=b"1girl\x00\x01")
    save(folder / "long.png", caption=", ".join(["tag"] * 201))
    save(folder / "endless.png", caption="x" * (LARGEST_CAPTION + 1))
    save(folder / "choice.png", caption="1girl, {red|blue}_hair")
    save(folder / "kept.png", caption="1girl ||| red_hair")
    save(folder / "broken xml.png", caption="<character_1><gender>1girl</character_1>")
    save(folder / "entity.png", caption='<!DOCTYPE a [<!ENTITY b "c">]><scene>&b;</scene>')
    save(folder / "entity2.png", caption='<scene/><!DOCTYPE a [<!ENTITY b "c">]><scene>&b;</scene>')
    save(save(folder / "same.png").with_suffix(".jpg"))
    save(folder / "both.png").with_suffix(".caption").write_text("1boy", encoding="utf-8")
    save(folder / "2024_year" / "a.png")
    save(folder / "0_none" / "a.png")
    (folder / "alone.txt").write_text("1girl", encoding="utf-8")
    (folder / "folder.png").mkdir()
    (folder / "outside.png").symlink_to("/etc/hostname")
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "linked").symlink_to(folder.parent)
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.json").write_text("{}", encoding="utf-8")
    return {
        "renamed.png": ("E_DATA_PICTURE", "not a PNG"),
        "zero.png": ("E_DATA_PICTURE", "an empty file"),
        "cut.png": ("E_DATA_PICTURE", "cut off"),
        "cut2.jpg": ("E_DATA_PICTURE", "cut off"),
        "gif inside.png": ("E_DATA_PICTURE", "not a PNG"),
        "postscript.png": ("E_DATA_PICTURE", "not a PNG"),
        "moving.webp": ("E_DATA_ANIMATED", "an animation"),
        "moving2.png": ("E_DATA_ANIMATED", "an animation"),
        "palette.gif": ("E_DATA_KIND", ".gif files are not read"),
        "tiny.png": ("E_DATA_SIZE", "64x63"),
        "huge.png": ("E_DATA_LARGE", "9000x9000"),
        "bomb.png": ("E_DATA_LARGE", "pixels"),
        "silent.png": ("E_DATA_NO_CAPTION", "silent.txt"),
        "empty.png": ("E_DATA_CAPTION", "is empty"),
        "latin.png": ("E_DATA_CAPTION", "UTF-8"),
        "wide.png": ("E_DATA_CAPTION", "UTF-8"),
        "binary.png": ("E_DATA_CAPTION", "control characters"),
        "long.png": ("E_DATA_CAPTION", "201 words"),
        "endless.png": ("E_DATA_CAPTION", "over 65536 bytes"),
        "choice.png": ("E_DATA_CAPTION", "{red|blue}"),
        "kept.png": ("E_DATA_CAPTION", "|||"),
        "broken xml.png": ("E_DATA_CAPTION", "not well-formed"),
        "entity.png": ("E_DATA_CAPTION", "declaration"),
        "entity2.png": ("E_DATA_CAPTION", "declaration"),
        "same.jpg": ("E_DATA_NAMES", "same.jpg, same.png"),
        "both.png": ("E_DATA_NAMES", "both.caption, both.txt"),
        "2024_year": ("E_DATA_REPEATS", "2024"),
        "0_none": ("E_DATA_REPEATS", "asks for 0"),
        "alone.txt": ("E_DATA_NO_PICTURE", "without a picture"),
        "folder.png": ("E_DATA_KIND", "not an ordinary file"),
        "outside.png": ("E_DATA_LINK", "leaves the folder"),
        "circle.png": ("E_DATA_LINK", "nowhere"),
        "linked": ("E_DATA_LINK", "not followed"),
    }


def png_of_size(data, width, height):
    """The same PNG with another size in its header, and the checksum that goes with it."""
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def test_all_good_pictures_of_a_large_folder_are_found_in_order(large):
    folder, _ = large
    content = read_folder(folder)
    assert len(content.pictures) == GOOD
    assert content == read_folder(folder)
    by_place = [each.file.parent.relative_to(folder).as_posix() for each in content.pictures]
    assert list(dict.fromkeys(by_place)) == [".", "2_twice/inside", "3_hero", "deep/er/still", "名前 と 空白"]
    assert all((each.width, each.height) == (64, 64) for each in content.pictures)


def test_every_bad_file_is_named_once_with_its_reason_and_a_remedy(large):
    folder, bad = large
    faults = read_folder(folder).faults
    assert sorted(fault.file for fault in faults) == sorted(bad)
    for fault in faults:
        code, word = bad[fault.file]
        assert fault.code == code and word in str(fault)
        assert fault.fix and len(str(fault).splitlines()) == 1 and str(folder) not in str(fault)


def test_samples_of_a_large_folder_can_be_trained_on(large):
    content = read_folder(large[0])
    told = []
    samples = folder_samples(content, folder_basis(content), told.append)
    assert told == []
    counts = dict.fromkeys((1, 2, 3), 0)
    for each in content.pictures:
        counts[each.repeats] += 1
    assert counts == {1: 120, 2: 40, 3: 40}
    assert len(samples) == 120 + 2 * 40 + 3 * 40
    assert all(each.latents.shape == (16, 24, 24) and each.latents.isfinite().all() for each in samples)
    writer = Writer(vocabulary(caption_words(content)))
    batches = list(pool_batches(samples, writer, seed=1, pool=0))
    assert batches and batches[0].latents.shape == (BATCH, 16, 24, 24)


def test_the_trained_size_nearest_in_shape_is_covered_and_cut_around_the_middle():
    wide = Image.new("RGB", (1000, 700), "blue")
    wide.paste("red", (0, 0, 3, 700))
    assert fit_picture(wide).size == (288, 192)
    assert fit_picture(make_picture(1, 400, 410)).size == (192, 192)
    assert fit_picture(make_picture(1, 72, 96)).size == (192, 256)
    assert fit_picture(make_picture(1, 64, 640)).size in SIZES
    edges = Image.new("RGB", (3000, 192), "red")
    edges.paste("blue", (1000, 0, 2000, 192))
    assert np.array(fit_picture(edges)).reshape(-1, 3).max(axis=0).tolist() == [0, 0, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
def test_pictures_are_turned_as_their_exif_data_say(tmp_path, orientation, ending):
    upright = Image.new("RGB", (96, 160), "black")
    upright.paste("red", (0, 0, 48, 80))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that the viewer takes back
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    file = save(tmp_path / f"a{ending}", stored, exif=exif, quality=95)
    seen = open_picture(file)
    assert seen.size == upright.size
    assert pixel(seen, 0.2, 0.2)[0] > 200 and max(pixel(seen, 0.8, 0.2) + pixel(seen, 0.2, 0.8)) < 60
    assert fit_picture(seen).size == (192, 256)


def grey16():
    values = np.repeat(np.linspace(0, 65535, 128).astype(np.uint16)[None], 128, axis=0)
    return Image.fromarray(values)


@pytest.mark.parametrize(
    ("name", "picture", "upper", "lower"),
    [
        ("rgba.png", halves((255, 0, 0, 0), (0, 0, 255, 255), mode="RGBA"), (255, 255, 255), (0, 0, 255)),
        ("half.png", halves((0, 0, 0, 128), (0, 0, 0, 255), mode="RGBA"), (127, 127, 127), (0, 0, 0)),
        ("greyalpha.png", halves((0, 0), (90, 255), mode="LA"), (255, 255, 255), (90, 90, 90)),
        ("grey.jpg", halves(40, 200, mode="L"), (40, 40, 40), (200, 200, 200)),
        ("bits.png", halves(0, 255, mode="1"), (0, 0, 0), (255, 255, 255)),
        ("cmyk.jpg", halves((0, 255, 255, 0), (0, 0, 0, 255), mode="CMYK"), (255, 0, 0), (0, 0, 0)),
        ("palette.png", halves("red", "blue").convert("P"), (255, 0, 0), (0, 0, 255)),
        ("alpha.webp", halves((9, 9, 9, 0), (0, 200, 0, 255), mode="RGBA"), (255, 255, 255), (0, 200, 0)),
    ],
)
def test_every_colour_mode_becomes_rgb_on_white(tmp_path, name, picture, upper, lower):
    file = save(tmp_path / name, picture)
    assert read_folder(tmp_path).faults == ()
    seen = fit_picture(open_picture(file))
    assert seen.mode == "RGB"
    for found, wanted in ((pixel(seen, 0.5, 0.1), upper), (pixel(seen, 0.5, 0.9), lower)):
        assert np.abs(np.subtract(found, wanted)).max() <= 6


def test_transparent_palette_colours_are_white(tmp_path):
    picture = halves("red", "blue").convert("P")
    file = save(tmp_path / "a.png", picture, transparency=picture.getpixel((0, 0)))
    assert pixel(open_picture(file), 0.5, 0.1) == (255, 255, 255)
    assert pixel(open_picture(file), 0.5, 0.9) == (0, 0, 255)


def test_sixteen_bits_a_sample_are_scaled_not_cut(tmp_path):
    seen = np.array(open_picture(save(tmp_path / "a.png", grey16())))
    assert seen[0, :, 0].tolist() == pytest.approx(np.linspace(0, 255, 128), abs=1.5)


def test_a_cameras_second_small_picture_is_no_animation(tmp_path):
    save(
        tmp_path / "a.jpg",
        halves("red", "blue"),
        format="MPO",
        save_all=True,
        append_images=[make_picture(2)],
    )
    (only,) = read_folder(tmp_path).pictures
    assert pixel(open_picture(only.file), 0.5, 0.1)[0] > 240


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("1girl, red_hair", "1girl, red_hair"),
        ("\ufeff1girl, red_hair\n", "1girl, red_hair"),
        ("1girl,\r\nred_hair ,\n\n  smile", "1girl, red_hair, smile"),
        ("一个女孩，红发", "一个女孩，红发"),
        ("rem_\\(re:zero\\), <3, |_|, >_<", "rem_\\(re:zero\\), <3, |_|, >_<"),
        (f"  {XML}\n", XML),
        (", ".join(["tag"] * 200), ", ".join(["tag"] * 200)),
    ],
)
def test_captions_are_one_line_of_tags_or_xml_as_it_stands(tmp_path, text, caption):
    save(tmp_path / "a.png", caption=text)
    assert read_folder(tmp_path).pictures[0].caption == caption


def test_a_caption_file_may_end_in_caption(tmp_path):
    save(tmp_path / "a.PNG", caption=None, format="PNG")
    (tmp_path / "a.caption").write_text("1boy", encoding="utf-8")
    assert read_folder(tmp_path).pictures[0].caption == "1boy"


def test_accents_spelled_in_two_ways_are_one_name(tmp_path):
    save(tmp_path / unicodedata.normalize("NFD", "café.png"), caption=None)
    (tmp_path / unicodedata.normalize("NFC", "café.txt")).write_text("1girl", encoding="utf-8")
    assert len(read_folder(tmp_path).pictures) == 1


def test_the_nearest_folder_with_a_number_says_the_repeats(tmp_path):
    wanted = {"a.png": 1, "4_x/a.png": 4, "4_x/y/a.png": 4, "4_x/2_y/a.png": 2, "x_3/a.png": 1, "5/a.png": 1}
    for name in wanted:
        save(tmp_path / "7_root" / name)
    content = read_folder(tmp_path / "7_root")
    assert {each.name: each.repeats for each in content.pictures} == wanted


def test_links_inside_the_folder_are_followed(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "b.txt").symlink_to("a.txt")
    assert [each.name for each in read_folder(tmp_path).pictures] == ["a.png", "b.png"]


def test_a_caption_that_links_out_of_the_folder_is_not_read(tmp_path):
    save(tmp_path / "in" / "a.png", caption=None)
    (tmp_path / "secret.txt").write_text("1girl", encoding="utf-8")
    (tmp_path / "in" / "a.txt").symlink_to("../secret.txt")
    with pytest.raises(TrainingError, match=r"a\.txt: a link that leaves the folder"):
        read_folder(tmp_path / "in")


def test_a_pipe_with_a_pictures_name_does_not_stop_the_reading(tmp_path):
    save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    os.mkfifo(tmp_path / "b.txt")
    assert [fault.code for fault in read_folder(tmp_path).faults] == ["E_DATA_KIND", "E_DATA_KIND"]


def test_names_that_cannot_be_printed_are_escaped(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "new\nline\x1b[2J.png").write_bytes(b"")
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"")
    shown = "\n".join(str(fault) for fault in read_folder(tmp_path).faults)
    assert len(shown.splitlines()) == 2 and shown.isprintable() is False
    assert r"new\nline\x1b[2J.png" in shown and r"\udcff.png" in shown
    assert shown.encode("utf-8")


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda folder: None, "E_DATA_EMPTY", "found no .png"),
        (lambda folder: folder.rmdir(), "E_DATA_FOLDER", "no such folder"),
        (lambda folder: (folder.rmdir(), folder.write_text("")), "E_DATA_FOLDER", "is not a folder"),
        (
            lambda folder: [save(folder / f"{n}.png", caption=None) for n in range(5)],
            "E_DATA_EMPTY",
            r"5 skipped: 0\.png: has no caption.*2\.png.*\(and 2 more\)",
        ),
    ],
)
def test_a_folder_without_anything_usable_is_refused_with_the_first_reasons(tmp_path, make, code, words):
    folder = tmp_path / "mine"
    folder.mkdir()
    make(folder)
    with pytest.raises(TrainingError, match=words) as caught:
        read_folder(folder)
    assert caught.value.code == code


def test_pictures_that_go_bad_later_are_named_and_left_out(tmp_path):
    for number in range(6):
        save(tmp_path / f"{number}.png", make_picture(number))
    content = read_folder(tmp_path)
    (tmp_path / "2.png").unlink()
    (tmp_path / "4.png").write_bytes(encoded("PNG")[:300])
    told = []
    samples = folder_samples(content, folder_basis(content), told.append)
    assert len(samples) == 4
    assert [line.split(":")[1] for line in told] == [" 2.png", " 4.png"]
    assert len(list(open_pictures(content, limit=9))) == 4
    for each in content.pictures:
        each.file.unlink(missing_ok=True)
    with pytest.raises(TrainingError, match="all 6 pictures"):
        folder_basis(content)
    with pytest.raises(TrainingError, match="all 6 pictures"):
        folder_samples(content, None, told.append)


def test_a_limited_number_of_pictures_is_spread_over_the_folder(tmp_path):
    for number in range(6):
        save(tmp_path / f"{number}.png", Image.new("RGB", (64, 64), (40 * number, 0, 0)))
    shown = open_pictures(read_folder(tmp_path), limit=3)
    assert [pixel(each)[0] for each in shown] == [0, 80, 160]


def test_damaged_files_raise_nothing_else_than_their_fault(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    wholes = [
        encoded("PNG", exif=exif),
        encoded("PNG", make_picture().convert("P"), transparency=3),
        encoded("JPEG", exif=exif),
        encoded("JPEG", make_picture().convert("CMYK")),
        encoded("WEBP"),
        encoded("BMP"),
    ]
    rng = random.Random(8)
    refused = 0
    for _ in range(300):
        data = bytearray(rng.choice(wholes))
        for _ in range(rng.choice((1, 3, 20))):
            data[int(len(data) * rng.random() ** rng.choice((1, 4)))] = rng.randrange(256)
        (tmp_path / "a.png").write_bytes(data)
        try:
            seen = open_picture(tmp_path / "a.png", "a.png")
        except InputError as error:
            assert len(error.faults) == 1 and error.faults[0].file == "a.png"
            refused += 1
        else:
            assert seen.mode == "RGB" and seen.width * seen.height <= MOST_PIXELS
    assert 50 < refused < 300


def test_captions_words_are_those_the_tokenizer_sees_the_most_frequent_first(tmp_path):
    save(
        tmp_path / "1.png",
        caption="1girl, hatsune_miku_(vocaloid), rem \\(re:zero\\), (thighhighs:1.2), |_|, :d",
    )
    save(
        tmp_path / "2.png",
        caption="1girl, Hatsune Miku (Vocaloid), hand on hip, with the hat, 初音, <pad>, <unk>",
    )
    save(
        tmp_path / "3.png",
        caption=XML.replace("blue_eyes", "freckles").replace("<gender>", "<n>Anna</n><gender>"),
    )
    content = read_folder(tmp_path)
    words = caption_words(content)
    assert words[:2] == ("1girl", "hatsune miku vocaloid")
    on_hip = f"hand {BREAK} hip"
    assert set(words[2:]) == {
        "rem re:zero",
        "thighhighs",
        ":d",
        on_hip,
        "hat",
        "初音",
        "red hair",
        "freckles",
    }
    writer = Writer(vocabulary(words))
    assert len(writer.rows("hand on hip")) == len(writer.rows("the hat")) == 1
    assert len(writer.rows("hand, hip")) == 2
    for each in content.pictures:
        assert UNKNOWN not in writer.rows(each.caption.replace("<pad>, <unk>", ""))


def test_sentences_give_their_words_rather_than_one_long_word(tmp_path):
    save(tmp_path / "a.png", caption="A girl with freckles is standing in a field of tulips.")
    assert {"freckles", "tulips", "field"} <= set(caption_words(read_folder(tmp_path)))


@pytest.mark.parametrize(("different", "kept"), [(ALL_WORDS - 1, ALL_WORDS - 1), (ALL_WORDS, 1)])
def test_words_of_one_caption_only_are_left_out_when_there_are_many(tmp_path, different, kept):
    rare = [f"tag{number}x" for number in range(different - 1)]
    for number in range(3):
        save(tmp_path / f"{number}.png", caption=", ".join(["common", *rare[number::3]]))
    assert len(caption_words(read_folder(tmp_path))) == kept


def test_latents_of_a_folder_give_its_pictures_back(tmp_path):
    for number in range(12):
        save(tmp_path / f"{number}.png", make_picture(number, 192, 192))
    content = read_folder(tmp_path)
    basis = folder_basis(content)
    samples = folder_samples(content, basis)
    shown = torch.from_numpy(np.array(open_picture(content.pictures[0].file))).permute(2, 0, 1) / 127.5 - 1
    error = (basis.decode(samples[0].latents[None].float())[0] - shown).square().mean()
    assert 10 * torch.log10(4 / error) > 20
