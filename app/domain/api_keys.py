"""API keys as callers see them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from app.domain.permissions import Permission, Role

NAME_LIMIT = 120

KeyName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=NAME_LIMIT,
        pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$",
        description="What the key is for; shown with the jobs that it submits",
        examples=["catalogue importer"],
    ),
]
Scopes = Annotated[
    list[Permission] | None,
    Meta(description="The only permissions of the role that it has; null: all of them", examples=[["jobs:read"]]),
]
ExpiresAt = Annotated[
    Annotated[datetime, Meta(tz=True)] | None, Meta(description="From then on it is worthless; null: never")
]


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that is wanted."""

    name: KeyName
    role: Role = Role.UPLOADER
    scopes: Scopes = None
    expires_at: ExpiresAt = None


class ApiKeyOut(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without what makes it one."""

    id: uuid.UUID
    name: KeyName
    prefix: Annotated[str, Meta(description="Its first characters", examples=["emk_Zt3f9A"])]
    role: Role
    scopes: Scopes
    owner: Annotated[str | None, Meta(description="The person it belongs to; null: made on the command line")]
    created_at: datetime
    expires_at: ExpiresAt
    last_used_at: Annotated[datetime | None, Meta(description="To the minute")]
    revoked_at: datetime | None


class ApiKeyCreated(msgspec.Struct, frozen=True, kw_only=True):
    """A new key. Its two secrets are shown this once; null where the request was a repetition."""

    api_key: ApiKeyOut
    key: Annotated[str | None, Meta(description="Send it as `Authorization: Bearer …`", examples=["emk_Zt3f9A…"])]
    webhook_secret: Annotated[
        str | None, Meta(description="Signs the callbacks of the jobs that it submits", examples=["whsec_MfKQ9r8G…"])
    ]
