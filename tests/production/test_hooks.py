"""A run tells a webhook and a command how it ended; what goes wrong there stops nothing."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from newbie_core.errors import SheetError
from newbie_core.production.hooks import signature
from newbie_core.store import Store
from tests.catalogs.building import SMALL, make_catalog
from tests.releases.building import run

SECRET = "s3cret-of-the-test"


class Listener(HTTPServer):
    """A server that keeps what it was told; `answer` is its status, `delay` how long it thinks."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Told)
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.answer, self.delay = 200, 0.0

    def handle_error(self, *_: object) -> None:
        """A client that gave up is what some tests are about."""


class Told(BaseHTTPRequestHandler):
    """Keeps a request."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append((dict(self.headers), body))
        time.sleep(self.server.delay)
        self.send_response(self.server.answer)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listener():
    with Listener() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store", durable=False) as made:
        yield made


def catalog_with(tmp_path, hook: str):
    return make_catalog(tmp_path / "cast", toml=f"{SMALL}[hook]\n{hook}\n", characters="id,name\na,A\n")


def url_of(listener) -> str:
    return f"http://127.0.0.1:{listener.server_port}/hook"


def test_a_run_is_told_to_url_and_command_signed(tmp_path, store, listener, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    script = "import os, pathlib, sys; pathlib.Path('told.json').write_bytes(sys.stdin.buffer.read()); "
    script += "assert 'HOOK_SECRET' not in os.environ"
    monkeypatch.chdir(tmp_path)
    command = json.dumps([sys.executable, "-c", script])
    hook = f'url = "{url_of(listener)}"\nsecret = "HOOK_SECRET"\ncommand = {command}'
    report = run(catalog_with(tmp_path, hook), store)
    assert report.exit_code == 0 and not [note for note in report.notes if "hook" in note]
    [(headers, body)] = listener.told
    assert headers["X-Newbie-Signature-256"] == f"sha256={signature(SECRET, body)}"
    summary = json.loads(body)
    assert (summary["event"], summary["set"]) == ("published", "cast")
    assert summary["report"]["digest"] == report.digest
    assert json.loads((tmp_path / "told.json").read_bytes()) == summary
    assert SECRET.encode() not in body


def test_a_run_that_breaks_off_is_told_too(tmp_path, store, listener):
    catalog = catalog_with(tmp_path, f'url = "{url_of(listener)}"')
    (catalog / "characters.csv").write_text("name\nnobody\n")
    with pytest.raises(SheetError):
        run(catalog, store)
    [(_, body)] = listener.told
    assert json.loads(body)["event"] == "failed"
    assert json.loads(body)["report"]["error"]["exit_code"] == 2


@pytest.mark.parametrize("answer, said", [(500, "answered 500"), (302, "answered 302")])
def test_a_refusal_is_reported_and_redirects_are_not_followed(tmp_path, store, listener, answer, said):
    listener.answer = answer
    report = run(catalog_with(tmp_path, f'url = "{url_of(listener)}"'), store)
    assert (report.exit_code, report.is_new, len(listener.told)) == (0, True, 1)
    assert any(said in note for note in report.notes)


def test_a_hook_that_takes_too_long_is_left(tmp_path, store, listener):
    listener.delay = 3.0
    command = json.dumps([sys.executable, "-c", "import time; time.sleep(60)"])
    report = run(
        catalog_with(tmp_path, f'url = "{url_of(listener)}"\ncommand = {command}\ntimeout = 1'), store
    )
    assert report.is_new
    assert [note for note in report.notes if "within 1 s" in note or "TimeoutError" in note]
    assert [note for note in report.notes if "took longer than 1 s" in note]


def test_without_its_secret_nothing_is_sent_and_no_secret_is_ever_told(
    tmp_path, store, listener, monkeypatch
):
    hook = f'url = "{url_of(listener)}"\nsecret = "HOOK_SECRET"'
    report = run(catalog_with(tmp_path, hook), store)
    assert listener.told == []
    assert any("the environment has no HOOK_SECRET" in note for note in report.notes)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    command = json.dumps([sys.executable, "-c", f"import sys; sys.exit('it is {SECRET}')"])
    report = run(catalog_with(tmp_path, f'secret = "HOOK_SECRET"\ncommand = {command}'), store)
    assert any("it is (secret)" in note for note in report.notes)
    assert SECRET not in json.dumps(report.record())


def test_a_url_in_the_environment_must_be_http_too(tmp_path, store, monkeypatch):
    target = tmp_path / "target"
    target.write_text("private")
    monkeypatch.setenv("HOOK_URL", target.as_uri())
    report = run(catalog_with(tmp_path, 'url = "$HOOK_URL"'), store)
    assert any("$HOOK_URL is not an http or https URL" in note for note in report.notes)
