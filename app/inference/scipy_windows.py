"""Of SciPy's signal processing nnAudio uses window functions alone; all of it is 40 MB and most of a second."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_WHOLE = "scipy.signal"


class _Windows(ModuleType):
    """Stands in for the package, and asks the package for whatever else is wanted of it."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(_WHOLE) is self:  # it would ask itself
            raise AttributeError(f"{_WHOLE}.{name} is not there while windows_alone holds")
        return getattr(import_module(_WHOLE), name)


@contextmanager
def windows_alone() -> Iterator[None]:
    """What is imported meanwhile gets ``scipy.signal.get_window`` without the rest of it, unless that is loaded already."""
    if _WHOLE in sys.modules:
        yield
        return
    stand_in = _Windows(_WHOLE)
    spec = find_spec(_WHOLE)
    stand_in.__path__ = list(spec.submodule_search_locations or ()) if spec else []
    sys.modules[_WHOLE] = stand_in
    try:
        stand_in.__dict__["get_window"] = import_module(f"{_WHOLE}.windows").get_window
        yield
    finally:
        for name in [name for name in sys.modules if name == _WHOLE or name.startswith(f"{_WHOLE}.")]:
            del sys.modules[name]
