"""Which pictures a catalog asks for, and what each row inherits."""

import pytest

from newbie_core.plans import Capabilities
from newbie_core.plans.cells import edit
from tests.catalogs.building import SMALL, make_catalog, make_workbook
from tests.plans.building import faults, ids, look, plan_of, seeds


def cast(tmp_path, characters: str, toml: str = SMALL, **tables):
    return make_catalog(tmp_path / "cast", toml=toml, characters=characters, **tables)


def pictures_toml(pictures: str, more: str = "") -> str:
    return f'pictures = {pictures}\n{more}\n[picture]\nsize = "64x64"\n'


# Crossing, zipping, leaving out

TABLES = {
    "characters": "id,name\naria,Aria\nren,Ren\n",
    "outfits": "id,clothing\nwinter,coat\nsummer,dress\n",
    "backgrounds": "id,background\nsnow,snow\nbeach,beach\n",
}


def test_tables_are_crossed_in_the_order_of_the_sheet(tmp_path):
    plan = plan_of(make_catalog(tmp_path / "cast", toml=pictures_toml('["outfits", "characters"]'), **TABLES))
    assert ids(plan) == ["winter/aria", "winter/ren", "summer/aria", "summer/ren"]


def test_tables_in_a_list_of_their_own_are_zipped(tmp_path):
    toml = pictures_toml('["characters", ["outfits", "backgrounds"]]')
    plan = plan_of(make_catalog(tmp_path / "cast", toml=toml, **TABLES))
    assert ids(plan) == ["aria/winter/snow", "aria/summer/beach", "ren/winter/snow", "ren/summer/beach"]
    assert look(plan, "ren/summer/beach") == {"name": "Ren", "clothing": "dress", "background": "beach"}


def test_zipped_tables_of_different_lengths_are_refused(tmp_path):
    toml = pictures_toml('[["characters", "outfits"]]')
    tables = TABLES | {"outfits": "id,clothing\nwinter,coat\n"}
    (fault,) = faults(make_catalog(tmp_path / "cast", toml=toml, **tables))
    assert "different numbers of rows (characters 2, outfits 1)" in str(fault)


def test_a_rejected_row_does_not_shift_what_is_zipped_with_it(tmp_path):
    toml = pictures_toml('[["characters", "outfits"]]')
    tables = TABLES | {"characters": "id,name,seed\naria,Aria,bad\nren,Ren,\n"}
    assert ids(plan_of(make_catalog(tmp_path / "cast", toml=toml, **tables))) == ["ren/summer"]


def test_a_blank_row_between_rows_does_not_shift_what_is_zipped(tmp_path):
    toml = pictures_toml('[["characters", "outfits"]]')
    tables = TABLES | {"outfits": "id,clothing\nwinter,coat\n,\nsummer,dress\n"}
    assert ids(plan_of(make_catalog(tmp_path / "cast", toml=toml, **tables))) == ["aria/winter", "ren/summer"]


def test_excluded_pictures_are_left_out_and_counted(tmp_path):
    toml = pictures_toml('["characters", "outfits"]', 'exclude = ["ren/*", "*/nothing"]')
    plan = plan_of(make_catalog(tmp_path / "cast", toml=toml, **TABLES))
    assert ids(plan) == ["aria/winter", "aria/summer"]
    assert plan.excluded == 2


@pytest.mark.parametrize("word", ["no", "FALSE", "0", "否", "いいえ"])
def test_rows_that_are_not_enabled_are_left_out_and_counted(tmp_path, word):
    plan = plan_of(cast(tmp_path, f"id,name,enabled\naria,Aria,{word}\nren,Ren,yes\nmika,Mika,\n"))
    assert ids(plan) == ["ren", "mika"]
    assert plan.disabled == 1


def test_a_workbook_is_planned_as_csv_files_are(tmp_path):
    book = make_workbook(tmp_path / "cast.xlsx", **{name: TABLES[name] for name in ("characters", "outfits")})
    assert ids(plan_of(book)) == ["aria/winter", "aria/summer", "ren/winter", "ren/summer"]


# Merging and inheriting


def test_later_tables_come_before_earlier_ones_and_both_before_the_defaults(tmp_path):
    toml = SMALL + '[defaults]\nstyle = "flat"\npose = "standing"\nclothing = "none"\n'
    catalog = cast(tmp_path, "id,name,clothing,pose\na,A,shirt,\n", toml, outfits="id,clothing\nw,coat\n")
    assert look(plan_of(catalog), "a/w") == {
        "style": "flat",
        "pose": "standing",
        "clothing": "coat",
        "name": "A",
    }


def test_only_the_first_tables_name_is_the_characters(tmp_path):
    catalog = cast(tmp_path, "id,name\na,Aria\n", expressions="id,name,expression\nh,Happy,smile\n")
    assert look(plan_of(catalog), "a/h")["name"] == "Aria"


def test_a_row_inherits_from_its_base_what_it_leaves_empty(tmp_path):
    text = "id,base,name,appearance,seed,steps\na,,Aria,silver_hair,5,10\nb,a,,blue_hair,,\nc,b,Cara,,,20\n"
    plan = plan_of(cast(tmp_path, text))
    assert look(plan, "b") == {"name": "Aria", "appearance": "blue_hair"}
    assert look(plan, "c") == {"name": "Cara", "appearance": "blue_hair"}
    assert seeds(plan) == {"a": 5, "b": 5, "c": 5}
    assert [item.picture.steps for item in plan.items] == [10, 10, 20]


def test_a_base_may_stand_below_its_rows_and_be_disabled(tmp_path):
    plan = plan_of(cast(tmp_path, "id,base,name,enabled\nb,a,,\na,,Aria,no\n"))
    assert ids(plan) == ["b"]
    assert look(plan, "b")["name"] == "Aria"


@pytest.mark.parametrize(
    ("inherited", "cell", "value"),
    [
        ("hat, scarf", "coat", "coat"),
        ("hat, scarf", "..., coat", "hat, scarf, coat"),
        ("hat, scarf", "coat, ...", "coat, hat, scarf"),
        ("hat, scarf", "..., hat", "hat, scarf"),
        ("hat, scarf", "!hat", "scarf"),
        ("hat, scarf", "!hat, coat", "coat"),
        ("hat, scarf", "..., !hat, coat", "scarf, coat"),
        ("red hat, scarf", "!Red_Hat", "scarf"),
        ("hat, scarf", "!", ""),
        ("hat, scarf", "!absent", "hat, scarf"),
        ("", "..., coat", "coat"),
        ("", "!hat", ""),
        ("hat", "Stop!", "Stop!"),
        ("hat", "wait...", "wait..."),
        ("长发，蓝眼", "...，红裙", "长发, 蓝眼, 红裙"),
    ],
)
def test_a_cell_replaces_extends_or_trims_what_it_inherits(inherited, cell, value):
    assert edit(inherited, cell) == value


def test_edits_reach_through_base_table_and_defaults(tmp_path):
    toml = SMALL + '[defaults]\nclothing = "ribbon"\n'
    text = 'id,base,name,clothing\na,,Aria,"..., shirt"\nb,a,,"..., hat"\nc,a,,!\n'
    catalog = cast(tmp_path, text, toml, outfits='id,clothing\nw,"..., coat"\nx,"!shirt"\n')
    plan = plan_of(catalog)
    assert {picture: look(plan, picture).get("clothing") for picture in ids(plan)} == {
        "a/w": "ribbon, shirt, coat",
        "a/x": "ribbon",
        "b/w": "ribbon, shirt, hat, coat",
        "b/x": "ribbon, hat",
        "c/w": "coat",
        "c/x": "",
    }


def test_the_negative_is_edited_over_the_catalogs(tmp_path):
    toml = '[picture]\nsize = "64x64"\nnegative = "lowres, text"\n'
    plan = plan_of(cast(tmp_path, 'id,name,negative\na,A,"..., hat"\nb,B,!text\nc,C,!\nd,D,\n', toml))
    assert [item.picture.negative for item in plan.items] == [
        "lowres, text, hat",
        "lowres",
        "",
        "lowres, text",
    ]


def test_a_looked_up_row_gives_what_the_cell_leaves_empty(tmp_path):
    toml = pictures_toml('["shots"]', 'lookup = { character = "characters" }')
    catalog = make_catalog(
        tmp_path / "cast",
        toml=toml,
        characters="id,name,appearance,clothing\naria,Aria,silver_hair,shirt\nren,Ren,black_hair,suit\n",
        shots='id,character_1,clothing_1,character_2,background\ns1,aria,"..., hat",ren,classroom\n',
    )
    assert look(plan_of(catalog), "s1") == {
        "name_1": "Aria",
        "appearance_1": "silver_hair",
        "clothing_1": "shirt, hat",
        "name_2": "Ren",
        "appearance_2": "black_hair",
        "clothing_2": "suit",
        "character_1": "aria",
        "character_2": "ren",
        "background": "classroom",
    }


# Faults name the cell


@pytest.mark.parametrize(
    ("text", "row", "column", "said"),
    [
        (
            "id,base,name\naria,,A\nb,ari,B\n",
            3,
            "B",
            '"ari" is no id in sheet "characters"; did you mean "aria"?',
        ),
        ("id,base,name\nx,,A\nb,zzzz,B\n", 3, "B", "known: x, b"),
        (
            "id,name,guidance\na,A,x\nb,B,\n",
            2,
            "C",
            '"x" is not a number from 0 to 100; write a number such as 4.5',
        ),
        ("id,name,guidance\na,A,nan\nb,B,\n", 2, "C", '"nan" is not a number from 0 to 100'),
        ("id,name,size\na,A,big\nb,B,\n", 2, "C", '"big" is not a size; write width x height'),
        ("id,name,steps\na,A,0\nb,B,\n", 2, "C", '"0" is not a whole number from 1 to 1000'),
        ("id,name,steps\na,A,1001\nb,B,\n", 2, "C", '"1001" is not a whole number from 1 to 1000'),
        ('id,name,position\na,A,"x:2, y:0"\nb,B,\n', 2, "C", '"x:2, y:0" is not a position'),
        ('id,name,position_2\na,A,"x:a"\nb,B,\n', 2, "C", '"x:a" is not a position'),
        ("id,name,seed\na,A,-1\nb,B,\n", 2, "C", "-1"),
        (
            "id,name,size\na,A,100x64\nb,B,\n",
            2,
            "C",
            "width 100 is not a multiple of 8 from 64 to 4096; the nearest is 96",
        ),
        ("id,name,height\na,A,20\nb,B,\n", 2, "C", "height 20 is not a multiple of 8"),
    ],
)
def test_a_fault_names_its_cell_and_rejects_only_its_row(tmp_path, text, row, column, said):
    catalog = cast(tmp_path, text)
    (fault,) = faults(catalog)
    assert (fault.sheet, fault.row, fault.column) == ("characters", row, column)
    assert said in str(fault)
    assert len(ids(plan_of(catalog))) == 1


def test_a_circle_of_bases_is_named_and_rejects_its_rows(tmp_path):
    catalog = cast(tmp_path, "id,base,name\na,b,A\nb,c,B\nc,a,C\nd,,D\n")
    found = faults(catalog)
    assert any("inherits from itself: a → b → c → a; break the circle" in str(fault) for fault in found)
    assert ids(plan_of(catalog)) == ["d"]


def test_a_row_that_is_its_own_base_is_refused(tmp_path):
    assert "inherits from itself: a → a" in str(faults(cast(tmp_path, "id,base,name\na,a,A\nb,,B\n"))[0])


def test_a_row_whose_base_is_rejected_is_rejected_and_says_so(tmp_path):
    catalog = cast(tmp_path, "id,base,name,steps\na,,A,0\nb,a,B,5\nc,,C,5\n")
    assert [str(fault).rpartition(": ")[2] for fault in faults(catalog)] == [
        '"0" is not a whole number from 1 to 1000; mend or clear the cell',
        '"a" of sheet "characters" is itself rejected; mend that row first',
    ]
    assert ids(plan_of(catalog)) == ["c"]


def test_a_lookup_that_finds_nothing_is_named_with_the_nearest_id(tmp_path):
    toml = pictures_toml('["shots"]', 'lookup = { character = "characters" }')
    shots = "id,character_1\ns1,arla\ns2,aria\n"
    catalog = make_catalog(tmp_path / "cast", toml=toml, characters="id,name\naria,Aria\n", shots=shots)
    (fault,) = faults(catalog)
    assert (fault.sheet, fault.row, fault.column) == ("shots", 2, "B")
    assert 'did you mean "aria"?' in str(fault)


def test_a_size_in_the_settings_that_cannot_be_made_stops_the_plan(tmp_path):
    catalog = cast(tmp_path, "id,name\na,A\n", '[picture]\nsize = "100x64"\n')
    (fault,) = faults(catalog)
    assert fault.severity == "file"
    assert "engine sketch cannot make 100x64: width 100" in str(fault)
    assert "change [picture] size" in str(fault)


def test_the_engine_says_which_sizes_it_can_make(tmp_path):
    catalog = cast(tmp_path, "id,name,size\na,A,80x64\nb,B,\n")
    small = Capabilities(size_step=64, smallest_side=64, largest_side=64, options={})
    (fault,) = faults(catalog, capabilities=small)
    assert "the nearest is 64" in str(fault)


def test_misspelt_tags_are_warned_of_with_their_cell(tmp_path):
    plan = plan_of(cast(tmp_path, "id,name,appearance,caption\na,A,blue_hari,blue_hari\n"))
    (warning,) = [fault for fault in plan.faults if fault.severity == "warning"]
    assert (warning.row, warning.column, warning.code) == (2, "C", "W_TAG")
    assert str(warning).endswith('tag "blue_hari" is not known; did you mean "blue_hair"?')
    assert ids(plan) == ["a"]


def test_a_row_that_says_nothing_is_rejected(tmp_path):
    catalog = cast(tmp_path, "id,name\naria,Aria\nempty,\n")
    assert {fault.row for fault in faults(catalog)} == {3}
    assert ids(plan_of(catalog)) == ["aria"]
