"""Put a part's tensors into a module, strictly and one at a time."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from newbie_core.errors import ModelError
from newbie_core.model.weights.part import Part
from newbie_core.model.weights.renames import UNUSED_NORM


def load_into(
    module: nn.Module,
    part: Part,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    skip: Collection[str] = (),
) -> None:
    """Replace every parameter of `module`, built on the meta device, by `part`'s tensor of that name.

    Tensors are read, cast and moved one by one, so that no second copy of the part is ever held. Each is copied
    to memory of its own: in a mapped file it starts where the layout happens to put it, and what a matrix product
    rounds to depends on that on some processors (Intel's library asks for 64 bytes); nor can a file that is
    replaced while the model runs change it. Only what the state dictionary names is touched: buffers left out of
    it (the rotary frequencies and token types of transformers' models) must be real already, so build such modules
    with their buffers on a real device.

    Args:
        dtype: what floating-point tensors are cast to; none keeps what is stored.
        skip: beginnings of names that the module does without, such as "layers.33." of Gemma.

    Raises:
        ModelError: tensors missing, unexpected or of another shape; names the file and the keys.
    """
    own = module.state_dict(keep_vars=True)
    given = {name: shape for name, shape in part.shapes.items() if not name.startswith(tuple(skip))}
    _check_names(part, {name: tuple(tensor.shape) for name, tensor in own.items()}, given)
    for name, tensor in part.read():
        if name in own and name in given:
            kind = dtype if tensor.is_floating_point() else None
            _put(module, name, tensor.to(device=device, dtype=kind, copy=True))
    if UNUSED_NORM in own and UNUSED_NORM not in given:
        # Not every layout stores this weight, and nothing reads it; ones are what it starts from.
        like = next(module.parameters())
        _put(module, UNUSED_NORM, like.new_ones(own[UNUSED_NORM].shape, device=device))
    _check_real(module, part)


def _check_names(part: Part, own: dict[str, tuple[int, ...]], given: dict[str, tuple[int, ...]]) -> None:
    missing = sorted(set(own) - set(given) - {UNUSED_NORM})
    extra = sorted(set(given) - set(own) - {UNUSED_NORM})
    wrong = sorted(name for name in own.keys() & given.keys() if own[name] != given[name])
    faults = [
        f"{len(names)} tensors {what}: {', '.join(names[:10])}"
        for what, names in (("are missing", missing), ("are unexpected", extra))
        if names
    ]
    if wrong:
        named = ", ".join(f"{name} {list(given[name])} (expected {list(own[name])})" for name in wrong[:10])
        faults.append(f"{len(wrong)} have another shape: {named}")
    if faults:
        code = "E_MODEL_MISSING_KEYS" if missing else "E_MODEL_EXTRA_KEYS" if extra else "E_MODEL_SHAPES"
        raise ModelError(
            f"{part.files[0]}: {part.name} does not fit the network built for it: {'; '.join(faults)}",
            code=code,
        )


def _put(module: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    home = module.get_submodule(path)
    old = home._parameters.get(leaf)
    if old is None:
        home._buffers[leaf] = tensor
    else:
        home._parameters[leaf] = nn.Parameter(tensor, requires_grad=old.requires_grad)


def _check_real(module: nn.Module, part: Part) -> None:
    tensors = (*module.named_parameters(), *module.named_buffers())
    unreal = [name for name, tensor in tensors if tensor.is_meta]
    if unreal:
        raise AssertionError(f"{part.name}: still on the meta device: {', '.join(unreal[:10])}")
