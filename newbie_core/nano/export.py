"""From trained weights to an ordinary checkpoint in the hub's layout."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from newbie_core.model.weights.shape_tables import expected_gemma_shapes
from newbie_core.model.writing import PartContent, hub_config, write_hub, write_json
from newbie_core.nano.network import AUTOENCODER, TRANSFORMER, Network, gemma_sizes, jina_sizes
from newbie_core.nano.tokenizer import Vocabulary, gemma_json, jina_json

SCHEDULER: Mapping[str, object] = {
    "_class_name": "DPMSolverMultistepScheduler",
    "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "flow_shift": 1.0,
}
"""What is used where nobody says otherwise: a step costs what Euler's does, and its errors are of second order. At these
sizes the picture hardly depends on the time shift."""


def export_model(
    folder: Path,
    network: Network,
    autoencoder: nn.Module,
    words: Vocabulary,
    *,
    sizes: tuple[tuple[int, int], ...],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write the model to `folder`, whose former content is replaced.

    Args:
        sizes: widths and heights it was trained on; it refuses others.
        dtype: of the numbers in the files.
    """
    transformer = replace(TRANSFORMER, trained_sizes=sizes)
    parts = {
        "transformer": PartContent(
            name="transformer",
            tensors=_detached(network.transformer.state_dict()),
            config=hub_config(transformer),
        ),
        "text_encoder": _gemma(network, words),
        "clip_model": _jina(network, words),
        "vae": PartContent(
            name="vae", tensors=_detached(autoencoder.state_dict()), config=hub_config(AUTOENCODER)
        ),
    }
    partial = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    write_hub(partial, parts, dtype=dtype)  # type: ignore[arg-type]  # the keys are part names
    write_json(partial / "scheduler" / "scheduler_config.json", dict(SCHEDULER))
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def _gemma(network: Network, words: Vocabulary) -> PartContent:
    config = gemma_sizes(words.rows)
    tensors = _detached(network.gemma.state_dict())
    tensors["embed_tokens.weight"] = _all_rows(network.gemma_embedding.state_dict()["weight"], words)
    # The last layer and the norm are part of a checkpoint and never used.
    for name, shape in expected_gemma_shapes(config).items():
        tensors.setdefault(name, torch.zeros(shape))
    return PartContent(
        name="text_encoder",
        tensors=tensors,
        config=hub_config(config),
        tokenizer={"tokenizer.json": gemma_json(words)},
    )


def _jina(network: Network, words: Vocabulary) -> PartContent:
    tensors = _detached(network.jina.state_dict())
    name = "embeddings.word_embeddings.weight"
    tensors[name] = _all_rows(tensors[name], words)
    return PartContent(
        name="clip_model",
        tensors=tensors,
        config=hub_config(jina_sizes(words.rows)),
        tokenizer={"tokenizer.json": jina_json(words)},
    )


def _all_rows(trained: Tensor, words: Vocabulary) -> Tensor:
    """Embedding rows of every id: another name of a word has the word's."""
    return trained.detach().cpu()[torch.tensor(words.row_of())]


def _detached(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
