"""How long the page of a release takes: to build, and to open in a browser.

`python -m benchmarks.page` (some minutes, most of them for making the release once). 2,000 pictures of
512x768, each with its own pixels; the page built with every thumbnail to make, with all of them known,
and with 100 pictures changed. Then headless Chromium opens it from disk: its first contentful paint, and the
longest task of its main thread while all pictures are scrolled by, in CPU time, which other work does not lengthen.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from benchmarks.png import drawing
from benchmarks.report import Report, Value, command, verdict
from benchmarks.shell import python
from newbie_core.errors import PictureError
from newbie_core.plans import Capabilities, EngineIdentity, Job

PAGE_ENGINE = "benchmarks.page:PageEngine"
CHARACTERS, EXPRESSIONS = 100, 20
WIDTH, HEIGHT = 512, 768
REPEATS = 3
TARGET_BUILD, TARGET_MEGABYTES, TARGET_PAINT, TARGET_TASK = 10.0, 40.0, 1.0, 50.0
CHROMIUM = Path("/usr/bin/chromium")
_SCROLL = """async () => {
  const board = document.querySelector("main"), frame = () => new Promise(requestAnimationFrame);
  for (let at = 0; at < board.scrollHeight; at += 300) {
    board.scrollTop = at;
    await frame(); await frame();
  }
}"""
_MAIN_THREAD = "CrRendererMain"


class PageEngine:
    """One drawing, tinted and shifted by the job's seed, so that every picture and thumbnail is its own."""

    def __init__(self) -> None:
        self._base = drawing().resize((WIDTH, HEIGHT))

    def identity(self) -> EngineIdentity:
        """Nothing but a name."""
        return EngineIdentity(name="page", parts={"algorithm": "1"})

    def capabilities(self) -> Capabilities:
        """One size."""
        return Capabilities(size_step=8, smallest_side=WIDTH, largest_side=HEIGHT, trained=False, options={})

    def environment(self) -> Mapping[str, str]:
        """Nothing that could matter."""
        return {"machine": "none"}

    def pictures(self, jobs: Sequence[Job]) -> Iterator[Image.Image | PictureError]:
        """The drawing with a coloured field of the job's own."""
        for job in jobs:
            picture = self._base.copy()
            colour = (job.seed & 0xFF, job.seed >> 8 & 0xFF, job.seed >> 16 & 0xFF)
            picture.paste(colour, (0, 0, WIDTH, 64 + (job.seed >> 24) % 256))
            yield picture

    def close(self) -> None:
        """Nothing is held."""


def make_cast(folder: Path, *, changed: int = 0) -> Path:
    """Characters x expressions; `changed` of the characters look otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    size = f'size = "{WIDTH}x{HEIGHT}"'
    (folder / "catalog.toml").write_text(f'pictures = ["characters", "expressions"]\n[picture]\n{size}\n')
    people = (
        f"c{n:03d},Character {n},1girl,{'red' if n < changed else 'blue'}_hair" for n in range(CHARACTERS)
    )
    (folder / "characters.csv").write_text("\n".join(["id,name,gender,appearance", *people, ""]))
    faces = (f"e{n:02d},smile" for n in range(EXPRESSIONS))
    (folder / "expressions.csv").write_text("\n".join(["id,expression", *faces, ""]))
    return folder


def build(what: str, catalog: Path, store: Path, out: Path, *, repeats: int = 1) -> dict[str, Value]:
    """`newbie page` as a process of its own; the median of its seconds, and what lies in the folder."""
    words = ["page", str(catalog), "--store", str(store), "--out", str(out), "--json"]
    took = [python("-m", "newbie_core.cli", *words) for _ in range(repeats)]
    files = [
        file
        for file in out.rglob("*")
        if file.is_file() and file.parts[len(out.parts)] not in ("pictures", "before")
    ]
    return {
        "page": what,
        "pictures": CHARACTERS * EXPRESSIONS,
        "wall s": round(statistics.median(one.wall for one in took), 2),
        "CPU s": round(statistics.median(one.cpu for one in took), 2),
        "peak MB": round(max(one.memory for one in took)),
        "MB beside": round(sum(file.stat().st_size for file in files) / 1e6, 2),
    }


def opened(index: Path) -> dict[str, float] | None:
    """What headless Chromium measures; None where it or playwright is missing. Milliseconds."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if not CHROMIUM.exists():
        return None
    paints, tasks = [], []
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        for _ in range(REPEATS):
            page = browser.new_page(viewport={"width": 1360, "height": 860})
            page.goto(index.as_uri())
            page.wait_for_selector(f".line.row:nth-child({CHARACTERS})", state="attached")
            page.wait_for_timeout(500)
            entry = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            paints.append(float(page.evaluate(entry)))
            browser.start_tracing(page=page, categories=["toplevel"])
            page.evaluate(_SCROLL)
            tasks.append(longest_task(browser.stop_tracing()))
            page.close()
        browser.close()
    return {"paint": statistics.median(paints), "task": statistics.median(tasks)}


def longest_task(trace: bytes) -> float:
    """The longest task of a renderer's main thread in a trace, in milliseconds of CPU time."""
    events = json.loads(trace)["traceEvents"]
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == _MAIN_THREAD
    }
    durations = (event.get("tdur", 0) for event in events if (event["pid"], event["tid"]) in mains)
    return max(durations, default=0) / 1000


def measure() -> Report:
    """Build the page three ways, then open it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        catalog, store, out = make_cast(place / "cast"), place / "store", place / "page"
        run: list[str | Path] = ["run", catalog, "--engine", PAGE_ENGINE]
        run_line(run, store)
        rows = [
            build("every thumbnail made", catalog, store, out),
            build("all known", catalog, store, out, repeats=REPEATS),
        ]
        make_cast(catalog, changed=5)
        run_line(run, store)
        rows.append(build("100 changed", catalog, store, out))
        found = opened(out / "index.html")
    told = [verdict(str(row["page"]), float(row["wall s"]), TARGET_BUILD, "s") for row in rows]
    told.append(verdict("beside the pictures", float(rows[-1]["MB beside"]), TARGET_MEGABYTES, "MB"))
    if found is None:
        told.append("not opened: playwright or /usr/bin/chromium is missing")
    else:
        told.append(verdict("first contentful paint", found["paint"] / 1000, TARGET_PAINT, "s"))
        told.append(verdict("longest task while scrolling", found["task"], TARGET_TASK, "ms"))
    return Report(title=f"The page of a release: {WIDTH}x{HEIGHT} pictures", rows=rows, verdicts=told)


def run_line(words: Sequence[str | Path], store: Path) -> None:
    """One command on this module's engine."""
    python("-m", "newbie_core.cli", *map(str, words), "--store", str(store), "--json")


if __name__ == "__main__":
    command(measure, __doc__)
