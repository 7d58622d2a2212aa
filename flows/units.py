"""The systemd units of server and worker, with folders of any name spelled as systemd reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from newbie_core.errors import NewbieError

USER_UNITS = Path.home() / ".config/systemd/user"
_UNIT = """\
[Unit]
Description=newbie-assets: {what}
After=network.target{after}

[Service]
{user}WorkingDirectory={root}
{environment}
EnvironmentFile=-{home}/environment
ExecStart={command}
Restart=always
RestartSec=10
TimeoutStopSec=90

[Install]
WantedBy={wanted}.target
"""
_WHAT = {"server": "Prefect server of the nights", "worker": "worker that carries nights out"}
_AFTER = {"server": "", "worker": " newbie-server.service"}


def unit_text(
    name: str,
    command: Sequence[str],
    *,
    root: Path,
    home: Path,
    environment: Mapping[str, str],
    user: str | None,
) -> str:
    """The unit file of `server` or `worker`.

    Args:
        user: who the process runs as, in a unit of the system; a person's own systemd needs none.

    Raises:
        NewbieError: a folder's name holds a line break, which no unit can spell.
    """
    for folder in (root, home):
        if not str(folder).isprintable():
            raise NewbieError(f"{str(folder)!r}: systemd cannot name this folder; rename it", code="E_NIGHT")
    return _UNIT.format(
        what=_WHAT[name],
        after=_AFTER[name],
        user=f"User={user}\n" if user else "",
        root=_plain(root),
        environment="\n".join(
            f"Environment={_quoted(f'{variable}={value}')}" for variable, value in sorted(environment.items())
        ),
        home=_plain(home),
        command=" ".join(_quoted(word).replace("$", "$$") for word in command),
        wanted="multi-user" if user else "default",
    )


def is_of_system(folder: Path) -> bool:
    """Whether units in this folder are the machine's, such as `/etc/systemd/system`: root's, were no user named."""
    return folder.parts[-2:] == ("systemd", "system")


def _plain(path: Path) -> str:
    """A path as a setting of its own: a per cent sign begins a specifier."""
    return str(path).replace("%", "%%")


def _quoted(text: str) -> str:
    """A word in quotes."""
    spelled = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{spelled}"'
