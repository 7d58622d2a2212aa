"""The same verbs from a shell: `newbie run`, `plan`, `check`, `verify` and the rest."""

from newbie_core.cli.main import main

__all__ = ["main"]
