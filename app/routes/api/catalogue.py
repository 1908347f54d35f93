"""What there is to know before submitting anything: genres, and who is asking."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from app.domain.genres import GENRES
from app.domain.permissions import Permission
from app.domain.views import UserOut
from app.i18n import LANGUAGES, reader_for
from app.routes.deps import Caller
from app.routes.guards import needs
from app.routes.openapi import problems

_TAGS = ["catalogue"]


class GenreOut(msgspec.Struct, frozen=True):
    """One of the sixteen genres."""

    id: Annotated[str, Meta(examples=["soft_rock"])]
    names: Annotated[dict[str, str], Meta(description="Name by language", examples=[{"en": "Soft rock"}])]
    level_1: Annotated[str, Meta(description="Its class of the two coarsest", examples=["non_classic"])]
    level_2: Annotated[str, Meta(description="Its class of the nine coarser ones", examples=["rock"])]


def _names(message: str) -> dict[str, str]:
    return {language: reader_for(language).gettext(message) for language in LANGUAGES}


@get(
    "/genres", opt=needs(Permission.JOBS_READ), operation_id="listGenres", summary="List the genres", tags=["catalogue"]
)
async def list_genres() -> list[GenreOut]:
    """All sixteen, in the order of the network's outputs: the order of `windows[].probabilities`."""
    return [GenreOut(genre.id, _names(genre.name), genre.level_1, genre.level_2) for genre in GENRES]


@get(
    "/me",
    opt=needs(Permission.JOBS_READ),
    operation_id="getMe",
    summary="Who is asking",
    tags=_TAGS,
    responses=problems(),
)
async def get_me(caller: Caller) -> UserOut:
    """The person or API key behind the credentials of this request."""
    return UserOut(name=caller.name, role=caller.role, kind="user" if caller.user_id else "api_key")


HANDLERS = [list_genres, get_me]
