"""Opening image sets: folders, workbooks, bare files; what is missing is named."""

import shutil
from pathlib import Path

import pytest

from newbie_core.catalogs import Catalog, open_catalog, with_engine
from newbie_core.errors import CatalogError, InputError, SheetError, TemplateError
from tests.catalogs.building import CHARACTERS, EXPRESSIONS, make_catalog, make_workbook, shared_cache


def opened(path: Path) -> Catalog:
    return open_catalog(path, snapshot=shared_cache())


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        opened(path)
    return caught.value


# What makes a catalog


def test_a_folder_of_csv_files_is_a_catalog(tmp_path):
    catalog = opened(make_catalog(tmp_path / "cast"))
    assert catalog.name == "cast"
    assert catalog.groups == (("characters",), ("expressions",))
    assert catalog.row("characters", "aria").values["appearance"] == "silver_hair"
    assert catalog.row("characters", "nobody") is None
    assert set(catalog.files) == {"characters.csv", "expressions.csv"}


def test_a_folder_with_one_workbook_is_a_catalog(tmp_path):
    make_workbook(tmp_path / "cast" / "book.xlsx")
    catalog = opened(tmp_path / "cast")
    assert (catalog.name, catalog.table_order()) == ("cast", ("characters", "expressions"))


def test_a_workbook_comes_before_csv_files_beside_it(tmp_path):
    folder = make_catalog(tmp_path / "cast", notes="id\na\n")
    make_workbook(folder / "book.xlsx")
    assert set(opened(folder).files) == {"book.xlsx"}


def test_a_bare_workbook_is_a_catalog_named_after_its_file(tmp_path):
    catalog = opened(make_workbook(tmp_path / "cast.xlsx"))
    assert (catalog.name, catalog.table_order()) == ("cast", ("characters", "expressions"))


def test_a_bare_csv_file_is_a_catalog_of_one_table(tmp_path):
    file = tmp_path / "anything.csv"
    file.write_text(CHARACTERS)
    catalog = opened(file)
    assert (catalog.name, catalog.groups) == ("anything", (("anything",),))


def test_a_bare_workbooks_first_sheet_with_ids_is_its_table(tmp_path):
    file = make_workbook(tmp_path / "cast.xlsx", notes="how to\nread on\n", people=CHARACTERS)
    assert opened(file).groups == (("people",),)


def test_excels_lock_files_and_hidden_files_are_no_tables(tmp_path):
    folder = make_catalog(tmp_path / "cast")
    (folder / "~$book.xlsx").write_bytes(b"lock")
    (folder / ".hidden.xlsx").write_bytes(b"x")
    assert set(opened(folder).files) == {"characters.csv", "expressions.csv"}


def test_the_workbook_setting_chooses_among_several(tmp_path):
    folder = make_catalog(tmp_path / "cast", toml='workbook = "two.xlsx"', notes="id\na\n")
    make_workbook(folder / "one.xlsx")
    make_workbook(folder / "two.xlsx")
    assert set(opened(folder).files) == {"two.xlsx"}


@pytest.mark.parametrize(
    ("characters", "expressions"), [("角色", "表情"), ("キャラ", "表情差分"), ("Characters", " EXPRESSIONS ")]
)
def test_sheets_are_known_by_their_usual_names_in_three_languages(tmp_path, characters, expressions):
    file = make_workbook(tmp_path / "cast.xlsx", **{expressions: EXPRESSIONS, characters: CHARACTERS})
    catalog = opened(file)
    assert catalog.table_order() == ("characters", "expressions")
    assert catalog.row("expressions", "happy").values == {"id": "happy", "expression": "smile"}


@pytest.mark.parametrize(
    "header",
    [
        "id,名字,性别,外貌,服装",
        "编号,名称,性別,外觀,衣服",
        "識別子,名前,性別,外見,衣装",
        "ID,Full name,Sex,Looks,Clothes",
    ],
)
def test_headers_are_known_in_four_languages(tmp_path, header):
    folder = make_catalog(tmp_path / "cast", characters=f"{header}\naria,Aria,1girl,silver_hair,dress\n")
    values = opened(folder).row("characters", "aria").values
    assert values == {
        "id": "aria", "name": "Aria", "gender": "1girl", "appearance": "silver_hair", "clothing": "dress",
    }  # fmt: skip


def test_declared_columns_are_columns(tmp_path):
    toml = 'columns = ["mood"]'
    folder = make_catalog(tmp_path / "cast", toml=toml, characters="id,mood,mood_2\na,calm,wild\n")
    assert opened(folder).row("characters", "a").values == {"id": "a", "mood": "calm", "mood_2": "wild"}
    assert "mood" in opened(folder).columns


def test_a_lookup_makes_its_column_and_reads_its_table(tmp_path):
    toml = 'pictures = ["shots"]\nlookup = { hero = "characters" }'
    folder = make_catalog(
        tmp_path / "cast", toml=toml, characters=CHARACTERS, shots="id,hero_1,hero_2\n1,aria,ren\n"
    )
    catalog = opened(folder)
    assert catalog.table_order() == ("shots",)
    assert set(catalog.tables) == {"shots", "characters"}
    assert catalog.row("shots", "1").values["hero_2"] == "ren"


def test_the_characters_sheet_is_looked_up_when_it_is_not_crossed(tmp_path):
    folder = make_catalog(tmp_path / "a", toml='pictures = ["shots"]', characters=CHARACTERS, shots="id\n1\n")
    assert opened(folder).lookups == {"character": "characters"}
    assert opened(make_catalog(tmp_path / "b")).lookups == {}


def test_the_catalogs_own_template_comes_before_the_stock_one(tmp_path):
    own = "<caption>own</caption>"
    folder = make_catalog(tmp_path / "cast", templates={"character.xml.j2": own})
    assert opened(folder).template.sources == {"character.xml.j2": own}


def test_equal_catalogs_in_other_folders_are_equal_but_for_their_path(tmp_path):
    first, second = (opened(make_catalog(tmp_path / place / "cast")) for place in ("a", "b"))
    assert (first.tables, first.settings, first.template) == (second.tables, second.settings, second.template)


def test_another_engine_leaves_the_old_engines_options_behind(tmp_path):
    catalog = opened(make_catalog(tmp_path / "cast", toml='[engine]\nname = "other"\noptions = { a = 1 }'))
    assert with_engine(catalog, "other") is catalog
    assert with_engine(catalog, "sketch").settings.engine.options == {}


# What is missing or wrong


def test_a_path_that_is_not_there_is_named_with_its_nearest_neighbour(tmp_path):
    make_catalog(tmp_path / "school-cast")
    error = refusal(tmp_path / "school-cas")
    assert (error.code, error.exit_code) == ("E_CATALOG_MISSING", 2)
    assert 'did you mean "school-cast"?' in str(error)


def test_other_files_are_no_catalogs(tmp_path):
    (tmp_path / "cast.json").write_text("{}")
    assert "give a folder, an .xlsx or a .csv file" in str(refusal(tmp_path / "cast.json"))


def test_several_workbooks_in_a_folder_are_listed(tmp_path):
    folder = tmp_path / "cast"
    make_workbook(folder / "a.xlsx")
    make_workbook(folder / "b.xlsx")
    error = refusal(folder)
    assert '2 workbooks ("a.xlsx", "b.xlsx"); set workbook = "…" in catalog.toml' in str(error)


def test_an_empty_folder_says_how_to_begin(tmp_path):
    (tmp_path / "cast").mkdir()
    error = refusal(tmp_path / "cast")
    assert isinstance(error, CatalogError)
    assert "newbie template cast/cast.xlsx" in str(error)


@pytest.mark.parametrize("name", ["absent.xlsx", "../outside.xlsx"])
def test_a_workbook_setting_must_name_a_file_of_the_folder(tmp_path, name):
    make_workbook(tmp_path / "outside.xlsx")
    folder = make_catalog(tmp_path / "cast", toml=f'workbook = "{name}"')
    assert f'workbook "{name}" is not in cast/' in str(refusal(folder))


def test_a_missing_sheet_is_named_with_those_found_and_the_nearest(tmp_path):
    folder = make_catalog(tmp_path / "cast", toml='pictures = ["charcters"]')
    error = refusal(folder)
    assert isinstance(error, SheetError)
    assert 'there is no sheet "charcters"; sheets found: "characters", "expressions"' in str(error)
    assert 'did you mean "characters"?' in str(error)


def test_a_missing_sheet_of_a_workbook_is_named_with_the_workbook(tmp_path):
    folder = make_catalog(tmp_path / "cast", toml='pictures = ["outfits"]', notes="id\n")
    make_workbook(folder / "book.xlsx")
    error = refusal(folder)
    assert str(error).startswith(
        'book.xlsx: there is no sheet "outfits"; sheets found: "characters", "expressions"'
    )


def test_a_lookup_into_a_missing_sheet_is_named(tmp_path):
    folder = make_catalog(tmp_path / "cast", toml='lookup = { hero = "heroes" }')
    assert 'there is no sheet "heroes"' in str(refusal(folder))


def test_a_template_that_is_not_there_is_named(tmp_path):
    folder = make_catalog(tmp_path / "cast", toml='template = "own.xml.j2"')
    error = refusal(folder)
    assert isinstance(error, TemplateError)
    assert 'template "own.xml.j2": no such file in templates, cast, templates' in str(error)


def test_the_faults_of_all_sheets_are_told_at_once(tmp_path):
    folder = make_catalog(tmp_path / "cast", characters="no,header\n1,2\n", expressions="nor,here\n3,4\n")
    assert {fault.sheet for fault in refusal(folder).faults} == {"characters", "expressions"}


def test_bad_rows_are_left_out_and_named(tmp_path):
    folder = make_catalog(tmp_path / "cast", characters="id,seed\naria,five\nren,5\n")
    catalog = opened(folder)
    assert list(catalog.index["characters"]) == ["ren"]
    (fault,) = [fault for fault in catalog.faults if fault.severity == "row"]
    assert (fault.sheet, fault.row, fault.column) == ("characters", 2, "B")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("styl", 'defaults.styl: is not a known column; did you mean "style"?'),
        ("steps", "defaults.steps: is no default of a prompt; write it in [picture]"),
        ("negative", "defaults.negative: is no default of a prompt; write it in [picture]"),
        ("id", "defaults.id: is no default of a prompt"),
    ],
)
def test_defaults_that_no_prompt_would_see_are_refused(tmp_path, name, said):
    folder = make_catalog(tmp_path / "cast", toml=f'[defaults]\n{name} = "1"')
    assert said in str(refusal(folder))


def test_defaults_may_name_declared_and_numbered_columns(tmp_path):
    toml = 'columns = ["mood"]\n[defaults]\nmood = "calm"\nexpression_2 = "smile"'
    assert opened(make_catalog(tmp_path / "cast", toml=toml)).settings.defaults["mood"] == "calm"


def test_a_bare_file_copied_elsewhere_gives_the_same_catalog(tmp_path):
    file = make_workbook(tmp_path / "cast.xlsx")
    (tmp_path / "elsewhere").mkdir()
    other = shutil.copy(file, tmp_path / "elsewhere" / "cast.xlsx")
    assert opened(file).tables == opened(Path(other)).tables
