"""The stock template against golden prompts; `pytest --update-goldens` writes them anew."""

from pathlib import Path

import pytest

from newbie_core.prompts.parsing import parse_prompt
from newbie_core.prompts.templates import RowProblem
from tests.prompts.building import COLUMNS, render, stock_template

GOLDENS = Path(__file__).parent / "goldens"
FULL = {
    name: f"{name} of everything"
    for name in COLUMNS
    if name not in ("id", "base", "seed", "count", "enabled")
}
PICTURES = {
    "one_character": {
        "name": "Aria",
        "gender": "1girl",
        "appearance": "Silver hair, blue eyes",
        "clothing": "serafuku",
        "expression": "light smile",
        "position": "x:0.5, y:0.7",
        "style": "anime_style",
    },
    "two_characters": {
        "name_1": "Aria",
        "gender_1": "1girl",
        "appearance_1": "silver_hair",
        "position_1": "left",
        "gender_2": "1boy",
        "appearance_2": "black_hair",
        "position_2": "x:0.7, y:0.6",
        "background": "classroom",
        "lighting": "daylight",
        "caption": "They meet.",
    },
    "without_characters": {"background": "empty street", "style": "watercolor"},
    "without_a_name": {"gender": "1other", "expression": "smile"},
    "every_column": FULL | {"position": "right"},
    "awkward_text": {
        "name": 'Zoë "Z" O\'Hara & <Sons>',
        "gender": "1girl",
        "appearance": "a & b, <tag>, 2 > 1, &amp, 🎀 ribbon, Ünïcode Haïr",
        "clothing": "{{ 7 * 7 }}, {% raw %}, ${x}",
        "caption": "She said: \"5 < 6 & 7 > 6\" ]]> <!-- & --> 'so'",
    },
    "chinese": {
        "name": "林小雨",
        "gender": "1girl",
        "appearance": "黑色长发，蓝色眼睛、刘海",
        "background": "教室；窗边",
    },
    "arabic": {
        "name": "ليلى",
        "gender": "1girl",
        "appearance": "شعر أزرق, عيون خضراء",
        "caption": "صورة: ليلى",
    },
    "japanese": {
        "name": "さくら",
        "gender": "1girl",
        "clothing": "セーラー服、赤いリボン",
        "style": "アニメ塗り",
    },
}


@pytest.fixture(scope="module")
def rendered() -> dict[str, str | RowProblem]:
    return dict(zip(PICTURES, render(stock_template(), *PICTURES.values()), strict=True))


@pytest.mark.parametrize("name", PICTURES)
def test_the_stock_template_gives_the_golden_prompt(name, rendered, update_goldens):
    golden = GOLDENS / f"{name}.xml"
    if update_goldens:
        golden.write_text(rendered[name], encoding="utf-8")
    assert rendered[name] == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PICTURES)
def test_golden_prompts_are_canonical(name):
    text = (GOLDENS / f"{name}.xml").read_text(encoding="utf-8")
    assert parse_prompt(text).to_xml() == text


def test_every_golden_file_belongs_to_a_picture():
    assert {file.stem for file in GOLDENS.glob("*.xml")} == set(PICTURES)


def test_every_prompt_column_of_the_sheet_reaches_the_prompt(rendered):
    unseen = {"character", "width", "height", "size", "steps", "guidance", "negative"}
    unseen |= {"decision", "decision_note"}
    text = rendered["every_column"].replace("_", " ")
    missing = {
        name for name in FULL if name != "position" and f"{name.replace('_', ' ')} of everything" not in text
    }
    assert missing == unseen
