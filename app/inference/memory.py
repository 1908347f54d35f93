"""What glibc does with memory that is free again: by default it keeps much of it, in a store for each thread."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2


def keep_few_arenas() -> None:
    """Have all threads share two stores. Does nothing where there is no glibc."""
    limit = getattr(ctypes.CDLL(None), "mallopt", None)
    if limit is not None:
        limit(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Return what is free to the system: worth its milliseconds after something large was loaded."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
