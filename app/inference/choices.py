"""What the self-check found out about a model on this machine, kept in the data folder. No torch here.

One small file for each model and machine: another processor, another number of threads, another version of what computes,
or other weights make another file, so that nothing old is ever believed.
"""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import msgspec

Precision: TypeAlias = Literal["fp32", "bf16", "int8"]
WantedPrecision: TypeAlias = Literal["auto", "fp32", "bf16", "int8"]

_T = TypeVar("_T")

CPU_INFO = Path("/proc/cpuinfo")
# Part of the files' names: raise it whenever the check would judge otherwise.
_CHECK_VERSION = 1
_KEY_DIGITS = 16


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One precision on the built-in clips, against fp32.

    ``same_answers``: share of the clips with the same first choice. ``mean_difference`` and ``worst_difference``: of
    probabilities. ``holds``: good enough to be chosen by auto.
    """

    precision: Precision
    windows_per_s: float
    same_answers: float
    mean_difference: float
    worst_difference: float
    holds: bool


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """``precision``: the fastest that holds. ``batch_windows``: the smallest batch that is about as fast as any."""

    precision: Precision
    batch_windows: int
    measured: list[Measured]


@dataclass(frozen=True, slots=True)
class Choices:
    """The files of one model on this machine."""

    folder: Path
    model_sha256: str
    threads: int

    @property
    def _choice_file(self) -> Path:
        model, flags = cpu()
        key = hashlib.sha256(
            repr((_CHECK_VERSION, _versions(), model, sorted(flags), self.threads)).encode()
        ).hexdigest()
        return self.folder / f"{self.model_sha256[:_KEY_DIGITS]}-{key[:_KEY_DIGITS]}.json"

    @property
    def _peaks_file(self) -> Path:
        return self.folder / f"{self.model_sha256[:_KEY_DIGITS]}-int8-{_CHECK_VERSION}.json"

    def choice(self) -> Choice | None:
        return _read(self._choice_file, Choice)

    def keep_choice(self, choice: Choice) -> None:
        _write(self._choice_file, choice)

    def peaks(self) -> list[float] | None:
        """Ranges of the values inside the network, which int8 needs; the same on every machine."""
        return _read(self._peaks_file, list[float])

    def keep_peaks(self, peaks: list[float]) -> None:
        _write(self._peaks_file, peaks)


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None  # to be measured again


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(value))
    draft.replace(path)


def _versions() -> tuple[str, ...]:
    return tuple(version(package) for package in ("earmark", "torch", "openvino"))


def cpu(cpu_info: Path = CPU_INFO) -> tuple[str, frozenset[str]]:
    """Name and abilities of the processor, as far as the system tells."""
    try:
        lines = cpu_info.read_text().splitlines()
    except OSError:
        return platform.processor(), frozenset()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    return facts.get("model name", platform.machine()), frozenset(facts.get("flags", facts.get("Features", "")).split())
