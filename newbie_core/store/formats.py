"""What makes a place a store: `format.json`, one exact line."""

from __future__ import annotations

from itertools import islice

import orjson

from newbie_core.errors import DamageError, MissingError, StoreError
from newbie_core.store.driver import Driver
from newbie_core.store.layout import AREAS, FORMAT, FORMAT_TEXT, LOCKS, fan_out

_SHOWN = 3


def make_store(driver: Driver) -> None:
    """Make an empty place a store; a store is left as it is, anything else refused."""
    if driver.stat(FORMAT) is not None:
        return
    _refuse_strangers(driver)
    driver.prepare(fan_out())
    driver.create(FORMAT, FORMAT_TEXT)


def require_store(driver: Driver) -> None:
    """StoreError unless the place is a store of the format this version knows."""
    try:
        text = driver.read(FORMAT)
    except MissingError as error:
        raise MissingError(
            f"{_where(driver)}: there is no store: {FORMAT} is missing; "
            "check the path, or restore that file from a copy",
            code="E_NO_STORE",
        ) from error
    if text == FORMAT_TEXT:
        return
    expected = FORMAT_TEXT.decode().strip()
    if (found := _other_format(text)) is not None:
        raise StoreError(
            f"{_where(driver)}: {FORMAT} says {found}; this version knows only {expected}; "
            "use the version that made the store"
        )
    raise DamageError(
        f"{_where(driver)}: {FORMAT} is damaged: {text[:80]!r}; "
        f"expected exactly {expected}; `newbie verify --repair` writes that line back"
    )


def mend_format(driver: Driver) -> bool:
    """Write a damaged `format.json` again, for there is one right text; False where it names another format."""
    if _other_format(driver.read(FORMAT)) is not None:
        return False
    driver.replace(FORMAT, FORMAT_TEXT)
    return True


def _other_format(text: bytes) -> str | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("format"), int) or value["format"] == 1:
        return None
    return orjson.dumps(value).decode()


def _refuse_strangers(driver: Driver) -> None:
    """Empty folders of ours are a store whose making was cut short: it is made on."""
    found = list(islice((name for name in driver.names() if not name.startswith(f"{LOCKS}/")), _SHOWN + 1))
    was_made_meanwhile = driver.stat(FORMAT) is not None
    if not found or was_made_meanwhile:
        return
    shown = ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
    if all(name.partition("/")[0] in AREAS for name in found):
        raise DamageError(
            f"{_where(driver)}: {FORMAT} is missing from a store that holds {shown}; restore it from a copy"
        )
    raise StoreError(f"{_where(driver)}: is not a store and not empty: found {shown}; choose an empty folder")


def _where(driver: Driver) -> str:
    path = driver.local_path(FORMAT)
    return str(path.parent) if path else "the store"
