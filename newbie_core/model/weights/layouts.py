"""Open a model in any layout found in the wild: `open_model` for a whole one, `open_part` for one part.

Layouts (told by what lies where and by keys, never by a weight file's name)::

    hub, port       transformer/ text_encoder/ clip_model/ or text_encoder_2/ vae/, with config.json each
    comfyui         split_files/ or diffusion_models/ text_encoders/ vae/, single files
    all-in-one      one file with all parts, by prefix
    consolidated    consolidated_ema.00-of-01.pth and its like; the other parts named one by one

Only headers are read, and a tokenizer where one lies inside a weight file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from newbie_core.errors import ModelError
from newbie_core.model.config import PARTS, PartName
from newbie_core.model.weights import config_from_shapes as sizes
from newbie_core.model.weights.assembly import make_part
from newbie_core.model.weights.finding import (
    COMFYUI_FOLDERS,
    OVERRIDE_OPTIONS,
    PART_FOLDERS,
    WEIGHT_NAMES,
    comfyui_files,
    consolidated_file,
    part_weights,
)
from newbie_core.model.weights.headers import file_kind, read_json
from newbie_core.model.weights.hub import LOCAL, locate
from newbie_core.model.weights.identify import Claim, claims
from newbie_core.model.weights.part import Layout, ModelFiles, Part
from newbie_core.model.weights.paths import check_inside, existing
from newbie_core.model.weights.stored import INDEX_SUFFIX, Stored, open_stored

Parts = dict[PartName, Part]


def open_model(
    source: str | Path,
    *,
    revision: str | None = None,
    allow_pickle: bool = False,
    overrides: Mapping[PartName, str | Path] | None = None,
    progress: bool = True,
) -> ModelFiles:
    """The whole model at `source`: a folder, a file, or a hub id such as "NewBie-AI/NewBie-image-Exp0.1".

    Args:
        revision: the hub's branch, tag or commit; only for a hub id.
        allow_pickle: whether .bin and .pth files may be opened, by torch's restricted reader.
        overrides: files or folders to take single parts from, in place of `source`'s.
        progress: whether a download shows bars.

    Raises:
        ModelError: nothing there, a part missing or unusable, or parts that do not fit each other.
    """
    folder, commit = locate(source, revision=revision, progress=progress)
    chosen: Parts = {
        name: open_part(path, name, allow_pickle=allow_pickle) for name, path in (overrides or {}).items()
    }
    wanted = tuple(name for name in PARTS if name not in chosen)
    reasons: list[str] = []
    if folder.is_file():
        layout, found = _from_file(folder, wanted, allow_pickle=allow_pickle)
    else:
        layout, found = _from_folder(folder, wanted, reasons, allow_pickle=allow_pickle)
    scheduler = _scheduler(folder)
    parts = {**found, **chosen}
    _check_all_there(folder, parts, reasons)
    _check_parts_fit(parts)
    return ModelFiles(
        source=str(source),
        layout=layout,
        revision=commit or LOCAL,
        parts={name: parts[name] for name in PARTS},
        shift=_shift(scheduler),
        solver=_SOLVERS.get(scheduler.name),
    )


def open_part(path: str | Path, name: PartName | None = None, *, allow_pickle: bool = False) -> Part:
    """One part from a weight file, a shard index, or a folder with either.

    Args:
        name: the part expected; without it the path must hold just one.

    Raises:
        ModelError: nothing there, another part, more than one to choose from, or unusable weights.
    """
    place = existing(Path(path).expanduser())
    if place.is_dir():
        weights = part_weights(place, name)
        if weights is None:
            looked = ", ".join(WEIGHT_NAMES[name]) if name else "the usual names"
            raise ModelError(
                f"{place}: no weight file; looked for {looked}, and for a single safetensors file",
                code="E_MODEL_NOT_FOUND",
            )
        return _open_one(weights, name, allow_pickle=allow_pickle, root=place, folder=weights.parent)
    # A file named as in a part's own folder brings that folder's configuration and tokenizer along.
    usual = any(place.name.removesuffix(INDEX_SUFFIX) in names for names in WEIGHT_NAMES.values())
    return _open_one(
        place, name, allow_pickle=allow_pickle, root=None, folder=place.parent if usual else None
    )


def _open_one(
    weights: Path, name: PartName | None, *, allow_pickle: bool, root: Path | None, folder: Path | None
) -> Part:
    stored = open_stored(weights, allow_pickle=allow_pickle, root=root)
    held = {claim.part: claim for claim in claims(stored)}
    if name is None and len(held) > 1:
        raise ModelError(
            f"{weights}: holds {', '.join(held)}; say which is wanted, with {_options(held)}",
            code="E_MODEL_AMBIGUOUS",
        )
    claim = held.get(name) if name else next(iter(held.values()))
    if claim is None:
        raise ModelError(f"{weights}: holds {', '.join(held)}; expected {name}", code="E_MODEL_WRONG_PART")
    alone = folder if len(held) == 1 else None
    return make_part(stored, claim, layout=_layout(stored, claim, len(held)), folder=alone, root=root)


def _layout(stored: Stored, claim: Claim, parts: int) -> Layout:
    """The layout a lone file is of; several layouts share names, and then the plainest is given."""
    if parts > 1:
        return "all-in-one"
    if claim.form == "port":
        return "port"
    single = claim.tokenizer_key is not None or claim.form == "bfl-vae" or "diffusion_model." in claim.prefix
    return "comfyui" if single else "hub"


def _from_file(path: Path, wanted: Sequence[PartName], *, allow_pickle: bool) -> tuple[Layout, Parts]:
    if not wanted:
        return "comfyui", {}
    stored = open_stored(path, allow_pickle=allow_pickle)
    held = claims(stored)
    layout: Layout = "all-in-one" if len(held) > 1 else "consolidated" if stored.pickled else "comfyui"
    usual = any(path.name.removesuffix(INDEX_SUFFIX) in names for names in WEIGHT_NAMES.values())
    folder = path.parent if usual and len(held) == 1 else None
    parts = {
        claim.part: make_part(stored, claim, layout=layout, folder=folder)
        for claim in held
        if claim.part in wanted
    }
    return layout, parts


def _from_folder(
    folder: Path, wanted: Sequence[PartName], reasons: list[str], *, allow_pickle: bool
) -> tuple[Layout, Parts]:
    consolidated = None if (folder / "transformer").is_dir() else consolidated_file(folder)
    if consolidated is not None:
        others = [name for name in wanted if name != "transformer"]
        _, parts = _from_part_folders(folder, others, allow_pickle=allow_pickle)
        if "transformer" in wanted:
            part = _open_one(consolidated, "transformer", allow_pickle=allow_pickle, root=folder, folder=None)
            parts["transformer"] = replace(part, layout="consolidated")
        return "consolidated", parts
    if any((folder / name).is_dir() for name in ("transformer", "text_encoder", "clip_model")):
        return _from_part_folders(folder, wanted, allow_pickle=allow_pickle)
    return _from_comfyui(folder, wanted, reasons)


def _from_part_folders(
    folder: Path, wanted: Sequence[PartName], *, allow_pickle: bool
) -> tuple[Layout, Parts]:
    parts: Parts = {}
    for name in wanted:
        for place in (folder / sub for sub in PART_FOLDERS[name]):
            if place.is_dir() and (weights := part_weights(place, name)) is not None:
                parts[name] = _open_one(weights, name, allow_pickle=allow_pickle, root=folder, folder=place)
                break
    transformer = parts.get("transformer")
    port = transformer.layout == "port" if transformer else (folder / "text_encoder_2").is_dir()
    layout: Layout = "port" if port else "hub"
    return layout, {name: replace(part, layout=layout) for name, part in parts.items()}


def _from_comfyui(folder: Path, wanted: Sequence[PartName], reasons: list[str]) -> tuple[Layout, Parts]:
    """Look into every file of ComfyUI's folders; what is not ours is passed over, with its reason noted."""
    found: dict[PartName, list[tuple[Stored, Claim]]] = {}
    held = 1
    for path, stored_claims in _claimed(folder, reasons):
        held = max(held, len(stored_claims))
        for stored, claim in stored_claims:
            found.setdefault(claim.part, []).append((stored, claim))
        reasons.append(f"{path.name}: holds {', '.join(claim.part for _, claim in stored_claims)}")
    parts: Parts = {}
    for name in wanted:
        candidates = found.get(name, [])
        if len(candidates) > 1:
            names = ", ".join(str(stored.where) for stored, _ in candidates)
            raise ModelError(
                f"{folder}: {len(candidates)} files hold a {name}: {names}; "
                f"choose one with {OVERRIDE_OPTIONS[name]}",
                code="E_MODEL_AMBIGUOUS",
            )
        for stored, claim in candidates:
            parts[name] = make_part(stored, claim, layout="comfyui", root=folder)
    return "all-in-one" if held > 1 else "comfyui", parts


def _claimed(folder: Path, reasons: list[str]) -> Iterator[tuple[Path, list[tuple[Stored, Claim]]]]:
    for path in comfyui_files(folder):
        try:
            if not path.name.endswith(INDEX_SUFFIX) and file_kind(path) == "pickle":
                reasons.append(f"{path.name}: a pickle, not opened")
                continue
            stored = open_stored(path, allow_pickle=False, root=folder)
            yield path, [(stored, claim) for claim in claims(stored)]
        except ModelError as error:
            reasons.append(str(error))


def _check_all_there(source: Path, parts: Mapping[PartName, Part], reasons: Sequence[str]) -> None:
    missing = [name for name in PARTS if name not in parts]
    if not missing:
        return
    if source.is_file():
        looked = "in this one file"
    else:
        folders = ", ".join(f"{PART_FOLDERS[name][0]}/" for name in missing)
        files = "; ".join(f"{name}: {', '.join(WEIGHT_NAMES[name][:2])}" for name in missing)
        looked = (
            f"in {folders} ({files}), and by content in {', '.join(COMFYUI_FOLDERS)} and the folder itself"
        )
    seen = "".join(f"\n  {reason}" for reason in list(reasons)[:10])
    raise ModelError(
        f"{source}: no {' and no '.join(missing)}; looked {looked}. Name where it is with {_options(missing)} "
        f"(arguments {', '.join(missing)} of the pipeline)" + (f". Seen there:{seen}" if seen else ""),
        code="E_MODEL_PART_MISSING",
    )


def _options(names: Mapping[PartName, object] | Sequence[PartName]) -> str:
    return ", ".join(OVERRIDE_OPTIONS[name] for name in names)


def _check_parts_fit(parts: Mapping[PartName, Part]) -> None:
    """Widths that one part gives and another takes must be the same."""
    transformer = sizes.transformer_config(parts["transformer"])
    gemma = sizes.gemma_config(parts["text_encoder"])
    jina = sizes.jina_config(parts["clip_model"])
    vae = sizes.autoencoder_config(parts["vae"])
    joints: tuple[tuple[PartName, str, int, int], ...] = (
        ("text_encoder", "hidden states", gemma.hidden_size, transformer.cap_feat_dim),
        ("clip_model", "pooled vectors", jina.hidden_size, transformer.clip_text_dim),
        ("vae", "latents", vae.latent_channels, transformer.in_channels),
    )
    for name, what, gives, takes in joints:
        if gives != takes:
            raise ModelError(
                f"{parts[name].files[0]}: {name} gives {what} {gives} wide, the transformer in "
                f"{parts['transformer'].files[0]} takes {takes}; they do not belong together",
                code="E_MODEL_SHAPES",
            )


_SOLVERS = {"FlowMatchEulerDiscreteScheduler": "euler", "DPMSolverMultistepScheduler": "dpm"}
"""Solvers by diffusers' names of their schedulers."""


class _Scheduler(NamedTuple):
    """A scheduler's configuration: its file, the class it names, and its values."""

    path: Path
    name: str
    values: Mapping[str, object]


def _scheduler(folder: Path) -> _Scheduler:
    """The scheduler of a folder in the hub's layout; an empty one where there is none."""
    path = folder / "scheduler" / "scheduler_config.json"
    values = read_json(check_inside(path, folder)) if path.is_file() else {}
    return _Scheduler(path, str(values.get("_class_name", "")), values)


def _shift(scheduler: _Scheduler) -> float | None:
    """Its time shift; flow matching's own schedulers call it "shift", DPM-Solver's "flow_shift"."""
    key = "flow_shift" if "flow_shift" in scheduler.values else "shift"
    shift = scheduler.values.get(key)
    if shift is None:
        return None
    if isinstance(shift, bool) or not isinstance(shift, int | float) or not 0 < shift < 1000:
        raise ModelError(
            f'{scheduler.path}: "{key}" is {shift!r}; expected a number above 0', code="E_MODEL_CONFIG"
        )
    return float(shift)
