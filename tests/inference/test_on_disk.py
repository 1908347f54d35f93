"""Arrays in files: the same values, and no memory of ours while nobody reads them."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from app.cli.bench.timing import process_memory_bytes
from app.inference.on_disk import OnDisk

SIZE_BYTES = 64 << 20


def test_what_is_let_go_takes_no_memory_and_can_be_read_again():
    disk = OnDisk()
    values = np.arange(SIZE_BYTES // 8).reshape(1024, -1)
    kept = disk.keep(values)
    with_it_bytes = process_memory_bytes(os.getpid())
    disk.let_go()
    assert with_it_bytes - process_memory_bytes(os.getpid()) > SIZE_BYTES // 2
    np.testing.assert_array_equal(kept, values)


def test_a_full_disk_leaves_memory(monkeypatch: pytest.MonkeyPatch):
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    disk = OnDisk()
    kept = disk.keep(np.arange(12, dtype=np.uint16))
    disk.let_go()
    np.testing.assert_array_equal(kept, np.arange(12))
