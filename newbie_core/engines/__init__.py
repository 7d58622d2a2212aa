"""Every way to make a picture, by name; an engine is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from newbie_core.errors import EngineChoiceError
from newbie_core.generation import Engine
from newbie_core.spelling import nearest

ENGINES: Mapping[str, str] = {
    "sketch": "newbie_core.engines.sketch:SketchEngine",
    "newbie": "newbie_core.engines.newbie:NewbieEngine",
}
"""Engine names and where they are."""

PLUGIN_MARK = ":"


def load_engine(name: str, options: Mapping[str, str | int | bool] | None = None) -> Engine:
    """The engine called `name`, with its options; `package.module:Class` names one of your own.

    Raises:
        EngineChoiceError: unknown, or an option it does not know.
    """
    place = ENGINES.get(name) or (name if PLUGIN_MARK in name else None)
    if place is None:
        near = nearest(name, ENGINES)
        hint = f'did you mean "{near}"?' if near else f"known: {', '.join(ENGINES)}"
        raise EngineChoiceError(f'there is no engine "{name}"; {hint}', code="E_ENGINE_UNKNOWN")
    module_name, _, class_name = place.partition(PLUGIN_MARK)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise EngineChoiceError(
            f'engine "{name}" needs the module "{error.name}", which is not installed',
            code="E_ENGINE_MISSING",
        ) from None
    maker = getattr(module, class_name, None)
    if maker is None:
        raise EngineChoiceError(f'module "{module_name}" has no "{class_name}"', code="E_ENGINE_UNKNOWN")
    engine: Engine = maker(**(options or {}))
    return engine


def check_options(engine: str, given: Mapping[str, object], known: Mapping[str, object]) -> None:
    """Refuse options the engine does not have.

    Raises:
        EngineChoiceError: naming the option and the nearest known one.
    """
    for name in given:
        if name not in known:
            near = nearest(name, known)
            hint = f'did you mean "{near}"?' if near else f"known: {', '.join(known) or 'none'}"
            raise EngineChoiceError(
                f'engine "{engine}" has no option "{name}"; {hint}', code="E_ENGINE_OPTION"
            )
