"""A morning with the page of a release, in Chromium: look, compare, decide, hand over; and what must not run there."""

from __future__ import annotations

import csv
import functools
import http.server
import io
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from newbie_core.cli import main
from tests.catalogs.building import make_catalog, set_cell

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SLOW = 60_000
"""Milliseconds a browser on a busy machine may take for one step."""

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"),
    pytest.mark.timeout(900),
]

CHARACTERS = """\
id,name,gender,appearance
aria,Aria,1girl,silver_hair
ren,Ren,1boy,black_hair
yuzu,ゆず,1girl,brown_hair
"""
EXPRESSIONS = "id,expression\nangry,angry\nhappy,smile\nsad,frown\nshy,blush\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def visit(browser):
    """Opens a page in a fresh profile; at the end nothing may have gone wrong on it."""
    contexts, wrong = [], []

    def open_page(url: Path | str, **options) -> sync_api.Page:
        options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US"} | options
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(SLOW)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(url if isinstance(url, str) else url.resolve().as_uri())
        page.wait_for_selector(".tile")
        return page

    open_page.wrong = wrong
    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the set "cast" and its page: released twice, aria changed in between, one picture approved."""
    folder = tmp_path_factory.mktemp("released")
    catalog = make_catalog(folder / "cast", characters=CHARACTERS, expressions=EXPRESSIONS)
    store = ["--store", str(folder / "store")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEWBIE_FSYNC", "0")
        assert main(["run", str(catalog), *store]) == 0
        set_cell(catalog, "characters", "aria", "appearance", "blue_hair, twintails")
        assert main(["run", str(catalog), *store]) == 0
        words = ["approve", "yuzu/shy", "--by", "ken", "--note", "keep this"]
        assert main(["decide", "cast", *words, *store]) == 0
        assert main(["page", "cast", "--out", str(folder / "page"), *store]) == 0
    return folder


@pytest.fixture
def released(shell, workplace, tmp_path) -> Path:
    """The page of a copy of the workplace, which is the shell's folder."""
    shutil.copytree(workplace, tmp_path, dirs_exist_ok=True)
    return Path("page/index.html")


def shown(page: sync_api.Page) -> list[str]:
    return [
        name.split(",")[0] for name in page.locator(".tile").evaluate_all("all => all.map(e => e.ariaLabel)")
    ]


def decide_ten(page: sync_api.Page) -> dict[str, str]:
    """Ten decisions by keyboard, over all pictures in their order; the third with a note."""
    keys = dict(zip("arpe", ("approve", "reject", "pin", "reroll"), strict=True))
    decided = {}
    for key, picture_id in zip("aarprearpa", shown(page), strict=False):
        page.keyboard.press("j")
        page.keyboard.press(key)
        decided[picture_id] = keys[key]
        if len(decided) == 3:
            page.keyboard.press("n")
            page.keyboard.type('six "fingers" </script>')
            page.keyboard.press("Escape")
            page.wait_for_selector("#viewer", state="hidden")
    return decided


def download(page: sync_api.Page, by: str) -> Path:
    page.click("#open-basket")
    page.fill("#basket input", by)
    with page.expect_download() as saving:
        page.click("#download")
    file = Path(saving.value.suggested_filename)
    saving.value.save_as(file)
    return file


def test_a_morning_with_a_release(shell, released, visit):
    page = visit(released)
    assert len(shown(page)) == 12
    page.click("[data-choice=changed]")
    assert shown(page) == ["aria/angry", "aria/happy", "aria/sad", "aria/shy"]

    page.locator(".tile").first.click()
    cause = page.locator(".causes li").inner_text()
    assert "characters!D2" in cause and "silver_hair" in cause and "blue_hair, twintails" in cause
    assert page.locator(".prompt ins").count() >= 1
    page.click("[data-mode=slider]")
    page.locator("#viewer input[type=range]").fill("25")
    assert page.locator(".was").evaluate("e => getComputedStyle(e).clipPath") == "inset(0px 75% 0px 0px)"
    page.click("[data-mode=difference]")
    assert page.locator(".now").evaluate("e => getComputedStyle(e).mixBlendMode") == "difference"
    sizes = "all => Promise.all(all.map(e => e.decode().then(() => [e.naturalWidth, e.naturalHeight])))"
    assert page.locator(".stage img").evaluate_all(sizes) == [[64, 64], [64, 64]]
    page.keyboard.press("Escape")

    page.click("[data-choice=all]")
    page.keyboard.press("Tab")
    decided = decide_ten(page)
    assert len(decided) == 10
    page.reload()
    page.wait_for_selector(".mark.draft")
    assert page.locator("#basket-count").inner_text() == "10"
    page.click("[data-choice=rejected]")
    assert shown(page) == [i for i, d in decided.items() if d in ("reject", "reroll")]
    file = download(page, "mia")

    taken = shell("decide", "cast", "--file", file, "--json")
    assert (taken.code, taken.json["refused"]) == (0, [])
    assert {d["id"]: d["decision"] for d in taken.json["taken"]} == decided
    assert {d["by"] for d in taken.json["taken"]} == {"mia"}
    assert {d["note"] for d in taken.json["taken"]} == {"", 'six "fingers" </script>'}
    plan = shell("plan", "cast", "--json").json
    again = {picture_id for picture_id, decision in decided.items() if decision in ("reject", "reroll")}
    assert {change["id"] for change in plan["change"]} == again
    assert {cause["kind"] for change in plan["change"] for cause in change["causes"]} == {"decision"}
    assert (plan["add"], plan["remove"], plan["keep"]) == ([], [], 12 - len(again))
    standing = shell("decisions", "cast", "--json").json
    assert set(standing["pinned"]) == {i for i, d in decided.items() if d == "pin"}
    assert set(standing["approved"]) == {i for i, d in decided.items() if d == "approve"} | {"yuzu/shy"}

    assert shell("page", "cast", "--out", "page").code == 0
    page.reload()
    page.wait_for_selector(".mark")
    assert page.locator("#basket-count").inner_text() == "0"
    assert page.locator(".mark").count() == 11


def test_what_was_decided_before_is_told_with_who_and_why(released, visit):
    page = visit(released)
    page.click("[data-choice=approved]")
    page.locator(".tile").click()
    told = page.locator(".past").inner_text()
    assert "ken" in told and "keep this" in told and "r000002" in told


def test_filters_narrow_by_character_and_by_id(released, visit):
    page = visit(released)
    page.select_option("#character", "ren")
    assert shown(page) == ["ren/angry", "ren/happy", "ren/sad", "ren/shy"]
    page.select_option("#character", "")
    page.fill("#search", "ゆず")
    assert shown(page) == ["yuzu/angry", "yuzu/happy", "yuzu/sad", "yuzu/shy"]
    page.fill("#search", "nobody")
    page.wait_for_selector(".empty")
    page.click(".empty button")
    assert len(shown(page)) == 12


def test_a_served_page_sends_the_same_file(shell, released, visit):
    assert shell("page", "cast", "--out", "page", "--post", "/decisions").code == 0
    received: list[bytes] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        """Serves the folder and keeps what is posted."""

        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory="page")
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = visit(f"http://127.0.0.1:{server.server_port}/index.html")
        page.locator(".tile").first.focus()
        page.keyboard.press("r")
        page.click("#open-basket")
        page.click("#send")
        page.get_by_text("1 decisions sent.").wait_for()
        assert page.locator("#basket-count").inner_text() == "0"
        page.close()
        server.shutdown()
    Path("sent.json").write_bytes(received[0])
    assert shell("decide", "cast", "--file", "sent.json").code == 0


def test_a_candidate_is_chosen_side_by_side(shell, released, visit):
    assert shell("decide", "cast", "reroll", "ren/shy", "--count", "3", "--by", "mia").code == 0
    assert shell("run", "cast").code == 0
    assert shell("page", "cast", "--out", "page").code == 0
    listed = shell("candidates", "cast", "--json").json["candidates"]
    page = visit(released)
    page.click("[data-choice=candidates]")
    assert shown(page) == ["ren/shy"]
    page.locator(".tile").click()
    captions = page.locator(".candidate figcaption").all_inner_texts()
    assert [str(one["seed"]) in text for one, text in zip(listed, captions, strict=True)] == [True] * 3
    assert ["counts now" in text for text in captions] == [True, False, False]
    sizes = "all => Promise.all(all.map(e => e.decode().then(() => [e.naturalWidth, e.naturalHeight])))"
    assert page.locator(".candidate img").evaluate_all(sizes) == [[64, 64]] * 3
    page.click("[data-candidate='2']")
    page.keyboard.press("3")
    assert page.locator("[data-candidate][aria-pressed=true]").get_attribute("data-candidate") == "3"
    page.click("[data-mode=slider]")
    assert page.locator(".sliding").count() == 1
    page.click("[data-mode=candidates]")
    page.keyboard.press("n")
    page.keyboard.type("her eyes")
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer", state="hidden")
    page.reload()
    page.wait_for_selector(".mark.draft.choose")

    taken = shell("decide", "cast", "--file", download(page, "mia"), "--json")
    assert (taken.code, taken.json["refused"]) == (0, [])
    (choice,) = taken.json["taken"]
    assert (choice["decision"], choice["pixels"]) == ("choose", listed[2]["pixels"])
    assert (choice["note"], choice["by"]) == ("her eyes", "mia")
    assert shell("run", "cast").code == 0
    assert shell("show", "cast", "ren/shy", "--json").json["pixels"] == listed[2]["pixels"]
    assert shell("page", "cast", "--out", "page").code == 0
    page.reload()
    page.wait_for_selector(".tile")
    assert page.locator("#basket-count").inner_text() == "0"
    assert page.locator("[data-choice=candidates]").count() == 0


def test_a_proposal_cannot_be_pinned(shell, released, visit, tmp_path):
    set_cell(tmp_path / "cast", "characters", "ren", "appearance", "red_hair")
    shell("run", "cast", "--require-approval")
    assert shell("page", "cast", "--out", "page").code == 0
    page = visit(released)
    page.click("[data-choice=changed]")
    page.locator(".tile").first.click()
    assert page.locator("[data-kind=pin]").is_disabled()
    page.keyboard.press("p")
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer", state="hidden")
    assert shell("decide", "cast", "--file", download(page, "mia")).code == 0


NASTY = [
    "</script><script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 1'>",
    "javascript:window.ran=1",
    "\"' onmouseover=window.ran=1 x='\"",
    "a\u2028b\u2029c",
    "{{ 7 * 7 }}{% raw %}",
]


def test_nothing_in_a_cell_or_a_note_runs(shell, visit, tmp_path):
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["id", "name", "gender", "appearance"])
    table.writerows([f"c{at}", text, "1girl", text] for at, text in enumerate(NASTY))
    for picture_id in ("<b onclick=window.ran=1>", "javascript:window.ran=1"):
        table.writerow([picture_id, "Eve", "1girl", "silver_hair"])
    toml = f'title = {json.dumps(NASTY[0] + NASTY[1])}\n[picture]\nsize = "64x64"\n'
    make_catalog(tmp_path / "cast", toml=toml, characters=out.getvalue(), expressions=EXPRESSIONS)
    assert shell("run", "cast").code in (0, 3)
    for text in NASTY[:4]:
        assert shell("decide", "cast", "approve", "*/sad", "--note", text, "--by", text[:20]).code == 0
    set_cell(tmp_path / "cast", "characters", "c0", "appearance", NASTY[1])
    assert shell("run", "cast").code in (0, 3)
    assert shell("page", "cast", "--out", "page").code == 0

    page = visit(Path("page/index.html"))
    names = page.locator(".side b").all_inner_texts()
    assert NASTY[0] in names and NASTY[1] in names
    page.locator(".tile").first.click()
    count = page.evaluate("JSON.parse(document.getElementById('data').textContent).pictures.length")
    for _ in range(count):
        page.keyboard.press("c")
        page.keyboard.press("j")
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer", state="hidden")
    assert page.evaluate("window.ran") is None
    assert page.locator("script").count() == 2
    assert page.locator("[onclick], [onerror], [onmouseover], [href^=javascript]").count() == 0
    assert visit.wrong == []


def test_the_policy_stops_what_would_slip_through(released, visit):
    page = visit(released)
    page.evaluate("""() => {
        const script = document.createElement('script'), image = document.createElement('img');
        try { script.textContent = 'window.ran = 1'; } catch { /* trusted types refuse it */ }
        try { image.setAttribute('onerror', 'window.ran = 1'); } catch { /* as well */ }
        image.src = 'data:,x';
        document.body.append(script, image);
    }""")
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in text or "TrustedScript" in text for text in visit.wrong)
    visit.wrong.clear()


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(released, visit, locale, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )

    def faults() -> list[tuple[str, str]]:
        found = axe.Axe().run(page).response["violations"]
        return [
            (fault["id"], fault["nodes"][0]["html"])
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]

    page = visit(released, locale=locale, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    assert page.evaluate("document.documentElement.lang") == ("zh-CN" if locale.startswith("zh") else "en")
    page.locator(".tile").first.focus()
    page.keyboard.press("a")
    assert faults() == []
    page.click("[data-choice=grid]")
    page.locator(".tile").first.click()
    for mode in ("slider", "beside"):
        page.click(f"[data-mode={mode}]")
        assert faults() == []
    page.keyboard.press("Escape")
    page.click("#open-basket")
    assert faults() == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    assert faults() == []


def test_the_page_fits_a_phone(released, visit):
    page = visit(released, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator(".tile").first.tap()
    assert page.locator("#viewer").bounding_box()["width"] == 390
    box = page.locator("[data-kind=approve]").bounding_box()
    assert box["height"] >= 44
