"""Paths people name: the nearest name to one that is not there, and links that lead astray."""

from __future__ import annotations

import difflib
from pathlib import Path

from newbie_core.errors import ModelError


def existing(path: Path) -> Path:
    """`path`, if something is there.

    Raises:
        ModelError: nothing is; names what exists nearest to it.
    """
    if path.exists():
        return path
    parent = next(folder for folder in path.parents if folder.exists())
    step = path.relative_to(parent).parts[0] if parent in path.parents else path.name
    names = sorted(entry.name for entry in parent.iterdir()) if parent.is_dir() else []
    near = difflib.get_close_matches(step, names, n=1, cutoff=0.5)
    if near:
        hint = f'did you mean "{parent / near[0]}"?'
    else:
        hint = f"{parent} exists, with {', '.join(names[:5]) or 'nothing in it'}"
    raise ModelError(f"{path}: there is no such file or folder; {hint}", code="E_MODEL_NOT_FOUND")


def check_inside(path: Path, root: Path) -> Path:
    """`path`, if following its links stays inside `root`.

    The hub's cache links `snapshots/<commit>/…` into the `blobs` folder beside `snapshots`: those are inside.

    Raises:
        ModelError: a link leads out of the model's folder.
    """
    target, top = path.resolve(), root.resolve()
    homes = [top]
    for folder in (top, *top.parents):
        if folder.parent.name == "snapshots":
            homes.append(folder.parent.parent / "blobs")
            break
    if not any(target.is_relative_to(home) for home in homes):
        raise ModelError(
            f"{path}: a link out of the model's folder, to {target}; put the file itself there, "
            "or name it with --transformer, --text-encoder, --clip-model or --vae",
            code="E_MODEL_SYMLINK",
        )
    return path
