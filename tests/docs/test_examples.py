"""Example code in documents and docstrings runs as it stands."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from newbie_core.engines import load_engine
from newbie_core.model import NewBieImagePipeline
from newbie_core.model.tiny import write_tiny
from newbie_core.production import opening
from newbie_core.sheets.starter import write_starter
from newbie_core.store import Store

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks_of_documents() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for number, code in enumerate(
            re.findall(r"^```python\n(.*?)^```", document.read_text(), re.M | re.S)
        ):
            yield f"{document.name}-{number}", code


def examples_of_docstrings() -> Iterator[tuple[str, str]]:
    """Indented blocks that are Python and call something."""
    for path in sorted((ROOT / "newbie_core").rglob("*.py")):
        tree = ast.parse(path.read_text())
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        for node in (node for node in ast.walk(tree) if isinstance(node, documented)):
            text = ast.get_docstring(node) or ""
            for code in re.findall(r"\n\n((?: {4}.*\n(?:\n+(?= {4}))?)+)", text + "\n"):
                if is_code(textwrap.dedent(code)):
                    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                    yield module, textwrap.dedent(code)


def is_code(text: str) -> bool:
    try:
        statements = ast.parse(text).body
    except SyntaxError:
        return False
    return any(isinstance(node, ast.Call) for statement in statements for node in ast.walk(statement))


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small model in `models/`."""
    write_tiny(tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in blocks_of_documents()])
def test_code_in_documents_runs(workplace: Path, code: str) -> None:
    exec(compile(code, "example", "exec"), {})


def test_the_readme_documents_hold_examples() -> None:
    assert len(list(blocks_of_documents())) >= 2


@pytest.mark.parametrize("module, code", [pytest.param(m, c, id=m) for m, c in examples_of_docstrings()])
def test_code_in_docstrings_runs(workplace: Path, module: str, code: str) -> None:
    names = dict(vars(importlib.import_module(module)))
    if module == opening.__name__:
        (workplace / "cast.csv").write_text("id,gender,size\naria,1girl,64x64\n")
        root = workplace / "store"
        names |= {
            "path": workplace / "cast.csv",
            "root": root,
            "store": Store.open(root),
            "load_engine": load_engine,
        }
    if module.startswith("newbie_core.sheets"):
        write_starter(workplace / "cast.xlsx")
    if module.startswith("newbie_core.model.adapters"):
        names["transformer"] = NewBieImagePipeline.from_pretrained("models").stages.transformer
        write_adapter(workplace / "loras" / "miko")
    exec(compile(code, module, "exec"), names)


def write_adapter(folder: Path) -> None:
    """A LoRA of the small model's first attention, as a trainer writes it."""
    folder.mkdir(parents=True)
    module = "base_model.model.layers.0.attention.out"
    factors = {f"{module}.lora_A.weight": torch.ones(2, 96), f"{module}.lora_B.weight": torch.ones(96, 2)}
    save_file(factors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["attention.out"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def test_docstrings_with_examples_are_found() -> None:
    found = {module for module, _ in examples_of_docstrings()}
    assert {
        "newbie_core.model.text_to_image",
        "newbie_core.model.adapters.__init__",
        "newbie_core.sheets.__init__",
        opening.__name__,
    } <= found
    assert inspect.getdoc(opening)
