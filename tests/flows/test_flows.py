"""The flows against a real Prefect server."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from newbie_core.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def catalogs(tmp_path: Path) -> Path:
    """The example catalogs, small and drawn, where a test may change them."""
    folder = tmp_path / "catalogs"
    shutil.copytree(ROOT / "catalogs", folder)
    for settings in folder.glob("*/catalog.toml"):
        text = (
            settings.read_text()
            .replace('size = "192x192"', 'size = "64x64"')
            .replace('name = "newbie"', 'name = "sketch"')
            .replace('size = "640x384"', 'size = "96x64"')
        )
        settings.write_text(text)
    sizes = folder / "brand" / "sizes.csv"
    sizes.write_text(
        "id,size,composition\navatar,64x64,portrait\ncard,64x96,upper_body\nposter,96x64,full_body\n"
    )
    return folder


@pytest.mark.usefixtures("prefect_server")
def test_the_expression_set_flow_publishes_every_cell_of_the_matrix(catalogs, tmp_path):
    from flows.expression_set import expression_set

    expressions = catalogs / "expressions"
    settings = (ROOT / "catalogs" / "expressions" / "catalog.toml").read_text()
    (expressions / "catalog.toml").write_text(settings.replace("steps = 20", "steps = 2"))
    report = expression_set(catalog=str(expressions), store=str(tmp_path / "store"))
    assert report["release"] == "r000001"
    assert report["generated"] >= 48
    with Image.open(Path(report["view"]) / "pictures" / "aria" / "happy.png") as picture:
        assert picture.size == (192, 192)
        assert "NextDiT 192x6" in str(picture.info)  # the small model made it


@pytest.mark.usefixtures("prefect_server")
def test_a_flow_and_the_shell_publish_the_same_digest(catalogs, tmp_path, capsys):
    from flows.brand_catalog import brand_catalog

    flowed = brand_catalog(catalog=str(catalogs / "brand"), store=str(tmp_path / "flow"))
    assert main(["run", str(catalogs / "brand"), "--store", str(tmp_path / "shell"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == flowed["digest"]


@pytest.mark.usefixtures("prefect_server")
def test_a_night_makes_every_set_and_the_next_one_nothing(catalogs, tmp_path):
    from flows.nightly import nightly

    first = nightly(catalogs=str(catalogs), store=str(tmp_path / "store"))
    assert sorted(report["catalog"] for report in first) == ["brand", "school-cast", "storyboard"]
    second = nightly(catalogs=str(catalogs), store=str(tmp_path / "store"))
    assert [report["generated"] for report in second] == [0, 0, 0]
    assert [report["digest"] for report in second] == [report["digest"] for report in first]


@pytest.mark.usefixtures("prefect_server")
def test_a_night_ends_with_the_page_of_each_version(catalogs, tmp_path):
    from prefect.client.orchestration import get_client

    from flows.nightly import nightly

    for name in ("brand", "expressions"):
        shutil.rmtree(catalogs / name)
    settings = catalogs / "storyboard" / "catalog.toml"
    hook = ["sh", "-c", f"cat > {tmp_path / 'told.json'}"]
    settings.write_text(f"{settings.read_text()}\n[hook]\ncommand = {json.dumps(hook)}\n")
    (report,) = nightly(catalogs=str(catalogs), store=str(tmp_path / "store"))
    page = tmp_path / "store" / "views" / "storyboard" / "r000001" / "page" / "index.html"
    assert report["page"] == {"file": str(page), "url": page.as_uri(), "error": None}
    assert 'name="generator" content="newbie page"' in page.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "told.json").read_text())["report"]["page"] == report["page"]
    with get_client(sync_client=True) as client:
        shown = client.read_artifacts()
    linked = f"[storyboard r000001: look and decide]({page.as_uri()})"
    assert linked in [a.data for a in shown if a.key == "storyboard-page"]
    assert any(a.key == "night-summary" and page.as_uri() in a.data for a in shown)


@pytest.mark.usefixtures("prefect_server")
def test_a_page_that_fails_fails_no_night_and_none_is_made_unasked(catalogs, tmp_path):
    from flows.nightly import nightly

    for name in ("brand", "expressions"):
        shutil.rmtree(catalogs / name)
    where = {"catalogs": str(catalogs), "store": str(tmp_path / "store")}
    (report,) = nightly(**where, page=False)
    view = Path(report["view"])
    assert report["page"] is None and not (view / "page").exists()
    (view / "page").mkdir()
    (view / "page" / "mine.txt").write_text("somebody's own")
    (report,) = nightly(**where)
    assert report["exit_code"] == 0 and report["page"]["file"] is None
    assert "something else than a page stands there" in report["page"]["error"]
    assert any(note.startswith("there is no page: ") for note in report["notes"])
    assert (view / "page" / "mine.txt").is_file()


@pytest.mark.usefixtures("prefect_server")
def test_a_set_that_fails_does_not_stop_the_others(catalogs, tmp_path):
    from flows.nightly import NightError, nightly

    (catalogs / "brand" / "catalog.toml").write_text("pictures = [\n")
    with pytest.raises(NightError, match=r"1 of 3 sets failed: brand"):
        nightly(catalogs=str(catalogs), store=str(tmp_path / "store"))
    assert main(["show", "storyboard", "--store", str(tmp_path / "store")]) == 0
    assert main(["show", "school-cast", "--store", str(tmp_path / "store")]) == 0


@pytest.mark.usefixtures("prefect_server")
def test_pictures_that_fail_make_a_failed_run_but_the_others_are_published(catalogs, tmp_path):
    from flows.image_set import image_set
    from newbie_core.errors import PictureError

    with pytest.raises(PictureError, match="1 pictures of storyboard failed"):
        image_set(
            str(catalogs / "storyboard"),
            store=str(tmp_path / "store"),
            engine="tests.flows.flaky_engine:FlakyEngine",
        )
    assert main(["show", "storyboard", "--store", str(tmp_path / "store")]) == 0


def test_every_entrypoint_of_prefect_yaml_is_a_flow():
    from prefect import Flow

    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert {deployment["name"] for deployment in deployments} >= {
        "nightly",
        "expression-set",
        "brand-catalog",
    }
    for deployment in deployments:
        file, _, name = deployment["entrypoint"].partition(":")
        flow = getattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), name)
        assert isinstance(flow, Flow)
        assert set(deployment["parameters"]) <= set(flow.parameters.properties)


def test_the_night_has_a_time_zone_and_never_overlaps_itself():
    nightly = next(
        d
        for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
        if d["name"] == "nightly"
    )
    assert nightly["schedules"][0]["cron"] and nightly["schedules"][0]["timezone"]
    assert nightly["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}


def test_the_line_is_imported_without_prefect(tmp_path):
    (tmp_path / "prefect.py").write_text("raise ImportError('the shell asked for Prefect')\n")
    run = subprocess.run(
        [sys.executable, "-m", "newbie_core.cli", "check", str(ROOT / "catalogs" / "storyboard")],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
