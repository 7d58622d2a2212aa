"""What the latest release holds, as planning needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Released(Protocol):
    """One released picture: its key and what the key was made of (`recipe` names a `Recipe`)."""

    @property
    def key(self) -> str:
        """The content key."""

    @property
    def prompt(self) -> str:
        """The prompt's digest."""

    @property
    def seed(self) -> int:
        """The seed."""

    @property
    def width(self) -> int:
        """Pixels across."""

    @property
    def height(self) -> int:
        """Pixels down."""

    @property
    def recipe(self) -> str:
        """The short name of its recipe."""


class PreviousEntry(NamedTuple):
    """A `Released` and nothing else."""

    key: str
    prompt: str
    seed: int
    width: int
    height: int
    recipe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What many pictures of a release share; `short` of it stands in each entry."""

    engine: str
    template: str
    steps: int
    guidance: str
    negative: str


TableValues = Mapping[str, Mapping[str, str]]
"""A table as it was: row id → column → text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The release that a plan is compared with; empty for the first.

    Args:
        tables: loads the tables the release was made from; only called when a picture has changed.
    """

    entries: Mapping[str, Released] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    engine_parts: Mapping[str, str] = field(default_factory=dict)
    template_name: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    tables: Callable[[], Mapping[str, TableValues]] = dict
