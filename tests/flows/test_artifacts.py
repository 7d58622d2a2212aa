"""What Prefect's pages show of a run, and the exit code that does not depend on them."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from flows.artifacts import Shown, inline_picture, spoken, summary_page
from flows.ledger import LEDGER
from flows.nightly import nightly
from flows.shell import _tell_all, closing
from newbie_core.errors import LockedError
from newbie_core.production.morning import page_url

REPORT = {
    "catalog": "cast",
    "release": "r000002",
    "new": True,
    "generated": 12,
    "reused": 3,
    "removed": 0,
    "seconds": 1.0,
    "failed": [],
    "rejected": [],
    "undecided": [],
    "canary": None,
    "view": None,
    "proposal": None,
    "page": {"file": "page/index.html", "url": "https://art.example.org/cast/r000002", "error": None},
    "exit_code": 3,
}


def test_the_summary_names_what_was_published_held_and_failed():
    drift = {"waiting": True, "verdict": "alike", "changed": ["torch 2.11 → 2.12"]}
    held = {**REPORT, "catalog": "brand", "new": False, "canary": drift, "page": None}
    lost = {**REPORT, "catalog": "shop", "page": {"file": None, "url": None, "error": "no room | left"}}
    page = summary_page([REPORT, held, lost], {"story": "no column | <b>id</b>\nnext"})
    assert (
        "| cast | r000002 | 12 | 3 | 0 | published | "
        "[look and decide](<https://art.example.org/cast/r000002>) |" in page
    )
    assert "| shop | r000002 | 12 | 3 | 0 | published | none: no room \\| left |" in page
    assert "held back: drift (alike)**: torch 2.11 → 2.12. `newbie canary brand accept`" in page
    assert "| story | — | — | — | — | **failed**: no column \\| &lt;b&gt;id&lt;/b&gt; next | — |" in page


def test_a_contact_sheet_is_made_small_enough_for_a_database(tmp_path):
    Image.effect_noise((1500, 1100), 90).convert("RGB").save(tmp_path / "sheet.png")
    url = inline_picture(tmp_path / "sheet.png")
    assert len(url) <= 205_000
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
        assert picture.format == "JPEG" and picture.width >= 200


def test_a_page_is_linked_where_it_is_served_or_lies(tmp_path, monkeypatch):
    index = tmp_path / "views" / "角色 set" / "r000001" / "page" / "index.html"
    monkeypatch.delenv("NEWBIE_PAGES_URL", raising=False)
    assert page_url(index) == index.as_uri()
    monkeypatch.setenv("NEWBIE_PAGES_URL", "https://art.example.org/views/")
    served = "https://art.example.org/views/%E8%A7%92%E8%89%B2%20set/r000001/page/index.html"
    assert page_url(index) == served


@pytest.mark.parametrize("seconds, said", [(5, "5 s"), (600, "10 min"), (7500, "2 h 5 min")])
def test_time_left_is_said_as_people_do(seconds, said):
    assert spoken(seconds) == said


def test_keys_of_sets_of_any_name_are_keys_of_prefect():
    keys = {Shown(name)._key("plan") for name in ("cast", "Cast", "角色", "表情", "school cast")}
    assert len(keys) == 5
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for key in keys)


def test_the_exit_code_is_that_of_the_runs_and_of_the_flow(capsys):
    LEDGER.open()
    LEDGER.enter(REPORT)
    LEDGER.close()
    assert _tell_all("nightly") == 3
    assert "cast: published r000002" in capsys.readouterr().out

    with pytest.raises(LockedError), closing():
        raise LockedError("another night is under way")
    assert _tell_all("nightly") == 11


def test_the_form_of_a_night_checks_its_numbers():
    properties = nightly.parameters.properties
    assert properties["canary"]["maximum"] == 8
    assert properties["canary"]["default"] == 4
    assert {"catalogs", "store", "require_approval", "workers", "page"} <= set(properties)
    assert (properties["page"]["type"], properties["page"]["default"]) == ("boolean", True)
    assert "golden pictures" in properties["canary"]["description"]
