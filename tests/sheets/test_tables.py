"""Tables: headers, aliases, numbered columns, values, addresses, and the order of rows."""

from __future__ import annotations

import pytest

from newbie_core.errors import Fault
from newbie_core.sheets import (
    CODES,
    CORE_COLUMNS,
    ColumnSpec,
    Mark,
    Sheet,
    Table,
    quoted_sheet_name,
    read_table,
)
from newbie_core.sheets.codes import CELL_MESSAGES
from newbie_core.sheets.columns import ColumnNames


def make_sheet(*rows: str, name: str = "characters", marks: dict[int, list[Mark]] | None = None) -> Sheet:
    """A sheet of rows written as "a | b"; an empty string is an empty row."""
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    kept = [(number, row) for number, row in enumerate(cells, start=1) if any(row)]
    return Sheet(
        name=name,
        file="cast.xlsx",
        kind="xlsx",
        numbers=[number for number, _ in kept],
        rows=[row for _, row in kept],
        marks=marks or {},
    )


def make_table(*rows: str, columns: tuple[ColumnSpec, ...] = CORE_COLUMNS, **options: object) -> Table:
    return read_table(make_sheet(*rows), columns, **options)  # type: ignore[arg-type]


def codes(faults: list[Fault]) -> list[str]:
    return [fault.code for fault in faults]


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("ID", "id"),
        ("编号", "id"),
        ("編號", "id"),
        ("識別子", "id"),
        ("Character Name", "name"),
        ("角色", "name"),
        ("キャラクター", "name"),
        ("ｷｬﾗｸﾀｰ名", "name"),
        ("性别", "gender"),
        ("見た目", "appearance"),
        ("服裝", "clothing"),
        ("Outfit", "clothing"),
        ("表情", "expression"),
        ("アクション", "action"),
        ("ポーズ", "pose"),
        ("画风", "style"),
        ("シード", "seed"),
        ("枚数", "count"),
        ("active", "enabled"),
        ("negative-prompt", "negative"),
        ("NegativePrompt", "negative"),
        ("反向提示词", "negative"),
        ("body.type", "body_type"),
        ("Body  Type *", "body_type"),
        ("構図", "composition"),
        ("CFG Scale", "guidance"),
    ],
)
def test_a_header_may_be_english_chinese_or_japanese(header: str, column: str) -> None:
    assert ColumnNames(CORE_COLUMNS, frozenset()).meaning(header) == column


def test_no_alias_means_two_columns() -> None:
    meanings: dict[str, str] = {}
    for spec in CORE_COLUMNS:
        for alias in (spec.name, *spec.aliases):
            assert meanings.setdefault(alias, spec.name) == spec.name, alias
            assert ColumnNames(CORE_COLUMNS, frozenset()).meaning(alias) == spec.name


@pytest.mark.parametrize("header", ["expression_2", "表情2", "Expression 2", "EXPRESSION２", "expression-2"])
def test_a_numbered_column_keeps_its_number(header: str) -> None:
    table = make_table(f"id | expression | {header}", "a | smile | frown", numbered=frozenset({"expression"}))
    assert table.rows[0].values == {"id": "a", "expression": "smile", "expression_2": "frown"}
    assert table.address(table.rows[0], "expression_2") == "characters!C2"


def test_only_numbered_columns_take_a_number() -> None:
    table = make_table("id | pose_2", "a | sitting", numbered=frozenset({"expression"}))
    assert codes(table.faults) == ["W_COLUMN_CLOSE"]


def test_an_unknown_column_is_ignored_and_a_slip_is_pointed_out() -> None:
    table = make_table("id | Expresion | due date", "a | smile | May")
    assert [(fault.code, fault.severity, fault.column) for fault in table.faults] == [
        ("W_COLUMN_CLOSE", "warning", "B"),
        ("I_COLUMN_UNKNOWN", "info", "C"),
    ]
    assert 'did you mean "expression"?' in str(table.faults[0])
    assert table.rows[0].values == {"id": "a"}


def test_a_column_without_a_header_is_pointed_out() -> None:
    table = make_table("id | | name", "a | stray | A | far")
    assert [(fault.code, fault.column) for fault in table.faults] == [
        ("W_COLUMN_NO_HEADER", "B"),
        ("W_COLUMN_NO_HEADER", "D"),
    ]


def test_two_columns_of_one_meaning_stop_the_table() -> None:
    table = make_table("id | 服装 | outfit", "a | dress | coat")
    assert not table.usable
    assert not table.rows
    assert 'columns B ("服装") and C ("outfit") both mean "clothing"' in str(table.faults[0])


def test_the_header_is_found_below_a_title_and_rows_keep_their_numbers() -> None:
    table = make_table("Cast", "", "id | name", "", "a | A")
    assert [(row.number, row.id) for row in table.rows] == [(5, "a")]


def test_without_an_id_column_two_known_columns_make_a_header() -> None:
    rows = ("name | expression", "Smile | smile")
    assert make_table(*rows, id_required=False).rows[0].values == {"name": "Smile", "expression": "smile"}
    table = make_table(*rows)
    assert codes(table.faults) == ["E_SHEET_COLUMN_MISSING"]
    assert '"name", "expression"' in table.faults[0].message


def test_an_empty_sheet_says_so() -> None:
    table = make_table("")
    assert codes(table.faults) == ["E_SHEET_HEADER"]
    assert "the sheet is empty" in str(table.faults[0])


def test_the_order_keeps_a_place_for_a_rejected_row() -> None:
    table = make_table("id | seed", "a | 1", "b | x", "", "c | 3")
    assert [row and row.id for row in table.order] == ["a", None, "c"]
    assert table.rejected_rows == {3: "b"}
    assert [row.id for row in table.rows] == ["a", "c"]


def test_all_faults_of_all_rows_are_told_at_once() -> None:
    table = make_table("id | seed | enabled", "a/b | -1 | jes", "c | 1.5 | no", " | 2 | yes")
    assert [(fault.row, fault.column, fault.code) for fault in table.faults] == [
        (2, "B", "E_CELL_INTEGER"),
        (2, "C", "E_CELL_FLAG"),
        (2, "A", "E_ROW_ID_BAD"),
        (3, "B", "E_CELL_INTEGER"),
        (4, "A", "E_ROW_ID_BLANK"),
    ]
    assert "leave it empty" in table.faults[0].fix
    assert 'did you mean "yes"' in table.faults[1].fix


def test_equal_ids_are_rejected_everywhere_they_stand() -> None:
    table = make_table("id | name", "Aria | 1", "b | 2", "aria | 3", "ａｒｉａ | 4")
    assert [row.id for row in table.rows] == ["b"]
    assert table.rejected_rows == {2: "Aria", 4: "aria", 5: "ａｒｉａ"}
    assert 'the id "Aria" is also in row 4 ("aria"), row 5 ("ａｒｉａ")' in table.faults[0].message


def test_one_id_in_every_row_is_told_shortly_and_quickly() -> None:
    table = make_table("id | name", *(["same | x"] * 20_000))
    assert len(table.faults) == 20_000
    assert "and 19,994 more" in table.faults[0].message


def test_a_header_of_invisible_characters_does_not_flood_the_messages() -> None:
    sheet = make_sheet("id | seed", "a/b | x")
    sheet.rows[0][0] += "\u200b" * 30
    sheet.rows[0][1] += "\u200b" * 30_000
    table = read_table(sheet, CORE_COLUMNS)
    assert codes(table.faults) == ["I_COLUMN_UNKNOWN", "E_ROW_ID_BAD"]
    assert all(len(str(fault)) < 1_000 for fault in table.faults)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", "0"), ("007", "7"), ("42.0", "42"), ("９", "9"), (str(2**63 - 1), str(2**63 - 1))],
)
def test_a_whole_number_loses_its_needless_zeros(text: str, value: str) -> None:
    assert make_table("id | seed", f"a | {text}").rows[0].values["seed"] == value


@pytest.mark.parametrize("text", ["-1", "1.5", "1e3", "1,000", "x", "10²", str(2**63), "9" * 40])
def test_anything_else_is_no_whole_number(text: str) -> None:
    assert codes(make_table("id | seed", f"a | {text}").faults) == ["E_CELL_INTEGER"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("TRUE", "yes"),
        ("是", "yes"),
        ("はい", "yes"),
        ("✓", "yes"),
        ("x", "yes"),
        ("0", "no"),
        ("いいえ", "no"),
    ],
)
def test_a_flag_is_yes_or_no(text: str, value: str) -> None:
    assert make_table("id | enabled", f"a | {text}").rows[0].values["enabled"] == value


def test_a_required_cell_must_be_filled() -> None:
    columns = (ColumnSpec(name="id", kind="id"), ColumnSpec(name="name", required=True))
    assert codes(make_table("id | name", "a | ", columns=columns).faults) == ["E_CELL_REQUIRED"]
    assert codes(make_table("id | foo", "a | b", columns=columns).faults)[-1] == "E_SHEET_COLUMN_MISSING"


def test_a_troubled_cell_counts_only_where_somebody_reads_it() -> None:
    marks = {2: [Mark(2, "E_CELL_DATE", "2024-03-01")], 3: [Mark(1, "E_CELL_SHOWN", "007")]}
    table = read_table(make_sheet("id | seed | due", "a | 1 | ", "b | 7", marks=marks), CORE_COLUMNS)
    assert [row.id for row in table.rows] == ["a", "b"]
    assert codes(table.faults) == ["I_COLUMN_UNKNOWN"]


def test_a_note_below_the_table_is_counted_not_rejected() -> None:
    table = make_table("id | remark", "a | ok", " | remember the scarf")
    assert codes(table.faults) == ["I_ROWS_IGNORED", "I_COLUMN_UNKNOWN"]
    assert not table.rejected_rows


def test_a_table_without_ids_has_rows_without_ids() -> None:
    table = make_table("name | clothing | id", "A | dress | ", "B | coat | b", id_required=False)
    assert [row.id for row in table.rows] == ["", "b"]


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("characters", "characters"),
        ("My sheet", "'My sheet'"),
        ("Aria's", "'Aria''s'"),
        ("A1", "'A1'"),
        ("R1C1", "'R1C1'"),
        ("2024", "'2024'"),
        ("角色", "角色"),
    ],
)
def test_an_address_quotes_a_sheet_name_as_excel_does(name: str, quoted: str) -> None:
    assert quoted_sheet_name(name) == quoted


def test_every_cell_message_has_a_code_of_the_table() -> None:
    assert set(CELL_MESSAGES) <= set(CODES)
    assert all(code[:2] in ("E_", "W_", "I_") for code in CODES)
