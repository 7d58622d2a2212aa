"""Turn any text into a name every file system takes, and never the same name for two texts::

safe_name("Luna")        -> "Luna"
safe_name("Luna / Évé?") -> "Luna_Évé_--fcb543b923"
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_KEPT = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"})
_NAME_BYTES = 80
_MARK = re.compile(r"--[0-9a-f]{10}\Z", re.IGNORECASE)
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\Z", re.IGNORECASE)


def safe_name(text: str) -> str:
    """A file name for `text`: `text` itself where that is safe, else marked with `text`'s digest."""
    name = _cleaned(text)
    if name == text and not _MARK.search(text):
        return name
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{name}--{mark}"


def _cleaned(text: str) -> str:
    normal = unicodedata.normalize("NFKC", text)
    kept = "".join(char for char in normal if unicodedata.category(char) not in _DROPPED)
    spelled = "".join(_spelled(char) for char in unicodedata.normalize("NFKC", kept).strip())
    name = _cut(re.sub("_{2,}", "_", spelled).strip(" .-")).strip(" .-")
    if not name or _RESERVED.match(name.partition(".")[0].rstrip(" ")):
        return f"_{name}"
    return name


def _spelled(char: str) -> str:
    return char if char in "_-." or unicodedata.category(char) in _KEPT else "_"


def _cut(name: str) -> str:
    return name.encode()[:_NAME_BYTES].decode(errors="ignore")
