"""`newbie doctor`: what this machine has for the model, and what to do about what it lacks."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from newbie_core.cli.output import print_json, result, spoken_bytes
from newbie_core.cli.studio import open_engine
from newbie_core.engines.newbie import default_model, spoken_model
from newbie_core.errors import NewbieError

if TYPE_CHECKING:
    import torch

    from newbie_core.cli.main import StopSignals

_PACKAGES = (
    "diffusers",
    "transformers",
    "safetensors",
    "tokenizers",
    "sentencepiece",
    "accelerate",
    "huggingface-hub",
    "peft",
    "flash-attn",
)
_LARGE = 25_000_000_000
"""Bytes a download of the released model needs, with some room."""

State = Literal["ok", "note", "problem"]
_SIGNS: dict[State, str] = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `do` says what would help."""

    what: str
    state: State
    found: str
    do: str = ""

    def record(self) -> dict[str, str]:
        """As programs read it."""
        return {"what": self.what, "state": self.state, "found": self.found, "do": self.do}


def doctor(given: argparse.Namespace, _stop: StopSignals) -> int:
    """Look at everything; 1 if pictures cannot be made."""
    findings = [*_machine(), *_packages(), *_network(given)]
    bad = any(finding.state == "problem" for finding in findings)
    if given.json:
        print_json({"ready": not bad, "findings": [finding.record() for finding in findings]})
        return int(bad)
    for finding in findings:
        result(f"{_SIGNS[finding.state]}  {finding.what:22} {finding.found}")
        if finding.do:
            result(f"{'':33}→ {finding.do}")
    if bad:
        result("\nPictures cannot be made with the model yet; see PROBLEM above.")
    return int(bad)


def _network(given: argparse.Namespace) -> Iterator[Finding]:
    """What needs torch and its kin, which may be broken themselves: then that is the finding."""
    try:
        yield from _torch()
        yield from _kernels()
        yield from _model(given)
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())
        yield Finding(
            "imports",
            "problem",
            f"{getattr(error, 'name', None) or 'a library'} cannot be imported: {reason}",
            "install newbie-assets anew in a fresh virtual environment, with torch from pytorch.org for your CUDA",
        )


def _machine() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding(
        "processor",
        "ok",
        f"{os.cpu_count()} cores, {spoken_bytes(_available())} of {spoken_bytes(_installed())} of memory free",
    )
    free = shutil.disk_usage(Path.cwd()).free
    do = (
        ""
        if free > _LARGE
        else "the released model needs about 20 GB: free some, or set HF_HOME to another disk"
    )
    yield Finding("disk", "note" if do else "ok", f"{spoken_bytes(free)} free here", do)


def _torch() -> Iterator[Finding]:
    import torch

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    yield Finding("torch", "ok", f"{torch.__version__} ({built})")
    if not torch.cuda.is_available():
        yield Finding("GPU", "note", "none that torch can use", _gpu_advice(torch.version.cuda))
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        half = properties.major >= 8  # older ones emulate it, slowly
        yield Finding(
            f"GPU {index}",
            "ok" if half else "note",
            f"{properties.name}, compute {properties.major}.{properties.minor}, driver {_driver()}, "
            f"{spoken_bytes(free)} of {spoken_bytes(total)} free, bf16 {'yes' if half else 'no'}",
            "" if half else "try --dtype float16, or float32 if pictures are refused as empty",
        )


def _gpu_advice(cuda: str | None) -> str:
    if shutil.which("nvidia-smi") is None:
        return "without one the released model takes hours a picture; `--engine sketch` draws on any machine"
    if cuda is None:
        return "there is an NVIDIA driver, but torch is built without CUDA: install torch's CUDA build"
    return "there is an NVIDIA driver torch cannot use: update it, or check CUDA_VISIBLE_DEVICES"


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return asked.stdout.splitlines()[0].strip() if asked.stdout else "unknown"


def _kernels() -> Iterator[Finding]:
    import torch

    from newbie_core.model.attention import FLASH_SWITCH, KERNELS, choose_kernel

    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    dtype = torch.bfloat16 if cuda else torch.float32
    usable, not_usable = [], []
    for name in KERNELS[1:]:
        try:
            choose_kernel(name, device=device, dtype=dtype)
            usable.append(name)
        except NewbieError as error:
            not_usable.append((name, str(error)))
    chosen = choose_kernel("auto", device=device, dtype=dtype).name
    yield Finding("attention", "ok", f"{chosen} (usable: {', '.join(usable)})")
    for name, reason in not_usable:
        yield Finding(f"  {name}", "note", reason)
    if FLASH_SWITCH in os.environ:
        yield Finding(FLASH_SWITCH, "note", os.environ[FLASH_SWITCH])


def _packages() -> Iterator[Finding]:
    optional = {
        "peft": 'only for training adapters: pip install "newbie-assets[lora]"',
        "flash-attn": 'only for speed on CUDA: pip install "newbie-assets[flash]"',
    }
    for name in _PACKAGES:
        try:
            wrong = _unfit(name)
            do = f'pip install "{name}{wrong}"' if wrong else ""
            yield Finding(name, "note" if wrong else "ok", version(name), do)
        except PackageNotFoundError:
            do = optional.get(name, f"pip install {name}")
            yield Finding(name, "note" if name in optional else "problem", "not installed", do)
    if importlib.util.find_spec("torchvision") is not None:
        yield Finding("torchvision", "note", "installed", "not needed; it must match torch's version")


def _unfit(name: str) -> str:
    """The versions we are tested with, where another is installed."""
    from packaging.requirements import Requirement

    try:
        ours = [Requirement(text) for text in requires("newbie-assets") or ()]
    except PackageNotFoundError:
        return ""
    return next(
        (
            str(each.specifier)
            for each in ours
            if each.name == name and not each.specifier.contains(version(name), prereleases=True)
        ),
        "",
    )


def _model(given: argparse.Namespace) -> Iterator[Finding]:
    try:
        source = default_model(given.model or "")
        place = _on_this_machine(source, given.revision)
        if place is None:
            do = f"`newbie test --model {source}` downloads it, about 20 GB"
            yield Finding("model", "problem", f"{source}: not on this machine yet", do)
            return
        revision = given.revision if place == source else None
        engine = open_engine(argparse.Namespace(**{**vars(given), "model": place, "revision": revision}))
    except NewbieError as error:
        yield Finding("model", "problem", str(error))
        return
    pipeline = engine.pipeline
    files, hosting = pipeline.files, pipeline.hosting
    yield Finding(
        "model", "ok", f"{spoken_model(files.source)}, layout {files.layout}, revision {files.revision}"
    )
    width, height = engine.usual_size()
    peak = pipeline.forecast(width, height).peak
    yield Finding(
        "memory plan",
        "ok",
        f"{hosting.plan} on {hosting.device} in {str(hosting.dtype).removeprefix('torch.')}; "
        f"predicted peak at {width}x{height}: {spoken_bytes(peak)}",
    )
    yield from _room(peak, hosting.device)


def _on_this_machine(source: str, revision: str | None) -> str | None:
    """A path as it is, a hub id's folder in the cache, or none: a doctor downloads nothing."""
    path = Path(source).expanduser()
    if path.exists() or path.parent.exists() or source.count("/") != 1:
        return source  # a path, which opening it judges
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return str(snapshot_download(source, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError:
        return source


def _room(peak: int, device: torch.device) -> Iterator[Finding]:
    from newbie_core.model.stages import free_memory

    on_card = free_memory(device)
    free = _available() if on_card is None else on_card
    if peak <= free:
        return
    yield Finding(
        "memory",
        "note" if on_card is None and peak <= _installed() else "problem",
        f"{spoken_bytes(peak)} are needed and {spoken_bytes(free)} are free",
        "end other programs, or try --plan staged --dtype bfloat16"
        if on_card is None
        else "end other programs on the card, or try --plan offload --set storage=fp8 --set tiling=true",
    )


def _installed() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _available() -> int:
    """Bytes of main memory that programs can still get."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return _installed()
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else _installed()
