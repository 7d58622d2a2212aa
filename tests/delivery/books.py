"""Workbooks as people make them: titles, formulas with their values, drop-downs, pictures, comments, several sheets."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.drawing.image import Image as SheetImage
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.table import Table
from PIL import Image

SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def logo(colour: str) -> SheetImage:
    data = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(data, "PNG")
    return SheetImage(data)


def chinese_cast(file: Path) -> Path:
    """One sheet with a merged title, styled headings, a formula, a rejected row and a row that is off."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "角色"
    sheet["A1"] = "第三季 角色表"
    sheet["A1"].font = Font(size=18, bold=True)
    sheet["A1"].alignment = Alignment(horizontal="center")
    sheet.merge_cells("A1:H1")
    sheet.add_image(logo("purple"), "H1")
    sheet.append([])
    sheet.append(["编号", "名字", "性别", "外貌", "种子", "尺寸", "启用", "备注"])
    for cell in sheet[3]:
        cell.font, cell.fill = Font(bold=True, color="FFFFFF"), PatternFill("solid", fgColor="4472C4")
    sheet.append(["aria", "Aria", "1girl", "silver_hair, blue_eyes", 42, "64x64", None, '=B4&"!"'])
    sheet.append(["ren", "Ren", "1boy", "black_hair", None, "64x64", None, "=E4*2"])
    sheet.append(["bad", "Bad", "1girl", "red_hair", -3, "64x64", None, "=1+1"])
    sheet.append(["mei", "Mei", "1girl", "green_hair", None, "64x64", "no", "later"])
    choices = DataValidation(type="list", formula1='"1girl,1boy"', allow_blank=True)
    choices.add("C4:C50")
    sheet.add_data_validation(choices)
    sheet["B4"].comment = Comment("check the eyes", "Mia", width=300, height=120)
    sheet.conditional_formatting.add(
        "E4:E50", CellIsRule(operator="greaterThan", formula=["10"], fill=PatternFill(bgColor="FFC7CE"))
    )
    sheet.freeze_panes = "B4"
    sheet.column_dimensions["D"].width = 30
    sheet.column_dimensions["F"].hidden = True
    sheet.row_dimensions[5].height = 33
    notes = book.create_sheet("备注")
    notes["A1"] = "只给人看"
    notes.add_image(logo("teal"), "C3")
    book.defined_names["cast"] = DefinedName("cast", attr_text="'角色'!$A$4:$A$7")
    book.properties.lastModifiedBy = "Mia"
    book.save(file)
    set_values(file, {"H4": "Aria!", "H5": 84, "H6": 2})
    return file


def crossed(file: Path) -> Path:
    """Two crossed sheets, one with Excel's own table and a link, formats to the last column, a chart on a third."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "characters"
    for row in (["id", "gender", "appearance", "size"], ["aria", "1girl", "silver_hair", "64x64"]):
        sheet.append(row)
    sheet.append(["ren", "1boy", "black_hair", "64x64"])
    sheet.add_table(Table(displayName="cast", ref="A1:D3"))
    sheet["A2"].hyperlink = "https://example.org/aria"
    for column in "FGHIJKL":
        sheet[f"{column}2"].fill = PatternFill("solid", fgColor="EEEEEE")
    sheet.column_dimensions.group("E", "XFD", hidden=True)
    faces = book.create_sheet("表情")
    faces["A1"] = "faces"
    faces.merge_cells("A1:C1")
    for row in (["id", "expression"], ["happy", "smile"], ["sad", "frown"]):
        faces.append(row)
    chart_sheet = book.create_sheet("Übersicht")
    for row in (["who", "how many"], ["aria", 2], ["ren", 3]):
        chart_sheet.append(row)
    chart = BarChart()
    chart.add_data(Reference(chart_sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
    chart_sheet.add_chart(chart, "D2")
    book.save(file)
    return file


def plain_xml(file: Path) -> Path:
    """As other programs write: a prefix, shared strings with runs, addresses left out, UTF-16, no styles."""
    strings = ["id", "gender", "appearance", "aria", "1girl", "silver_hair", "ren", "1boy", "black_hair"]
    shared = "".join(f"<x:si><x:r><x:t>{text}</x:t></x:r></x:si>" for text in strings)

    def row(number: int, first: int) -> str:
        return (
            f'<x:row r="{number}">'
            + "".join(f'<x:c t="s"><x:v>{first + at}</x:v></x:c>' for at in range(3))
            + "</x:row>"
        )

    sheet = (
        f'<?xml version="1.0" encoding="UTF-16"?><x:worksheet xmlns:x="{SPACE}"><x:dimension ref="A1:C4"/>'
        f'<x:sheetData>{row(1, 0)}<x:row r="2"/>{row(3, 3)}{row(4, 6)}<!-- <x:row r="9"> --></x:sheetData>'
        "<x:pageMargins left='1' right='1' top='1' bottom='1' header='0' footer='0'/></x:worksheet>"
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/worksheets/Sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'spreadsheetml.worksheet+xml"/><Override PartName="/xl/strings.xml" ContentType="application/vnd.'
        'openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<x:workbook xmlns:x="{SPACE}" xmlns:r="{OFFICE}"><x:sheets>'
        '<x:sheet name="キャラ" sheetId="1" r:id="a"/></x:sheets></x:workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="a" '
        f'Type="{OFFICE}/worksheet" Target="worksheets/Sheet1.xml"/><Relationship Id="b" '
        f'Type="{OFFICE}/sharedStrings" Target="strings.xml"/></Relationships>',
        "xl/strings.xml": f'<x:sst xmlns:x="{SPACE}">{shared}</x:sst>',
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
        archive.writestr("xl/worksheets/Sheet1.xml", sheet.encode("utf-16"))
    return file


BOOKS: dict[str, Callable[[Path], Path]] = {
    "chinese": chinese_cast,
    "crossed": crossed,
    "plain": plain_xml,
}


def parts_of(file: Path) -> dict[str, bytes]:
    """Every part of a workbook."""
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def set_values(file: Path, values: dict[str, str | int]) -> None:
    """Store beside formulas of the first sheet what Excel would: openpyxl writes none."""
    parts = parts_of(file)
    text = parts["xl/worksheets/sheet1.xml"].decode()
    for address, value in values.items():
        kind = ' t="str"' if isinstance(value, str) else ""
        head, _, rest = text.partition(f'<c r="{address}"')
        style, _, rest = rest.partition("><f>")
        formula, _, rest = rest.partition("</f>")
        rest = rest.partition("</c>")[2]
        text = f'{head}<c r="{address}"{style}{kind}><f>{formula}</f><v>{value}</v></c>{rest}'
    parts["xl/worksheets/sheet1.xml"] = text.encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
