"""What the limited child process does to copy a file: `{"path": hex, "additions": [...], ...}` is answered by
`{"copy": base64}` or `{"faults": [...]}`.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import os
from pathlib import Path
from typing import Any

from newbie_core.errors import SheetError
from newbie_core.sheets.additions import addition_of
from newbie_core.sheets.book_copy import copy_book
from newbie_core.sheets.csv_copy import copy_csv
from newbie_core.sheets.package import refuse
from newbie_core.sheets.workbook import Limits


def copy(request: dict[str, Any]) -> dict[str, Any]:
    """The copy of one file, or the faults that stop it, as plain JSON values."""
    gc.disable()
    data = Path(os.fsdecode(bytes.fromhex(request["path"]))).read_bytes()
    limits = Limits(**request["limits"])
    additions = [addition_of(record) for record in request["additions"]]
    try:
        if hashlib.sha256(data).hexdigest() != request["digest"]:
            refuse("E_FILE_CHANGED", "the file changed while it was read", "run again")
        if request["kind"] == "xlsx":
            pictures = {key: base64.b64decode(text) for key, text in request["pictures"].items()}
            copied = copy_book(data, additions, pictures, limits)
        else:
            copied = copy_csv(data, additions[0], request["encoding"], tabs=request["kind"] == "tsv")
    except SheetError as error:
        return {"faults": [fault.record() for fault in error.faults], "copy": ""}
    return {"faults": [], "copy": base64.b64encode(copied).decode()}
