"""Secrets that people and programs carry.

Only their hashes are stored: they are long and random, so one SHA-256 is enough. What signs webhooks is the exception: it has
to be used, not recognised.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

API_KEY_MARK = "emk_"
WEBHOOK_MARK = "whsec_"
_PREFIX_LENGTH = len(API_KEY_MARK) + 6


def new_token() -> str:
    return secrets.token_urlsafe(32)


def new_api_key() -> str:
    """Starts with a mark by which secret scanners can find a leaked one."""
    return API_KEY_MARK + new_token()


def new_webhook_secret() -> str:
    """In the form of the Standard Webhooks specification: a mark and base64 of random bytes."""
    return WEBHOOK_MARK + base64.b64encode(secrets.token_bytes(32)).decode()


def shown_prefix(api_key: str) -> str:
    return api_key[:_PREFIX_LENGTH]


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
