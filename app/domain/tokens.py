"""Secrets that people and programs carry. Only their hashes are stored: they are long and random, so one SHA-256 is enough."""

from __future__ import annotations

import hashlib
import secrets

API_KEY_MARK = "emk_"
_PREFIX_LENGTH = len(API_KEY_MARK) + 6


def new_token() -> str:
    return secrets.token_urlsafe(32)


def new_api_key() -> str:
    """Starts with a mark by which secret scanners can find a leaked one."""
    return API_KEY_MARK + new_token()


def shown_prefix(api_key: str) -> str:
    return api_key[:_PREFIX_LENGTH]


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
