"""Know each picture's prompt without rendering it again: a memo from values to the prompt's digest.

The memo is a cache: one record of 48 bytes a prompt, the first 16 bytes of the values' digest and
the 32 bytes of the canonical prompt's sha256. It may be lost at any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import orjson

from newbie_core.digests import digest_value
from newbie_core.plans.pictures import Picture
from newbie_core.prompts.templates import RowProblem, Template, render_all

PROMPT_FORM = "1"
"""Goes up when the canonical text of a prompt changes, so that old memos are not believed."""

_CONTEXT_BYTES = 16
_RECORD_BYTES = 48
_MEMO_LIMIT = 2_000_000


class Memo(Protocol):
    """Where small caches are kept; `load` gives None for one that is lost or damaged."""

    def load(self, key: str) -> bytes | None:
        """The bytes saved under `key`."""

    def save(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`."""


class PromptBook:
    """The prompts of one catalog: digests from the memo, texts on demand."""

    def __init__(
        self, template: Template, columns: Sequence[str], extra_fields: Sequence[str], memo: Memo | None
    ) -> None:
        self._template = template
        self._columns = columns
        self._extra_fields = extra_fields
        self._memo = memo
        self._scope = digest_value(
            {
                "form": PROMPT_FORM,
                "template": template.digest,
                "columns": list(columns),
                "fields": list(extra_fields),
            }
        )
        self._known = self._load()
        self._texts: dict[str, str] = {}

    def digests(self, pictures: Sequence[Picture]) -> list[str | RowProblem]:
        """The prompt digest of each picture, in order, or why it has none.

        Raises:
            TemplateError: the template itself is at fault.
        """
        contexts = _context_digests(pictures)
        answers: dict[bytes, str | RowProblem] = {}
        missing: dict[bytes, Mapping[str, str]] = {}
        known = self._known
        for context, picture in zip(contexts, pictures, strict=True):
            if context not in known and context not in missing:
                missing[context] = picture.look
        for context, answer in zip(missing, self._render(list(missing.values())), strict=True):
            if isinstance(answer, str):
                digest = hashlib.sha256(answer.encode())
                known[context] = digest.digest()
                self._texts[digest.hexdigest()] = answer
            else:
                answers[context] = answer
        if missing:
            self._save(contexts)
        return [answers[context] if context in answers else known[context].hex() for context in contexts]

    def texts(self, pictures: Sequence[Picture], digests: Sequence[str]) -> dict[str, str]:
        """The canonical text behind each prompt digest; texts are handed over, not kept, so memory stays flat."""
        found = {
            digest: self._texts.pop(digest) for digest in dict.fromkeys(digests) if digest in self._texts
        }
        missing = {
            digest: picture.look
            for picture, digest in zip(pictures, digests, strict=True)
            if digest not in found
        }
        for digest, answer in zip(missing, self._render(list(missing.values())), strict=True):
            if isinstance(answer, str):
                found[digest] = answer
        return found

    def _render(self, looks: Sequence[Mapping[str, str]]) -> Sequence[str | RowProblem]:
        if not looks:
            return []
        return list(
            render_all(
                self._template,
                looks,
                columns=self._columns,
                extra_fields=self._extra_fields,
                expected=len(looks),
            )
        )

    def _load(self) -> dict[bytes, bytes]:
        data = self._memo.load(f"prompts-{self._scope[:24]}") if self._memo else None
        if not data or len(data) % _RECORD_BYTES:
            return {}
        return {
            data[at : at + _CONTEXT_BYTES]: data[at + _CONTEXT_BYTES : at + _RECORD_BYTES]
            for at in range(0, len(data), _RECORD_BYTES)
        }

    def _save(self, contexts: Sequence[bytes]) -> None:
        if self._memo is None:
            return
        kept = self._known
        if len(kept) > _MEMO_LIMIT:
            kept = {context: kept[context] for context in contexts if context in kept}
        self._memo.save(
            f"prompts-{self._scope[:24]}", b"".join(context + digest for context, digest in kept.items())
        )


def _context_digests(pictures: Sequence[Picture]) -> list[bytes]:
    dumps, sha256, sort = orjson.dumps, hashlib.sha256, orjson.OPT_SORT_KEYS
    return [sha256(dumps(picture.look, option=sort)).digest()[:_CONTEXT_BYTES] for picture in pictures]
