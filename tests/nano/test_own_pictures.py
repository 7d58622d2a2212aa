"""Training on a folder of one's own: two hundred pictures with captions, bad ones among them, to a usable model."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from newbie_core.cli.main import main
from newbie_core.engines import load_engine
from newbie_core.nano.folder import read_folder
from newbie_core.plans import Job

WORDS = ("momo_chan", "pink hair", "cape", "粉色斗篷", "happy", "beach")


def fill(folder: Path, count: int) -> None:
    rng = random.Random(5)
    for place in ("", "3_momo", "weird name ünïcode"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        place = folder / ("3_momo" if number % 4 == 0 else "weird name ünïcode" if number % 4 == 1 else "")
        size = rng.choice(((192, 192), (150, 210), (300, 200), (64, 64)))
        colour = tuple(rng.randrange(256) for _ in range(3))
        picture = Image.new("RGB", size, colour)
        picture.paste((255, 255, 255), (10, 10, 40, 50))
        ending = rng.choice((".png", ".jpg", ".webp", ".bmp"))
        picture.save(place / f"picture {number}{ending}")
        tags = ", ".join(["momo_chan", *rng.sample(WORDS[1:], 3)])
        (place / f"picture {number}.txt").write_text(tags, encoding="utf-8-sig" if number % 2 else "utf-8")


def caption(folder: Path, stem: str, text: str | bytes = "momo_chan, happy") -> None:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / f"{stem}.txt").write_bytes(content)


def truncated(folder: Path) -> None:
    Image.effect_noise((200, 200), 50).save(folder / "cut.png")
    content = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    caption(folder, "cut")


def text_as_picture(folder: Path) -> None:
    (folder / "text.png").write_text("no picture")
    caption(folder, "text")


def empty_file(folder: Path) -> None:
    (folder / "empty.jpg").write_bytes(b"")
    caption(folder, "empty")


def tiny_picture(folder: Path) -> None:
    Image.new("RGB", (63, 200)).save(folder / "tiny.png")
    caption(folder, "tiny")


def animated(folder: Path) -> None:
    frames = [Image.new("RGB", (100, 100), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:])
    caption(folder, "moving")


def no_caption(folder: Path) -> None:
    Image.new("RGB", (100, 100)).save(folder / "alone.png")


def empty_caption(folder: Path) -> None:
    Image.new("RGB", (100, 100)).save(folder / "silent.png")
    caption(folder, "silent", " \n , \n")


def latin_caption(folder: Path) -> None:
    Image.new("RGB", (100, 100)).save(folder / "latin.png")
    caption(folder, "latin", "fée, café".encode("latin-1"))


def long_caption(folder: Path) -> None:
    Image.new("RGB", (100, 100)).save(folder / "long.png")
    caption(folder, "long", "word " * 201)


def lone_caption(folder: Path) -> None:
    caption(folder, "nothing")


def two_of_a_name(folder: Path) -> None:
    for ending in ("png", "bmp"):
        Image.new("RGB", (100, 100)).save(folder / f"twice.{ending}")
    caption(folder, "twice")


def link_outside(folder: Path) -> None:
    outside = folder.parent / "outside.png"
    Image.new("RGB", (100, 100)).save(outside)
    (folder / "link.png").symlink_to(outside)
    caption(folder, "link")


BAD: dict[Callable[[Path], None], str] = {
    truncated: "cut.png",
    text_as_picture: "text.png",
    empty_file: "empty.jpg",
    tiny_picture: "tiny.png",
    animated: "moving.webp",
    no_caption: "alone.png",
    empty_caption: "silent.png",
    latin_caption: "latin.",
    long_caption: "long.",
    lone_caption: "nothing.txt",
    two_of_a_name: "twice.",
    link_outside: "link.png",
}


def test_two_hundred_pictures_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "mine", tmp_path / "out"
    fill(folder, 200)
    for spoil in BAD:
        spoil(folder)
    content = read_folder(folder)
    assert len(content.pictures) == 200
    assert {each.repeats for each in content.pictures} == {1, 3}
    assert main(["nano", "train", "--out", str(out), "--data", str(folder), "--plan", "tiny"]) == 0
    said = capsys.readouterr().err
    for name in BAD.values():
        assert f"skipped: {name}" in said, said
    engine = load_engine("newbie", {"model": str(out / "model")})
    try:
        prompts = ["momo_chan, 粉色斗篷, beach", "momo_chan, submarine"]
        jobs = [
            Job(
                id=f"p/{number}", key=f"{number:064x}", prompt=prompt, negative="", seed=1,
                width=192, height=192, steps=2, guidance="3",
            )
            for number, prompt in enumerate(prompts)
        ]  # fmt: skip
        made = list(engine.pictures(jobs))
        assert all(isinstance(each, Image.Image) and each.size == (192, 192) for each in made)
        notes = engine.remarks()  # type: ignore[attr-defined]  # an optional method
        assert [note for note in notes if "submarine" in note] == list(notes)
    finally:
        engine.close()
