"""An engine's options as the command line spells them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from newbie_core.errors import EngineChoiceError


def set_options(texts: Iterable[str]) -> dict[str, str | int | bool]:
    """`--set NAME=VALUE`, each once or more; true and false are truth values.

    Raises:
        EngineChoiceError: not of this form.
    """
    options: dict[str, str | int | bool] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise EngineChoiceError(f'--set "{text}" is not NAME=VALUE', code="E_ENGINE_OPTION")
        options[name] = {"true": True, "false": False}.get(value.lower(), value)
    return options


def engine_options(given: argparse.Namespace) -> dict[str, str | int | bool]:
    """`--model` and each `--set`, of commands that have them."""
    model: str | None = getattr(given, "model", None)
    return {**({} if model is None else {"model": model}), **set_options(getattr(given, "set", ()))}
