"""What the doctor found: each in words, with what to do about it."""

from __future__ import annotations

import enum

import msgspec


class Verdict(enum.StrEnum):
    """ok; warning: it works, but not as it should or not for long; wrong: something does not work."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """``check``: what was looked at. ``says``: how it is. ``remedy``: what to do, unless it is well."""

    check: str
    verdict: Verdict
    says: str
    remedy: str | None = None


def ok(check: str, says: str) -> Finding:
    return Finding(check=check, verdict=Verdict.OK, says=says)


def warning(check: str, says: str, remedy: str) -> Finding:
    return Finding(check=check, verdict=Verdict.WARNING, says=says, remedy=remedy)


def wrong(check: str, says: str, remedy: str) -> Finding:
    return Finding(check=check, verdict=Verdict.WRONG, says=says, remedy=remedy)


def in_words(error: BaseException) -> str:
    """One line, without the address of a database and what else drivers put around it."""
    said = str(error).strip().splitlines()
    return said[0][:300] if said else type(error).__name__
