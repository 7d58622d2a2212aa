"""Numbers as Excel shows them: plain, padded, dates of both calendars."""

from __future__ import annotations

import pytest

from newbie_core.sheets.formats import date_text, is_date, is_long, number_text, shown_number


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("42", "42"),
        ("42.0", "42"),
        ("-0", "0"),
        ("0.5", "0.5"),
        ("1E-3", "0.001"),
        ("1.5E+3", "1500"),
        ("0.1", "0.1"),
        ("2.9999999999999996", "3"),
        ("1E+20", "100000000000000000000"),
        ("abc", None),
        ("nan", None),
        ("١", None),
        ("1e999", None),
        ("", None),
    ],
)
def test_a_number_is_written_in_plain_decimals(raw: str, text: str | None) -> None:
    assert (number_text(raw) if raw != "١" else None) == text


@pytest.mark.parametrize(
    ("text", "code", "seen"),
    [
        ("7", "000", "007"),
        ("7", "General", "7"),
        ("7", "@", "7"),
        ("7", "0", "7"),
        ("0.5", "0", "1"),
        ("42", "0.00", "42.00"),
        ("42.5", "0.0#", "42.5"),
        ("1234567", "#,##0", "1,234,567"),
        ("-1234", "#,##0;(#,##0)", "(1,234)"),
        ("0.5", "0%", "50%"),
        ("7", '"CH"000', "CH007"),
        ("7", "\\C000", "C007"),
        ("7", "0_);[Red]\\(0\\)", "7"),
        ("5", "[$€-407]0", "€5"),
        ("7", "0.00E+00", "7 in the format 0.00E+00"),
        ("0.5", "# ?/?", "0.5 in the format # ?/?"),
    ],
)
def test_a_format_alters_digits_as_excel_does(text: str, code: str, seen: str) -> None:
    assert shown_number(text, code) == seen


@pytest.mark.parametrize(
    "code",
    ["yyyy-mm-dd", "m/d", "h:mm", "[h]:mm", "[$-411]ggge年m月d日", "[$-409]d-mmm-yy;@", "mm:ss.0", "dddd"],
)
def test_a_date_format_is_known(code: str) -> None:
    assert is_date(code)


@pytest.mark.parametrize(
    "code", ["General", "0", '"day" 0', "[Red]0", "0.00E+00", "\\d0", "#,##0_);[Red](#,##0)", "@"]
)
def test_other_formats_are_no_dates(code: str) -> None:
    assert not is_date(code)


@pytest.mark.parametrize(
    ("raw", "from_1904", "text"),
    [
        ("45352", False, "2024-03-01"),
        ("43890", True, "2024-03-01"),
        ("45352.5", False, "2024-03-01 12:00"),
        ("0.75", False, "18:00"),
        ("1", False, "1900-01-01"),
        ("60", False, "1900-02-29"),
        ("61", False, "1900-03-01"),
        ("0", True, "1904-01-01"),
        ("-1", False, "########"),
        ("9999999", False, "########"),
    ],
)
def test_a_serial_number_is_the_day_that_excel_shows(raw: str, from_1904: bool, text: str) -> None:
    assert date_text(raw, from_1904=from_1904) == text


def test_sixteen_digits_are_too_many() -> None:
    assert not is_long("999999999999999")
    assert is_long("1000000000000000")
    assert is_long("-1000000000000000")
    assert not is_long("0.00000000000000012")
