"""Tell a webhook and a command how a run ended; what goes wrong there is reported and stops nothing.

The summary is one JSON object, the body of a POST and the command's standard input::

    {"event": "published", "at": "2026-03-02T01:44:10+00:00", "delivery": "9f2c…", "set": "cast", "report": {…}}

`event` is `published`, `unchanged`, `held` or `failed`; `report` is what `newbie run --json` prints. With a
secret the request carries `X-Newbie-Signature-256: sha256=<hex>`, the HMAC-SHA256 (RFC 2104) of the body.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import logging
import os
import secrets
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

import orjson

from newbie_core.catalogs.settings import SETTINGS_FILE, load_settings
from newbie_core.catalogs.unattended import HookSettings, url_problem
from newbie_core.errors import CatalogError, InputError, LockedError, NewbieError
from newbie_core.production.report import RunReport

_log = logging.getLogger(__name__)
Event = Literal["published", "unchanged", "held", "failed"]
_SAID_CHARACTERS = 200
_HIDDEN = "(secret)"


def tell_hooks(hook: HookSettings, event: Event, set_name: str, report: Mapping[str, Any]) -> list[str]:
    """Tell the set's hooks of a run; one sentence for each that could not be told."""
    if not hook.url and not hook.command:
        return []
    delivery = secrets.token_hex(8)
    summary = {
        "event": event,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "delivery": delivery,
        "set": set_name,
        "report": dict(report),
    }
    body = orjson.dumps(summary)
    problems = []
    if hook.url and (problem := _post(hook, body, event, delivery)):
        problems.append(f"the hook's URL was not told: {problem}")
    if hook.command and (problem := _start(hook, body, event)):
        problems.append(f"the hook's command failed: {problem}")
    return [_without_secret(problem, hook) for problem in problems]


def tell_report(hook: HookSettings, report: RunReport) -> RunReport:
    """Tell the set's hooks of a run that came to its end; the report, with what could not be told among its notes."""
    event: Event = "published" if report.is_new else "held" if report.proposal else "unchanged"
    problems = tell_hooks(hook, event, report.catalog, report.record())
    return replace(report, notes=(*report.notes, *problems)) if problems else report


def tell_failure(path: Path, error: Exception) -> None:
    """Tell the hooks of the catalog at `path` of a run that broke off; what could not be told is logged.

    A run that found its set locked never began, and nobody is told of it.
    """
    if isinstance(error, LockedError):
        return
    try:
        settings = load_settings(path / SETTINGS_FILE, name=path.resolve().name)
    except (CatalogError, OSError):
        return
    faults = error.faults if isinstance(error, InputError) else ()
    code, exit_code = (error.code, error.exit_code) if isinstance(error, NewbieError) else ("E_UNEXPECTED", 1)
    said = {"code": code, "message": str(error) or type(error).__name__, "exit_code": exit_code}
    report = {"catalog": settings.name, "error": said, "rejected": [fault.record() for fault in faults]}
    for problem in tell_hooks(settings.hook, "failed", settings.name, report):
        _log.warning("%s: %s", settings.name, problem)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead the summary to another host, or to an address inside the network."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def _post(hook: HookSettings, body: bytes, event: Event, delivery: str) -> str | None:
    url = hook.url
    if url.startswith("$"):
        url = os.environ.get(hook.url[1:], "").strip()
        if not url:
            return f"the environment has no {hook.url[1:]}; set it where runs are started"
    if problem := url_problem(url):
        return f"{hook.url if hook.url.startswith('$') else 'hook.url'} {problem[0]}"
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "newbie-assets",
        "X-Newbie-Event": event,
        "X-Newbie-Delivery": delivery,
    }
    if hook.secret:
        secret = os.environ.get(hook.secret, "")
        if not secret:
            return f"the environment has no {hook.secret}, and nothing is sent unsigned; set it where runs are started"
        headers["X-Newbie-Signature-256"] = f"sha256={signature(secret, body)}"
    where = urlsplit(url).hostname
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    answers: list[str | None] = []
    # A socket's timeout begins anew with each byte, so a server that drips is waited for in a thread.
    sender = threading.Thread(target=lambda: answers.append(_sent(request, where, hook.timeout)), daemon=True)
    sender.start()
    sender.join(hook.timeout)
    return answers[0] if answers else f"{where} did not answer within {hook.timeout} s"


def _sent(request: urllib.request.Request, where: str | None, timeout: int) -> str | None:
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"{where} answered {error.code}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return f"{where}: {type(reason).__name__ if isinstance(reason, Exception) else reason}"


def signature(secret: str, body: bytes) -> str:
    """HMAC-SHA256 of `body` under `secret` (UTF-8), as 64 lower-case hex digits."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _start(hook: HookSettings, body: bytes, event: Event) -> str | None:
    program = hook.command[0]
    hidden = {name for name in (hook.secret, hook.url[1:] if hook.url.startswith("$") else "") if name}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        process = subprocess.Popen(
            hook.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**environment, "NEWBIE_EVENT": event},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f'"{program}" cannot be started: {getattr(error, "strerror", None) or error}'
    try:
        _, said = process.communicate(body, timeout=hook.timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        return f'"{program}" took longer than {hook.timeout} s and was ended'
    if process.returncode == 0:
        return None
    lines = said.decode(errors="replace").strip().splitlines()
    last = f": {lines[-1][:_SAID_CHARACTERS]}" if lines else ""
    return f'"{program}" ended with {process.returncode}{last}'


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command with everything it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _without_secret(text: str, hook: HookSettings) -> str:
    for name in (hook.secret, hook.url[1:] if hook.url.startswith("$") else ""):
        if name and (value := os.environ.get(name, "")):
            text = text.replace(value, _HIDDEN)
    return text
