"""Every case of the corpus: what is refused, which rows come through, and what the person is told."""

from __future__ import annotations

import random
import time
import zipfile
from pathlib import Path

import pytest

from newbie_core.errors import Fault, SheetError
from newbie_core.sheets import CODES, CORE_COLUMNS, Limits, Table, read_table, read_workbook
from newbie_core.sheets.csv_text import read_csv
from newbie_core.sheets.xlsx import read_xlsx
from tests.sheets.corpus import CASES, SECRET, Case, write_parts

SECONDS_TO_REFUSE = 2
MUTATED = ("B05-formula-stored", "B07-date", "B12-merged", "B24-phonetic-and-rich", "C10-extra-field")
SLOW = ("A01", "A06", "A07")


def read_case(case: Case, folder: Path) -> tuple[Table | None, list[Fault]]:
    """The case's table, None if the file is refused (in bearable time), and all that was said."""
    path = case.build(folder)
    start = time.perf_counter()
    try:
        workbook = read_workbook(path, encoding=case.encoding, merged=case.merged)
    except SheetError as error:
        assert time.perf_counter() - start < SECONDS_TO_REFUSE
        return None, list(error.faults)
    table = read_table(workbook.sheet(case.sheet), CORE_COLUMNS)
    return table, [*workbook.faults, *table.faults]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_case_of_the_corpus_ends_as_it_should(case: Case, tmp_path: Path) -> None:
    table, faults = read_case(case, tmp_path)
    said = "\n".join(map(str, faults))
    codes = [fault.code for fault in faults]
    assert set(codes) <= set(CODES)
    for code in case.expected_codes:
        assert codes.count(code) >= case.expected_codes.count(code), said
    for word in case.words:
        assert word in said
    if case.outcome == "refused":
        assert table is None
        assert {fault.severity for fault in faults} == {"file"}
        return
    assert table is not None, said
    assert tuple(row.id for row in table.rows) == case.good, said
    stopping = [fault for fault in faults if fault.severity in ("row", "file")]
    assert bool(stopping) == (case.outcome == "rejects"), said
    if case.at is not None:
        assert case.at in [(fault.row, fault.column) for fault in stopping], said
    for column, text in case.values.items():
        assert table.rows[-1].values.get(column, "") == text


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.outcome == "refused"])
def test_a_refused_file_is_named_without_its_folder_and_without_its_secrets(
    name: str, tmp_path: Path
) -> None:
    if name.startswith(SLOW):
        pytest.skip("too large to build twice")
    _, faults = read_case(CASES[name], tmp_path)
    for fault in faults:
        assert fault.file and "/" not in fault.file
        assert SECRET not in str(fault)
        assert fault.fix


def mutate(data: bytes, dice: random.Random) -> bytes:
    """`data` with a few bytes changed, removed or doubled."""
    made = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(len(made))
        piece = dice.choice(
            (bytes([dice.randrange(256)]), b"", made[place : place + 20] * 2, b"-1", b"<row>")
        )
        made[place : place + dice.randint(0, 8)] = piece
    return bytes(made)


@pytest.mark.parametrize("name", MUTATED)
def test_a_damaged_file_is_read_or_refused_and_never_anything_else(name: str, tmp_path: Path) -> None:
    """Read in this process, where nothing would hide another exception."""
    dice = random.Random(name)
    path = CASES[name].build(tmp_path)
    for _ in range(300):
        try:
            if path.suffix == ".csv":
                read_csv(mutate(path.read_bytes(), dice), Limits(), None, tabs=False)
            else:
                with zipfile.ZipFile(path) as archive:
                    parts = {part: archive.read(part) for part in archive.namelist()}
                chosen = dice.choice(sorted(parts))
                parts[chosen] = mutate(parts[chosen], dice)
                data = write_parts(tmp_path / "mutated.xlsx", parts).read_bytes()
                read_xlsx(data if dice.random() < 0.8 else mutate(data, dice), Limits(), "error")
        except SheetError as error:
            assert all(fault.code in CODES for fault in error.faults)
