"""Training steps compute the same, in whichever way is fast here."""

from __future__ import annotations

import pytest
import torch

from newbie_core.model.attention import SdpaKernel
from newbie_core.nano import network, optimisers
from newbie_core.nano.precision import multiplies_bf16, precision


@pytest.mark.parametrize("pays", [True, False], ids=["bf16", "float32"])
@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16)])
def test_muons_step_is_nearly_orthogonal(
    monkeypatch: pytest.MonkeyPatch, pays: bool, shape: tuple[int, int]
) -> None:
    monkeypatch.setattr(optimisers, "multiplies_bf16", lambda device: pays)
    matrix = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    made = optimisers.orthogonalised(matrix)
    assert made.shape == matrix.shape
    assert made.dtype == torch.float32
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.mT @ made @ right.mT  # what became of the singular values
    values = turned.diagonal(dim1=1, dim2=2)
    assert 0.5 < values.min() <= values.max() < 1.4
    assert (turned - values.diag_embed()).abs().max() < 0.1


def test_steps_are_in_bf16_only_where_it_pays() -> None:
    device = torch.device("cpu")
    with precision(device):
        made = torch.ones(2, 2) @ torch.ones(2, 2)
    assert made.dtype == (torch.bfloat16 if multiplies_bf16(device) else torch.float32)
    assert multiplies_bf16(torch.device("cuda"))


def test_the_compiled_blocks_attention_is_attention() -> None:
    """Grouped heads, forth and back."""
    numbers = torch.Generator().manual_seed(1)
    shapes = ((3 * 20, 4, 48), (3 * 20, 2, 48), (3 * 20, 2, 48))
    given = [torch.randn(shape, generator=numbers, requires_grad=True) for shape in shapes]
    found = []
    for kernel in (network._PlainKernel(), SdpaKernel("sdpa", None)):
        made = kernel.attend(*given, (20, 20, 20))
        found.append((made, *torch.autograd.grad(made.square().sum(), given)))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
