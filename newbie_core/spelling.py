"""Which known word was meant? For messages that say "did you mean …"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.7) -> str | None:
    """The known word most like `word`, or None when none is alike.

    Args:
        cutoff: how alike it must be, 0 (anything) to 1 (equal), as difflib's ratio.
    """
    by_fold = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=cutoff)
    return by_fold[near[0]] if near else None


class Speller:
    """Finds a known word one slip away (a letter lost, added, changed or swapped), fast for any vocabulary.

    An index of every known word with one letter deleted, as in Garbe's symmetric delete algorithm.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._longest = max(map(len, self._known), default=0) + 1
        self._index: dict[str, str] = {}
        for word in sorted(self._known, reverse=True):
            for form in (word, *_deletes(word)):
                self._index[form] = word

    def __contains__(self, word: str) -> bool:
        return word in self._known

    def correct(self, word: str) -> str | None:
        """The known word one slip from `word`; None for a known word, a short word, or a quite different one."""
        if word in self._known or not 5 <= len(word) <= self._longest:
            return None
        for form in (word, *_deletes(word)):
            if (found := self._index.get(form)) is not None and _one_slip(word, found):
                return found
        return None


def _deletes(word: str) -> Iterator[str]:
    return (word[:i] + word[i + 1 :] for i in range(len(word)))


def _one_slip(word: str, known: str) -> bool:
    if abs(len(word) - len(known)) == 1:
        return True
    different = [i for i, (a, b) in enumerate(zip(word, known, strict=True)) if a != b]
    if len(different) == 1:
        return True
    swapped = len(different) == 2 and different[1] == different[0] + 1
    return swapped and word[different[0]] == known[different[1]] and word[different[1]] == known[different[0]]
