"""Secrets that have to be used, not only recognised, sealed for the database with a key that is not in it."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.domain.tokens import WEBHOOK_MARK

_PURPOSE = b"earmark webhook secrets 1"


class SealBroken(Exception):
    """It was sealed with another key (``EARMARK_SECRET_KEY``, or secret.key in the data folder), or it is damaged."""


class Vault:
    """Seals with a key derived from the installation's secret key (HKDF, Fernet: AES-128-CBC with HMAC-SHA-256)."""

    def __init__(self, secret_key: str) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(secret_key.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, stored: str) -> str:
        """What was sealed; a secret that an earlier version has stored readable is taken as it is.

        Raises:
            SealBroken
        """
        if stored.startswith(WEBHOOK_MARK):
            return stored
        try:
            return self._fernet.decrypt(stored).decode()
        except InvalidToken as error:
            raise SealBroken from error
