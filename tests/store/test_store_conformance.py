import pytest
from conformance import PROMISES
from memory_driver import MemoryDriver

from newbie_core.store import LocalDriver

KINDS = {
    "local": lambda folder: LocalDriver(folder),
    "local, not durable": lambda folder: LocalDriver(folder, durable=False),
    "memory": lambda folder: MemoryDriver(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_every_driver_keeps_the_promise_that(promise, kind, tmp_path):
    promise(KINDS[kind](tmp_path))
