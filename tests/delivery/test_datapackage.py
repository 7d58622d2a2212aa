"""A data package: every file with hash and bytes, a table that says what it is, cells that stay text."""

from __future__ import annotations

import csv
import hashlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newbie_core.delivery.datapackage import plain_cell, slug, text_cell
from newbie_core.delivery.delivering import Order, deliver
from tests.delivery.conftest import make_release


def package_in(folder) -> dict:
    return json.loads((folder / "datapackage.json").read_bytes())


def rows_in(folder) -> list[dict[str, str]]:
    with (folder / "pictures.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_resource_has_the_hash_and_the_bytes_of_its_file(export, tmp_path):
    export(kind="datapackage")
    package = package_in(tmp_path / "out")
    assert package["profile"] == "data-package"
    assert len(package["resources"]) == 5
    for resource in package["resources"]:
        data = (tmp_path / "out" / resource["path"]).read_bytes()
        assert resource["bytes"] == len(data)
        assert resource["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert len({resource["name"] for resource in package["resources"]}) == 5


def test_the_table_has_one_row_a_file_and_the_columns_of_its_schema(export, tmp_path, release):
    export(kind="datapackage")
    schema = package_in(tmp_path / "out")["resources"][0]["schema"]
    rows = rows_in(tmp_path / "out")
    assert list(rows[0]) == [field["name"] for field in schema["fields"]]
    assert [row["id"] for row in rows] == [entry.id for entry in release.content.entries]
    assert rows[0]["seed"] == str(release.content.entries[0].seed)
    assert (rows[0]["character"], rows[0]["expression"], rows[0]["name"]) == ("aria", "happy", "Aria")
    assert "silver_hair" in rows[0]["prompt"]
    types = {field["name"]: field["type"] for field in schema["fields"]}
    for row in rows:
        assert all(str(int(row[name])) == row[name] for name, kind in types.items() if kind == "integer")


def test_a_public_table_has_no_private_column(export, tmp_path):
    export(kind="datapackage", profile="public")
    assert not {"seed", "key", "prompt", "negative", "name"} & set(rows_in(tmp_path / "out")[0])


def test_frictionless_finds_the_package_valid(export, tmp_path):
    frictionless = pytest.importorskip("frictionless")
    for profile in ("private", "public"):
        export(profile, kind="datapackage", profile=profile)
        report = frictionless.Package(str(tmp_path / profile / "datapackage.json")).validate()
        assert report.valid, report.flatten(["type", "note"])


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\tx", "\rx", "＝1", "'=1", "''@x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text_in_a_spreadsheet_and_reads_back(text):
    assert text_cell(text) == f"'{text}"
    assert plain_cell(text_cell(text)) == text


@given(st.text(alphabet=st.sampled_from("=+-@'ab \t\n＝")))
def test_every_cell_reads_back(text):
    cell = text_cell(text)
    assert plain_cell(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_a_formula_in_a_sheet_is_text_in_the_table(tmp_path):
    shelf = make_release(tmp_path, characters="id,name,gender,appearance\n=a1,=1+1,1girl,silver_hair\n")
    deliver(shelf, shelf.current(), Order(to=tmp_path / "out", kind="datapackage"))
    (row,) = rows_in(tmp_path / "out")
    assert (row["id"], row["name"]) == ("'=a1", "'=1+1")
    assert (plain_cell(row["id"]), plain_cell(row["name"])) == ("=a1", "=1+1")
    text = (tmp_path / "out/pictures.csv").read_bytes().decode()
    cells = [cell for line in csv.reader(io.StringIO(text, newline="")) for cell in line]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


@pytest.mark.parametrize("name, expected", [("School Cast", "school-cast"), ("é_x", "e_x"), ("表情", "set")])
def test_a_package_is_named_as_the_specification_wants(name, expected):
    assert slug(name) == expected
