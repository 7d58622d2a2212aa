"""`newbie page`: what is in the folder, which places it takes, and what it says of damage."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import subprocess
import webbrowser
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from newbie_core.images import encode_png
from newbie_core.review.page.building import SCRIPTS, page_script
from newbie_core.review.page.data import WORDS_FILE, embedded
from newbie_core.review.page.thumbnails import THUMB_HEIGHT, THUMB_WIDTH, make_thumbnail
from newbie_core.store import Store, object_name
from tests.catalogs.building import EXPRESSIONS, make_catalog, set_cell

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "review.md"


def data_of(folder: Path) -> dict:
    html = (folder / "index.html").read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1])


def pictures_of(folder: Path) -> dict[str, dict]:
    return {picture["id"]: picture for picture in data_of(folder)["pictures"]}


@pytest.fixture
def changed(shell, cast):
    """The set "cast": released twice, the second time with another appearance of aria."""
    assert shell("run", "cast").code == 0
    set_cell(cast, "characters", "aria", "appearance", "blue_hair")
    assert shell("run", "cast").code == 0
    return cast


def test_a_page_has_every_picture_its_thumbnail_and_what_it_was_before(shell, changed):
    said = shell("page", "cast", "--json")
    assert said.code == 0
    assert (said.json["release"], said.json["pictures"], said.json["changed"]) == ("r000002", 4, 2)
    folder = Path(said.json["page"]).parent
    assert folder == Path("page/cast/r000002")
    for picture in pictures_of(folder).values():
        looks = [picture, *([picture["before"]] if picture["state"] == "changed" else [])]
        for look in looks:
            assert (folder / unquote(look["file"])).is_file()
            assert look["thumb"].endswith(".jpg")
            with Image.open(folder / look["thumb"]) as thumbnail:
                assert (thumbnail.format, thumbnail.size) == ("JPEG", (64, 64))
    assert [i for i, picture in pictures_of(folder).items() if "before" in picture] == [
        "aria/happy",
        "aria/sad",
    ]


AS_STORIES_GO = """\
id,name,gender,appearance,seed
zoe,Zoe,1girl,red_hair,
aria,Aria,1girl,silver_hair,
mia,Mia,1girl,black_hair,
"""


def test_rows_and_columns_stand_in_the_order_of_the_sheet(shell, tmp_path):
    faces = "id,expression,count\nsmiling,smile,\nangry,angry,2\nblushing,blush,\n"
    cast = make_catalog(tmp_path / "cast", characters=AS_STORIES_GO, expressions=faces)
    digest = shell("run", "cast", "--json").json["digest"]
    shell("page", "cast", "--out", "out")
    found = data_of(Path("out"))
    assert found["columns"] == ["smiling", "angry", "angry#2", "blushing"]
    assert [p["id"] for p in found["pictures"]] == [
        f"{row}/{column}" for row in ("zoe", "aria", "mia") for column in found["columns"]
    ]
    lines = (cast / "characters.csv").read_text().splitlines(True)
    (cast / "characters.csv").write_text("".join([lines[0], *reversed(lines[1:])]))
    again = shell("run", "cast", "--store", "other", "--json")
    assert again.json["digest"] == digest
    shell("page", "cast", "--store", "other", "--out", "out")
    rows = dict.fromkeys(picture["row"] for picture in data_of(Path("out"))["pictures"])
    assert list(rows) == ["mia", "aria", "zoe"]


def test_the_order_holds_for_a_proposal_and_for_a_row_that_is_rejected(shell, tmp_path):
    cast = make_catalog(tmp_path / "cast", characters=AS_STORIES_GO, expressions=EXPRESSIONS)
    assert shell("run", "cast").code == 0
    set_cell(cast, "characters", "aria", "seed", "lucky")
    set_cell(cast, "characters", "mia", "appearance", "blue_hair")
    assert shell("run", "cast", "--require-approval").code == 3
    said = shell("page", "cast", "--json").json
    assert said["release"] == "proposal"
    rows = dict.fromkeys(picture["row"] for picture in data_of(Path(said["page"]).parent)["pictures"])
    assert list(rows) == ["zoe", "aria", "mia"]


def test_causes_are_those_of_the_run_that_made_the_version(shell, changed):
    shell("page", "cast", "--out", "out")
    data = data_of(Path("out"))
    told = shell("diff", "cast", "--json").json["differences"]
    for difference in told:
        picture = pictures_of(Path("out"))[difference["id"]]
        assert [data["causes"][at] for at in picture["causes"]] == [
            ["cell", "characters!D2", "silver_hair", "blue_hair"]
        ]
        assert difference["reasons"] == ['characters!D2 "silver_hair" → "blue_hair"']


def test_a_changed_template_is_named_as_the_cause(shell, tmp_path):
    name = "character.xml.j2"
    text = (ROOT / "templates" / name).read_text()
    toml = f'template = "{name}"\n[picture]\nsize = "64x64"\n'
    make_catalog(tmp_path / "cast", toml=toml, templates={name: text})
    assert shell("run", "cast").code == 0
    (tmp_path / "cast" / "templates" / name).write_text(text.replace("<gender>", "<gender>solo, "))
    assert shell("run", "cast").code == 0
    shell("page", "cast", "--out", "out")
    assert {cause[0] for cause in data_of(Path("out"))["causes"]} == {"template"}


def test_thumbnails_are_made_once(shell, changed):
    assert shell("page", "cast", "--json").json["thumbnails_made"] == 6
    set_cell(changed, "characters", "ren", "appearance", "red_hair")
    shell("run", "cast")
    assert shell("page", "cast", "--json").json["thumbnails_made"] == 2


def test_pictures_are_links_that_cost_nothing_and_a_copy_of_the_folder_is_whole(shell, changed):
    shell("page", "cast", "--out", "out")
    picture = pictures_of(Path("out"))["aria/happy"]
    with Store.open(Path("store")) as store:
        digest = shell("show", "cast", "aria/happy", "--json").json["object"]
        assert Path("out", picture["file"]).samefile(Path("store", object_name(digest)))
        data = store.get(digest)
    shutil.make_archive("moved", "zip", "out")
    shutil.unpack_archive("moved.zip", "elsewhere")
    assert Path("elsewhere", picture["file"]).read_bytes() == data


def test_a_page_can_show_the_store_itself(shell, changed):
    shell("page", "cast", "--out", "out", "--pictures", "store")
    assert not Path("out/pictures").exists()
    for picture in pictures_of(Path("out")).values():
        assert Path("out", unquote(picture["file"])).is_file()


def test_a_proposal_is_shown_first_and_says_why_it_differs(shell, cast):
    shell("run", "cast")
    set_cell(cast, "characters", "aria", "appearance", "blue_hair")
    shell("run", "cast", "--require-approval")
    said = shell("page", "cast", "--json").json
    assert said["release"] == "proposal"
    data = data_of(Path(said["page"]).parent)
    assert (data["isProposal"], data["parent"]) == (True, "r000001")
    assert data["causes"] == [["cell", "characters!D2", "silver_hair", "blue_hair"]]
    assert shell("page", "cast@r000001", "--json").json["release"] == "r000001"


def test_what_was_decided_stands_on_the_page_about_those_pixels_only(shell, changed):
    shell("decide", "cast", "approve", "aria/happy", "--by", "mia", "--note", "lovely")
    shell("decide", "cast", "reject", "ren/sad", "--by", "ken")
    shell("page", "cast", "--out", "out")
    found = pictures_of(Path("out"))
    assert {i: p["standing"] for i, p in found.items()} == {
        "aria/happy": "approve", "aria/sad": "", "ren/happy": "", "ren/sad": "reject",
    }  # fmt: skip
    (told,) = found["aria/happy"]["history"]
    assert (told["by"], told["note"], told["decision"]) == ("mia", "lovely", "approve")
    shell("run", "cast")
    shell("page", "cast", "--out", "out")
    assert pictures_of(Path("out"))["ren/sad"]["standing"] == ""


def test_a_damaged_picture_is_named_and_the_others_are_shown(shell, changed):
    digest = shell("show", "cast", "ren/sad", "--json").json["object"]
    place = Path("store", object_name(digest))
    place.chmod(0o644)
    place.write_bytes(b"x" + place.read_bytes()[1:])
    said = shell("page", "cast", "--out", "out", "--json")
    assert said.code == 0
    assert said.json["notes"] == ["1 pictures are damaged or lost (ren/sad); `newbie run` makes them again"]
    found = pictures_of(Path("out"))
    assert "is damaged" in found["ren/sad"]["problem"]
    assert "thumb" not in found["ren/sad"] and "thumb" in found["ren/happy"]


def test_damaged_decisions_are_named_and_the_pictures_are_shown(shell, changed):
    shell("decide", "cast", "approve", "aria/happy", "--by", "mia")
    shell("decide", "cast", "approve", "aria/sad", "--by", "mia")
    journal = Path("store/decisions/cast/journal.jsonl")
    journal.write_bytes(journal.read_bytes().replace(b"mia", b"eve", 1))
    said = shell("page", "cast", "--out", "out", "--json")
    assert said.code == 0
    assert "the decisions are not shown" in said.json["notes"][0]


def test_a_removed_picture_is_shown_as_it_was(shell, cast):
    shell("run", "cast")
    file = cast / "characters.csv"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if not line.startswith("ren")))
    assert shell("run", "cast", "--allow-shrink").code == 0
    shell("page", "cast", "--out", "out")
    gone = pictures_of(Path("out"))["ren/sad"]
    assert gone["state"] == "removed" and "pixels" not in gone
    assert Path("out", gone["before"]["file"]).is_file()


def test_a_page_is_replaced_and_nothing_else_is(shell, changed):
    shell("page", "cast", "--out", "out")
    Path("out/old.txt").write_text("left by somebody")
    assert shell("page", "cast", "--out", "out").code == 0
    assert not Path("out/old.txt").exists()
    Path("mine").mkdir()
    Path("mine/index.html").write_text("<title>my own page</title>")
    said = shell("page", "cast", "--out", "mine", "--json")
    assert (said.code, said.json["error"]["code"]) == (1, "E_PAGE_PLACE")
    assert Path("mine/index.html").read_text() == "<title>my own page</title>"
    assert not list(Path().glob(".*.part")) and not list(Path().glob(".*.old"))


def test_a_run_makes_the_page_where_it_is_asked_to(shell, cast, monkeypatch):
    assert shell("run", "cast", "--json").json["page"] is None
    assert not list(Path("store/views").rglob("index.html"))
    monkeypatch.setenv("NEWBIE_PAGES_URL", "https://art.example.org")
    page = shell("run", "cast", "--page", "--json").json["page"]
    assert page == {
        "file": "store/views/cast/r000001/page/index.html",
        "url": "https://art.example.org/cast/r000001/page/index.html",
        "error": None,
    }
    set_cell(cast, "characters", "ren", "appearance", "red_hair")
    said = shell("run", "cast", "--page", "--require-approval")
    assert "page     store/views/cast/proposal/page/index.html" in said.out
    assert data_of(Path("store/views/cast/proposal/page"))["isProposal"]
    assert shell("verify", "--json").code == 0


def test_without_a_name_the_only_set_is_meant(shell, changed):
    assert shell("page", "--json").json["catalog"] == "cast"
    shutil.copytree("cast", "more")
    shell("run", "more")
    said = shell("page", "--json")
    assert said.code == 2
    assert "2 sets (cast, more); name one" in said.json["error"]["message"]


def test_every_file_of_the_script_stands_in_the_page_and_is_short(shell, changed):
    files = sorted(WORDS_FILE.with_name("script").glob("*.js"))
    assert {file.stem for file in files} == set(SCRIPTS)
    shell("page", "cast", "--out", "out")
    html = Path("out/index.html").read_text(encoding="utf-8")
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert text in html
        assert text.count("\n") < 250


@pytest.fixture
def rerolled(shell, cast):
    """The set "cast" after a reroll of aria/happy and the run that made its three candidates."""
    assert shell("run", "cast").code == 0
    assert shell("decide", "cast", "reroll", "aria/happy", "--count", "3").code == 0
    assert shell("run", "cast").code == 0
    return cast


def test_candidates_stand_on_the_page_with_their_seeds(shell, rerolled):
    for files in ("link", "store"):
        assert shell("page", "cast", "--out", "out", "--pictures", files).code == 0
        found = pictures_of(Path("out"))
        listed = shell("candidates", "cast", "--json").json["candidates"]
        told = found["aria/happy"]["candidates"]
        assert [(c["number"], c["seed"], c["pixels"]) for c in told] == [
            (c["number"], c["seed"], c["pixels"]) for c in listed
        ]
        assert told[0]["pixels"] == found["aria/happy"]["pixels"] != told[1]["pixels"]
        for candidate in told:
            assert Path("out", unquote(candidate["file"])).is_file()
            assert Path("out", candidate["thumb"]).is_file()
        assert [i for i, picture in found.items() if "candidates" in picture] == ["aria/happy"]
    assert shell("choose", "cast", "aria/happy", "2").code == 0
    shell("page", "cast", "--out", "out")
    chosen = pictures_of(Path("out"))["aria/happy"]
    assert "candidates" not in chosen and chosen["standing"] == "choose"


def test_a_file_chooses_a_candidate_once_and_only_the_one_that_was_seen(shell, rerolled):
    _, second, third = shell("candidates", "cast", "--json").json["candidates"]
    row = {"id": "aria/happy", "version": "r000002", "decision": "choose", "candidate": 2}

    def decide(**changes: object) -> tuple[int, dict]:
        Path("d.json").write_text(json.dumps([row | changes]))
        said = shell("decide", "cast", "--file", "d.json", "--json")
        return said.code, said.json

    code, told = decide(pixels=third["pixels"])
    assert (code, told["refused"][0]["code"]) == (2, "E_DECISION_CHANGED")
    code, told = decide(candidate=7)
    assert "candidate 7 is not there; there are 1, 2, 3" in told["refused"][0]["reason"]
    number = row.pop("candidate")
    code, told = decide()
    assert "says no candidate; add it" in told["refused"][0]["reason"]
    row["candidate"] = number
    code, told = decide(candidate=True)
    assert '"candidate" is no whole number from 1 to 64' in told["refused"][0]["reason"]
    code, told = decide(pixels=second["pixels"], note="her smile", by="mia")
    assert (code, told["taken"][0]["seed"], told["taken"][0]["note"]) == (0, second["seed"], "her smile")
    code, told = decide(pixels=second["pixels"])
    assert (code, told["taken"], len(told["already"])) == (0, [], 1)
    shell("run", "cast")
    assert shell("show", "cast", "aria/happy", "--json").json["pixels"] == second["pixels"]


def test_a_transparent_picture_has_a_transparent_thumbnail():
    picture = Image.new("RGBA", (400, 600), (200, 30, 30, 0))
    picture.paste((20, 120, 200, 255), (100, 100, 300, 500))
    thumbnail = make_thumbnail(encode_png(picture))
    assert (thumbnail.suffix, thumbnail.width, thumbnail.height) == ("webp", 200, 300)
    with Image.open(io.BytesIO(thumbnail.data)) as shown:
        assert shown.getpixel((5, 5))[3] == 0 and shown.getpixel((100, 150))[3] == 255


@pytest.mark.parametrize("size", [(64, 64), (192, 192), (305, 458), (512, 768), (640, 384), (1024, 1536)])
def test_thumbnails_are_about_as_large_as_their_place(size):
    thumbnail = make_thumbnail(encode_png(Image.new("RGB", size, (90, 140, 200))))
    scale = max(thumbnail.width / THUMB_WIDTH, thumbnail.height / THUMB_HEIGHT)
    assert thumbnail.suffix == "jpg"
    assert scale <= 1.76
    assert scale >= 0.74 or (thumbnail.width, thumbnail.height) == size
    assert thumbnail.width / thumbnail.height == pytest.approx(size[0] / size[1], rel=0.03)


def test_open_shows_it_in_the_browser(shell, changed, monkeypatch):
    shown = []

    class Browser(webbrowser.BaseBrowser):
        """Notes what it is asked to show."""

        def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
            shown.append(url)
            return True

    webbrowser.register("noting", None, Browser(), preferred=True)
    try:
        assert shell("page", "cast", "--out", "out", "--open").code == 0
    finally:
        webbrowser._tryorder.remove("noting")
        del webbrowser._browsers["noting"]
    assert shown == [Path("out/index.html").resolve().as_uri()]


@pytest.mark.parametrize(
    "post", ["https://elsewhere.example/x", "//elsewhere.example", "/a;script-src *", "x"]
)
def test_decisions_are_sent_to_the_page_s_own_server_only(shell, changed, post):
    said = shell("page", "cast", "--post", post, "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "E_PAGE_POST")


def test_embedded_data_ends_no_element_and_no_line():
    awkward = {"x": "</script><!--\u2028\u2029&\"'\\"}
    text = embedded(awkward)
    assert not set("<>&\u2028\u2029\n") & set(text)
    assert json.loads(text) == awkward


def test_the_page_speaks_both_languages_and_says_nothing_else():
    spoken = json.loads(WORDS_FILE.read_text(encoding="utf-8"))
    assert spoken["en"].keys() == spoken["zh"].keys()
    for key, text in spoken["en"].items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", spoken["zh"][key])), key
    script = page_script()
    markup = WORDS_FILE.with_name("page.html.j2").read_text(encoding="utf-8")
    used = {
        *re.findall(r'\bt\("(\w+)"', script),
        *re.findall(r'data-(?:t|label|placeholder)="(\w+)"', markup),
    }
    assert used <= spoken["en"].keys()


def test_the_script_never_writes_markup():
    script = page_script()
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert sink not in script


def test_the_script_is_valid_where_node_can_say_so(tmp_path):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    file = tmp_path / "page.js"
    file.write_text(page_script(), encoding="utf-8")
    assert subprocess.run(["node", "--check", str(file)], capture_output=True).returncode == 0


def test_the_commands_of_the_document_work_in_their_order(shell, changed):
    text = DOCUMENT.read_text(encoding="utf-8")
    lines = [
        line for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()
    ]
    assert len(lines) >= 4
    Path("cast-r000002-decisions.json").write_text(
        '{"set": "cast", "decisions": [{"id": "aria/happy", "version": "r000002", "decision": "reject"}]}'
    )
    for line in lines:
        words = shlex.split(line, comments=True)
        assert words[0] == "newbie"
        assert shell(*words[1:]).code == 0, line
