"""Addresses of the parts of an upload where a local folder is the store: ours, signed as those of S3 are."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from collections.abc import Sequence

from app.db.models import DirectUpload
from app.domain.keys import part_key
from app.domain.submissions import part_sizes_bytes
from app.errors import PartAddressRefused
from app.routes.deps import WebConfig, WebParts
from app.services.direct_uploads import LIFETIME

PARTS_PATH = "/api/v1/uploads/{upload_id}/parts/{number}"


def _signature(config: WebConfig, upload_id: uuid.UUID, number: int, expires: int) -> str:
    message = f"part:{upload_id}:{number}:{expires}"
    return hmac.new(config.signing_key.encode(), message.encode(), hashlib.sha256).hexdigest()


def _own_url(config: WebConfig, upload_id: uuid.UUID, number: int, expires: int) -> str:
    path = PARTS_PATH.format(upload_id=upload_id, number=number)
    return f"{config.base_url}{path}?expires={expires}&signature={_signature(config, upload_id, number, expires)}"


def check_part_address(config: WebConfig, upload_id: uuid.UUID, number: int, *, expires: int, signature: str) -> None:
    """
    Raises:
        PartAddressRefused: we have not signed it, or too long ago.
    """
    known = hmac.compare_digest(_signature(config, upload_id, number, expires).encode(), signature.encode())
    if not known or expires < time.time():
        raise PartAddressRefused


async def part_urls(parts: WebParts, upload: DirectUpload) -> Sequence[str]:
    """Where the parts of an open upload go: past us to the store where it takes them, else to us."""
    if upload.sha256 is not None:
        return []
    numbers = range(1, len(part_sizes_bytes(upload.size_bytes, upload.part_bytes)) + 1)
    signed = await parts.files.signed_puts([part_key(upload.id, number) for number in numbers], LIFETIME)
    expires = int(upload.expires_at.timestamp())
    return signed or [_own_url(parts.config, upload.id, number, expires) for number in numbers]
