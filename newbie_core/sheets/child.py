"""What the limited child process does: read one untrusted file, answer with text and faults.

`{"path": hex, "kind": "xlsx", "limits": {...}, "encoding": null, "merged": "error"}` is answered by
`{"digest": ..., "sheets": [...] or null, "faults": [...], "encoding": ...}`.
"""

from __future__ import annotations

import gc
import hashlib
import os
from pathlib import Path
from typing import Any

from newbie_core.errors import SheetError
from newbie_core.sheets.csv_text import read_csv
from newbie_core.sheets.workbook import Limits
from newbie_core.sheets.xlsx import read_xlsx


def read(request: dict[str, Any]) -> dict[str, Any]:
    """The sheets of one file, or the faults that stop it, as plain JSON values."""
    gc.disable()  # one answer, no cycles: collecting would only look at a million strings again
    data = Path(os.fsdecode(bytes.fromhex(request["path"]))).read_bytes()
    limits = Limits(**request["limits"])
    try:
        if request["kind"] == "xlsx":
            answer = read_xlsx(data, limits, request["merged"])
        else:
            answer = read_csv(data, limits, request["encoding"], tabs=request["kind"] == "tsv")
    except SheetError as error:
        answer = {"sheets": None, "faults": [fault.record() for fault in error.faults], "encoding": None}
    return answer | {"digest": hashlib.sha256(data).hexdigest()}
