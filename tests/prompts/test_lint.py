import pytest

from newbie_core.prompts.lint import TAG_COLUMNS, lint_tags


@pytest.mark.parametrize(
    ("tag", "meant"),
    [
        ("blue_hari", "blue_hair"),
        ("long_hiar", "long_hair"),
        ("Blue Hari", "blue_hair"),
        ("schoool_uniform", "school_uniform"),
        ("!blue_hari", "blue_hair"),
        ("expresionless", "expressionless"),
        ("twintals", "twintails"),
    ],
)
def test_a_tag_one_slip_from_a_known_one_is_named_with_the_one_meant(tag, meant):
    assert lint_tags(f"smile, {tag}, 1girl") == ((tag, meant),)


@pytest.mark.parametrize(
    "text",
    [
        "blue_hair, long_hair",
        "Blue Hair",
        "holographic_wings_of_fate",
        "小雨, 蓝发",
        "...",
        "!smile, ...",
        "",
        "coats",
        "peach",
    ],
)
def test_known_tags_new_tags_other_languages_and_edits_pass(text):
    assert lint_tags(text) == ()


def test_every_slip_of_a_cell_is_named():
    assert lint_tags("blue_hari, smlie") == (("blue_hari", "blue_hair"), ("smlie", "smile"))


def test_columns_of_text_are_not_linted():
    assert not TAG_COLUMNS & {"name", "caption", "position", "id", "seed"}
