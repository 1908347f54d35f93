"""Arrays that are seldom read, in files instead of in memory."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray


class OnDisk:
    """Keeps arrays in files that have no name, of which the system holds in memory what is read at the moment."""

    def __init__(self) -> None:
        self._mappings: list[mmap.mmap] = []

    def keep(self, values: NDArray[Any]) -> NDArray[Any]:
        """The same array as a file; valid as long as this object."""
        mapping = _mapping(values.nbytes)
        self._mappings.append(mapping)
        kept = np.frombuffer(mapping, values.dtype).reshape(values.shape)
        kept[...] = values
        return kept

    def let_go(self) -> None:
        """Take what has been read or written out of this process's memory; whoever reads it again gets it from the file."""
        for mapping in self._mappings:
            mapping.madvise(mmap.MADV_DONTNEED)


def _mapping(size_bytes: int) -> mmap.mmap:
    """Room on the disk, taken now: it can't be full later. Where it is full already, in memory."""
    try:
        with tempfile.TemporaryFile(prefix="earmark-") as file:
            os.posix_fallocate(file.fileno(), 0, size_bytes)
            return mmap.mmap(file.fileno(), size_bytes)
    except OSError:
        return mmap.mmap(-1, size_bytes)
