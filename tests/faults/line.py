"""The production line as its operator has it: the command, a small catalog, and what must hold after any fault."""

import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newbie_core.cli import main
from tests import preloaded

REPOSITORY = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "newbie_core.cli")
PICTURES = 24
IN_FLIGHT = 32
"""What `generation` lets be between engine and disk."""

_STDOUT = threading.Lock()

CATALOG = """\
name = "{name}"
pictures = ["characters", "expressions"]

[picture]
size = "64x64"

[engine]
name = "sketch"
"""
CHARACTERS = [
    'aria,Aria,1girl,"silver_hair, long_hair, blue_eyes",serafuku',
    'ren,Ren,1boy,"black_hair, short_hair, green_eyes",black_blazer',
    'mika,Mika,1girl,"red_hair, twintails, yellow_eyes",yellow_hoodie',
    'taro,Taro,1boy,"brown_hair, short_hair",white_shirt',
    'yuki,Yuki,1girl,"white_hair, long_hair, red_eyes",red_kimono',
    'sora,Sora,1girl,"blue_hair, blue_eyes",serafuku',
]
EXPRESSIONS = ["happy,smile", "sad,crying", "angry,angry", "calm,expressionless"]


def make_catalog(folder: Path, *, name: str = "cast", characters: int = 6, expressions: int = 4) -> Path:
    """A catalog of characters x expressions, 64x64; beyond six characters they repeat in other colours."""
    folder.mkdir(parents=True)
    (folder / "catalog.toml").write_text(CATALOG.format(name=name))
    rows = CHARACTERS[:characters] + [f"c{n},C{n},1girl,,serafuku" for n in range(6, characters)]
    (folder / "characters.csv").write_text("\n".join(["id,name,gender,appearance,clothing", *rows]) + "\n")
    (folder / "expressions.csv").write_text("\n".join(["id,expression", *EXPRESSIONS[:expressions]]) + "\n")
    return folder


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        value: dict[str, Any] = json.loads(self.out)
        return value


def start(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    command: Sequence[str] = COMMAND,
    cwd: Path = REPOSITORY,
) -> subprocess.Popen[str] | preloaded.Process:
    """The command as a process of its own; the plain one is a copy of a process that has its imports (`preloaded`)."""
    if command == COMMAND and not prefix:
        return preloaded.opened(*arguments, cwd=cwd, **(env or {}))
    return subprocess.Popen(
        [*prefix, *command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
    )


def end(process: subprocess.Popen[str] | preloaded.Process, *, timeout: float = 120) -> Ended:
    """Wait for a process that was started."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return Ended(process.returncode, out, err)


def process(*arguments: str | Path, **how: Any) -> Ended:
    """A command in a process of its own, waited for."""
    return end(start(*arguments, **how))


def here(*arguments: str | Path) -> Ended:
    """The same command line inside this process, where the test kills nothing: ten times as quick."""
    out, err = io.StringIO(), io.StringIO()
    with _STDOUT, redirect_stdout(out), redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Ended(code, out.getvalue(), err.getvalue())


def two_at_a_time(work: Callable[[Any], Any], cases: Iterable[Any]) -> list[Any]:
    """The results of `work` on both cores; the first failure is raised."""
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(work, case) for case in cases]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def copy_store(store: Path, to: Path) -> Path:
    """A copy with its hard links, as `cp -a` makes it."""
    shutil.rmtree(to, ignore_errors=True)
    subprocess.run(["cp", "-a", store, to], check=True)
    return to


# What the store must be after any fault, told without the product's own code


def broken_objects(store: Path) -> list[str]:
    """Objects whose bytes do not hash to their name."""
    return [
        str(path)
        for path in (store / "objects").glob("*/*")
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.parent.name + path.name
    ]


def payload(path: Path) -> dict[str, Any]:
    """A sealed record, checked."""
    head, _, body = path.read_bytes().partition(b"\n")
    assert head.split()[1].decode() == hashlib.sha256(body).hexdigest(), f"{path} is torn"
    value: dict[str, Any] = json.loads(body)
    return value


def an_object(store: Path, digest: str) -> bytes:
    """The bytes of an object, checked."""
    data = (store / "objects" / digest[:2] / digest[2:]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == digest
    return data


def latest(store: Path, name: str = "cast") -> str | None:
    """The digest of the release LATEST names, every part of it read; None when there is none."""
    path = store / "refs" / name / "LATEST"
    if not path.exists():
        return None
    record = payload(path)
    assert payload(store / "releases" / name / record["name"])["manifest"] == record["manifest"]
    manifest = json.loads(an_object(store, record["manifest"]))
    assert manifest["content"] == record["digest"]
    an_object(store, manifest["content"])
    for line in an_object(store, manifest["objects"]).splitlines():
        digest, size = json.loads(line)
        assert len(an_object(store, digest)) == size
    digest: str = record["digest"]
    return digest


def require_sound(store: Path, *, allowed: Iterable[str | None], name: str = "cast") -> None:
    """The oracle after every fault: LATEST is one of `allowed` and whole, nothing published is damaged."""
    if not (store / "format.json").exists():
        assert not list((store / "releases").glob("*/*")) if store.exists() else True
        return
    assert broken_objects(store) == []
    assert latest(store, name) in set(allowed)
    found = here("verify", "--store", store, "--json")
    assert found.code == 0, found.out + found.err
    assert found.json["ok"]


def temporaries(store: Path) -> list[str]:
    """What lies in tmp/ besides its lock, and half-made views."""
    left = [str(path) for path in (store / "tmp").glob("*") if path.name != "lock"]
    return left + [str(path) for path in (store / "views").glob("*/.*")]


def view_names(store: Path, name: str = "cast") -> dict[str, str]:
    """Every file of the view of the release that counts, with the digest of its bytes."""
    folder = store / "views" / name / payload(store / "refs" / name / "LATEST")["name"]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def pictures_of(view: Mapping[str, str]) -> dict[str, str]:
    """The pictures of a view, its pages left out."""
    return {name: digest for name, digest in view.items() if name.startswith("pictures/")}


def remembered(store: Path) -> int:
    """Pictures the store knows as made."""
    return sum(1 for _ in (store / "actions").glob("*/*"))


def require_converges(
    store: Path, catalog: Path, reference: "Reference", *, run: Callable[..., Ended] = process
) -> Ended:
    """A clean run after any fault: exit 0, the reference's digest, nothing of dead writers, a whole view."""
    known = remembered(store)
    ended = run("run", catalog, "--store", store, "--json")
    assert ended.code == 0, ended.out + ended.err
    assert ended.json["digest"] == reference.digest
    assert ended.json["generated"] <= reference.pictures - known
    assert temporaries(store) == []
    assert pictures_of(view_names(store)) == reference.view
    require_sound(store, allowed=[reference.digest])
    return ended


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: what every disturbed one must come to."""

    catalog: Path
    store: Path
    digest: str
    view: Mapping[str, str]
    seconds: float
    pictures: int


def make_reference(catalog: Path, store: Path) -> Reference:
    """Run the catalog undisturbed, in a process of its own."""
    began = time.monotonic()
    ended = process("run", catalog, "--store", store, "--json")
    seconds = time.monotonic() - began
    assert ended.code == 0, ended.out + ended.err
    report = ended.json
    return Reference(
        catalog=catalog,
        store=store,
        digest=report["digest"],
        view=pictures_of(view_names(store)),
        seconds=seconds,
        pictures=report["generated"],
    )


def dice(*seed: object) -> random.Random:
    """Random numbers that a failing round can be repeated with."""
    return random.Random(repr(seed))


def release_number(report: Mapping[str, Any]) -> int:
    """The number of the release a report names."""
    match = re.fullmatch(r"r(\d+)", report["release"])
    assert match
    return int(match[1])
