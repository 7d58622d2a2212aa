"""Sheets whose rows are written as XML by the test itself."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable

from newbie_core.errors import SheetError
from newbie_core.sheets import Limits
from newbie_core.sheets.xlsx import read_xlsx
from tests.sheets.corpus import MAIN, workbook_parts


def read_rows(rows: str, *, limits: Limits, texts: Iterable[str] | None = None) -> object:
    """What the reader says of a sheet whose `<sheetData>` holds `rows`; a refusal as its text.

    Args:
        texts: the workbook's shared texts.
    """
    parts = workbook_parts({"characters": ""}, strings=texts)
    parts["xl/worksheets/sheet1.xml"] = f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    try:
        return read_xlsx(file.getvalue(), limits, "error")
    except SheetError as error:
        return str(error)
