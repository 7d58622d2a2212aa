"""Where a model's files are: a path as given, or a hub repository's files, downloaded once into the hub's cache.

Only JSON, safetensors and tokenizer files are fetched: never code, never pickles.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from huggingface_hub import errors as hub_errors
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm

from newbie_core.errors import ModelError
from newbie_core.model.weights.paths import existing

LOCAL = "local"
"""The revision of a model that came from no hub."""

PATTERNS = ("*.json", "*.safetensors", "tokenizer.model", "*/tokenizer.model", "*sentencepiece.bpe.model")

# The base error of the HTTP client that huggingface_hub uses, which differs between its releases.
_NETWORK_ERROR: type[Exception] = hub_errors.HTTPError  # type: ignore[attr-defined]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class _Silent(tqdm):
    """A progress bar that shows nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "disable": True})


def locate(source: str | Path, *, revision: str | None, progress: bool) -> tuple[Path, str | None]:
    """The folder or file of `source`, and the hub commit it is of, or none where it is a path.

    An existing path is never looked up on the hub, nor is anything that looks like one.

    Raises:
        ModelError: nothing is there, or the hub cannot give it.
    """
    path = Path(source).expanduser()
    if path.exists() or not _is_hub_id(source):
        if revision is not None:
            raise ModelError(
                f'{source}: a path has no revision; leave "{revision}" out, or give a hub id as owner/name',
                code="E_MODEL_REVISION",
            )
        return existing(path), None
    return fetch(str(source), revision, progress)


def _is_hub_id(source: str | Path) -> bool:
    if isinstance(source, Path) or not _HUB_ID.fullmatch(source):
        return False
    # "models/newbie" beside a folder "models" is a path with a typing mistake in it.
    path = Path(source)
    return not path.parent.exists() and path.suffix not in (".safetensors", ".pth", ".bin", ".gguf")


def fetch(repo_id: str, revision: str | None, progress: bool) -> tuple[Path, str]:
    """The folder of a hub repository's files, downloaded where they are not cached, and its commit.

    Raises:
        ModelError: unknown, gated or unreachable; says what to do.
    """
    try:
        folder = snapshot_download(
            repo_id,
            revision=revision,
            allow_patterns=list(PATTERNS),
            tqdm_class=None if progress else _Silent,
        )
    except GatedRepoError as error:
        raise ModelError(
            f'{repo_id}: its owners ask for their terms to be accepted: do so on its page, run "hf auth login", '
            "and try again",
            code="E_MODEL_HUB_GATED",
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{repo_id}: the hub has no such repository, or it is private; expected owner/name as on its page, "
            'or a path that exists. If it is private, run "hf auth login"',
            code="E_MODEL_HUB_UNKNOWN",
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f'{repo_id}: has no revision "{revision}"; expected a branch, tag or commit of it',
            code="E_MODEL_HUB_REVISION",
        ) from error
    except HFValidationError as error:
        raise ModelError(f"{repo_id}: not a hub id: {error}", code="E_MODEL_HUB_UNKNOWN") from error
    except (LocalEntryNotFoundError, _NETWORK_ERROR, OSError) as error:
        raise _unreachable(repo_id, revision, error) from error
    return Path(folder), Path(folder).name


def _unreachable(repo_id: str, revision: str | None, error: Exception) -> ModelError:
    which = f" at revision {revision}" if revision else ""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ModelError(
        f"{repo_id}: not complete in the hub's cache{which}, and the hub cannot be asked: {reason}. Go online once "
        "(unset HF_HUB_OFFLINE) and run the same command again, or download the repository elsewhere and give "
        "its folder",
        code="E_MODEL_HUB_OFFLINE",
    )
