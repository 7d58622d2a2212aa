"""The image sets that are measured, made from fixed words: equal numbers give equal files.

::

    flat       one CSV of distinct rows, 10 columns
    crossed    characters x outfits x expressions, three CSV files
    wide       one .xlsx of distinct rows, 18 columns
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

HAIR = "blue_hair silver_hair black_hair brown_hair pink_hair red_hair green_hair blonde_hair".split()
CUT = "long_hair short_hair twintails ponytail bob_cut braid hair_bun side_ponytail wavy_hair".split()
EYES = "aqua_eyes red_eyes green_eyes brown_eyes purple_eyes yellow_eyes blue_eyes".split()
CLOTHES = "school_uniform sundress hoodie kimono maid cardigan tracksuit raincoat yukata suit".split()
FACES = "smile angry sad surprised wink blush serious sleepy grin crying".split()
POSES = "standing sitting waving running jumping arms_up crossed_arms hand_on_hip".split()
PLACES = "classroom street park beach rooftop library kitchen forest shrine station".split()
STYLES = "anime_style watercolor flat_color lineart cel_shading".split()
LIGHTS = "sunlight moonlight backlighting soft_lighting rim_lighting".split()

FLAT_HEADER = "id name gender appearance clothing expression pose background style seed".split()
WIDE_HEADER = """
id name gender appearance clothing body_type expression action pose position background style lighting
composition artists caption seed negative
""".split()

_CATALOG = """\
name = "{name}"
pictures = {pictures}

[picture]
size = "64x64"

[limits]
rows = 200000
"""


def flat_row(number: int) -> list[str]:
    """Row `number` of the flat set; no two rows look alike."""
    return [
        f"row{number:06d}",
        f"Character {number}",
        "1girl" if number % 3 else "1boy",
        f"{_pick(HAIR, number)}, {_pick(CUT, number, 8)}, {_pick(EYES, number, 72)}",
        _pick(CLOTHES, number, 3),
        _pick(FACES, number, 2),
        _pick(POSES, number, 5),
        f"{_pick(PLACES, number, 7)}, outdoors",
        _pick(STYLES, number, 11),
        str(number),
    ]


def wide_row(number: int) -> list[str]:
    """Row `number` of the wide set."""
    row_id, name, gender, look, clothes, face, pose, place, style, seed = flat_row(number)
    position = f"x:0.{number % 9 + 1}, y:0.7"
    return [
        row_id, name, gender, look, clothes, "slim", face, "looking_at_viewer", pose, position, place, style,
        _pick(LIGHTS, number, 13), "upper_body", "", f"{name} waits & smiles.", seed, "lowres, bad_hands",
    ]  # fmt: skip


def make_flat(folder: Path, count: int) -> Path:
    """A flat set of `count` pictures."""
    _write_settings(folder, "flat", '["rows"]')
    write_csv(folder / "rows.csv", FLAT_HEADER, map(flat_row, range(count)))
    return folder


def make_crossed(folder: Path, characters: int, outfits: int, expressions: int) -> Path:
    """A crossed set of characters x outfits x expressions."""
    _write_settings(folder, "crossed", '["characters", "outfits", "expressions"]')
    people = (flat_row(n)[:4] for n in range(characters))
    write_csv(folder / "characters.csv", FLAT_HEADER[:4], people)
    clothes = ([f"outfit{n}", f"{_pick(CLOTHES, n)}, layer{n}"] for n in range(outfits))
    write_csv(folder / "outfits.csv", ["id", "clothing"], clothes)
    faces = ([f"face{n}", f"{_pick(FACES, n)}, mood{n}", _pick(POSES, n)] for n in range(expressions))
    write_csv(folder / "expressions.csv", ["id", "expression", "pose"], faces)
    return folder


def make_wide(folder: Path, count: int) -> Path:
    """A set of `count` rows in an Excel workbook of 18 columns."""
    from openpyxl import Workbook

    _write_settings(folder, "wide", '["rows"]')
    book = Workbook(write_only=True)
    sheet = book.create_sheet("rows")
    sheet.append(WIDE_HEADER)
    for number in range(count):
        sheet.append(wide_row(number))
    book.save(folder / "cast.xlsx")
    return folder


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A CSV file of a header and rows."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


def _pick(words: Sequence[str], number: int, step: int = 1) -> str:
    return words[number // step % len(words)]


def _write_settings(folder: Path, name: str, pictures: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = _CATALOG.format(name=name, pictures=pictures)
    (folder / "catalog.toml").write_text(text, encoding="utf-8")
