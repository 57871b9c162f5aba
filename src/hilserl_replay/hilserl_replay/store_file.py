"""A replay buffer's contents in one file: safetensors, written aside and checked when read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from hilserl_core.errors import UserError
from hilserl_core.run import replacing

FORMAT = "hilserl-replay-2"
_REMEDY = "delete it, and read the run's episodes instead"


class StoreFileError(UserError):
    """A file does not hold what a replay buffer can take up."""


def _digest(arrays: Iterable[tuple[str, NDArray[Any]]], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name, array in arrays:
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def write_store(path: Path, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Writes arrays and what is to be known of them, from where they lie, without a copy.

    A crash leaves the old file or the new one, never a part.

    Args:
        path: of the file.
        arrays: contiguous.
        facts: plain numbers, strings and mappings of them.

    Raises:
        UserError: the file cannot be written.
    """
    text = json.dumps(facts)
    digest = _digest(sorted(arrays.items()), text)
    metadata = {"format": FORMAT, "facts": text, "digest": digest}
    try:
        with replacing(path) as aside:
            save_file(dict(arrays), aside, metadata)
    except (OSError, SafetensorError) as error:
        raise UserError(f"replay buffer {path} cannot be written: {error}") from None


class StoreFile:
    """A file that ``write_store`` wrote, found whole.

    Args:
        path: of the file.

    Attributes:
        facts: as they were given to ``write_store``.

    Raises:
        StoreFileError: it cannot be read, is of another kind, or damaged.
    """

    facts: dict[str, Any]

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():
            raise StoreFileError(f"replay buffer {path} cannot be read: there is no such file")
        try:
            # Arrays come one at a time: the file may be as large as the memory left.
            self._file = safe_open(path, framework="numpy")
            metadata = self._file.metadata() or {}
            if metadata.get("format") != FORMAT:
                kind = metadata.get("format", "none")
                raise StoreFileError(f"{path} is of format '{kind}', not {FORMAT}: {_REMEDY}")
            whole = _digest(((n, self.array(n)) for n in self.names), metadata["facts"])
        except OSError as error:
            raise StoreFileError(f"replay buffer {path} cannot be read: {error}") from None
        except (SafetensorError, KeyError, ValueError) as error:
            raise StoreFileError(f"replay buffer {path} is damaged ({error}): {_REMEDY}") from None
        if whole != metadata["digest"]:
            raise StoreFileError(
                f"replay buffer {path} is damaged (its contents do not match their digest): "
                f"{_REMEDY}"
            )
        self.facts = json.loads(metadata["facts"])

    @property
    def names(self) -> list[str]:
        return sorted(self._file.keys())

    def array(self, name: str) -> NDArray[Any]:
        """One of the arrays, read anew at each call."""
        array: NDArray[Any] = self._file.get_tensor(name)
        return array

    def expect(self, kind: Mapping[str, Any]) -> None:
        """Compares what the file holds with what its reader holds.

        Raises:
            StoreFileError: the fact "kind" has another value under one of the names.
        """
        for name, value in kind.items():
            its = self.facts["kind"][name]
            if its != value:
                raise StoreFileError(
                    f"replay buffer {self.path} has {name} {its!r}, this run {value!r}: give the "
                    "settings it was saved with, or delete it"
                )
