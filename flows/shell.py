"""Run a flow from a terminal: the result on stdout, the true exit code, whatever becomes of Prefect's server."""

from __future__ import annotations

import argparse
import inspect
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from prefect import Flow
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.ledger import LEDGER
from flows.parameters import WHOLE_NUMBERS
from newbie_core.errors import NewbieError

_GRACE_SECONDS = 60.0
"""So long Prefect may take to write down how a flow ended; a dead server is waited for much longer."""

_BY_WORKER = "PREFECT__FLOW_RUN_ID"
"""Environment variable: which run a worker started this process for."""

_LOOK_SECONDS = 5.0


@contextmanager
def closing() -> Iterator[None]:
    """Around the body of a flow: the ledger says when it ends, and how; the run of a worker ends with it.

    Not a decorator: Prefect resolves a flow's types where the function it is given was defined.
    """
    LEDGER.open()
    if os.environ.get(_BY_WORKER):
        threading.Thread(target=_end_with_worker, args=(os.getppid(),), daemon=True).start()
    try:
        yield
    except Exception as error:
        LEDGER.close(error)
        raise
    LEDGER.close()


def _end_with_worker(worker: int) -> None:
    """A run whose worker died is nobody's: it ends as on SIGTERM, and Prefect shows it as crashed.

    The kernel's PR_SET_PDEATHSIG would do so for the thread that started us, which Prefect may end earlier.
    """
    while os.getppid() == worker:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def run_here(flow: Flow[Any, Any]) -> int:
    """Run `flow` in this process with `--catalog`, `--store`, `--engine` … from the command line; the exit code.

    Heartbeats are for workers: a run at a terminal is watched by its person, and each costs a second.
    """
    given = _arguments(flow)
    has_returned = threading.Event()
    threading.Thread(target=_leave_a_dead_server, args=(flow.name, has_returned), daemon=True).start()
    try:
        try:
            with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                flow(**given)
        finally:
            has_returned.set()
    except NewbieError as error:
        print(f"{flow.name}: {error}")
        return error.exit_code
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        if not LEDGER.is_closed or error is LEDGER.error:
            raise
        print(f"{flow.name}: done, but Prefect's server was not told: {error}", file=sys.stderr)
        code = _tell_all(flow.name)
        sys.stdout.flush()
        os._exit(code)  # Prefect's threads would wait for the server
    return _tell_all(flow.name)


def _leave_a_dead_server(name: str, has_returned: threading.Event) -> None:
    while not LEDGER.is_closed and not has_returned.is_set():
        time.sleep(1.0)
    if has_returned.wait(_GRACE_SECONDS):
        return
    print(f"{name}: done, but Prefect's server does not answer", file=sys.stderr)
    code = _tell_all(name)
    sys.stdout.flush()
    os._exit(code)


def _tell_all(name: str) -> int:
    for report in LEDGER.reports:
        _tell(report)
    if LEDGER.error is not None:
        print(f"{name}: {LEDGER.error}")
        return LEDGER.error.exit_code if isinstance(LEDGER.error, NewbieError) else 1
    return max((report["exit_code"] for report in LEDGER.reports), default=0)


def _arguments(flow: Flow[Any, Any]) -> Mapping[str, Any]:
    parser = argparse.ArgumentParser(
        prog=f"python -m flows.{flow.name.replace('-', '_')}", description=flow.description
    )
    for name, parameter in inspect.signature(flow.fn).parameters.items():
        flag = "--" + name.replace("_", "-")
        default = os.environ.get("NEWBIE_STORE", parameter.default) if name == "store" else parameter.default
        if isinstance(parameter.default, bool):
            action = argparse.BooleanOptionalAction if parameter.default else "store_true"
            parser.add_argument(flag, action=action, default=parameter.default)
        elif name == "only":
            parser.add_argument(flag, action="append")
        else:
            parser.add_argument(flag, default=default, type=int if name in WHOLE_NUMBERS else str)
    return vars(parser.parse_args())


def _tell(report: Mapping[str, Any]) -> None:
    news = "published" if report["new"] else "held back:" if report["proposal"] else "nothing new;"
    counts = f"{report['generated']} generated, {report['reused']} reused, {report['removed']} removed"
    print(f"{report['catalog']}: {news} {report['release']} ({counts}; {report['seconds']:.1f} s)")
    for fault in report["rejected"]:
        print(f"  rejected: {fault['file']} row {fault['row']}: {fault['message']}")
    if folder := report["proposal"] or report["view"]:
        print(f"  pictures      {Path(folder) / 'pictures'}")
        print(f"  contact sheet {Path(folder) / 'contact-sheet.png'}")
    if page := report["page"]:
        print(f"  page          {page['file'] or 'none: ' + page['error']}")
