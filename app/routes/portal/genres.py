"""The genre guide: what each genre is, how it sounds, and what it suits."""

from __future__ import annotations

import uuid
from typing import Any

from litestar import Response, get, post
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Template

from app.domain.permissions import Permission
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebRequest
from app.routes.guards import needs
from app.routes.pages import page
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import ExampleChosen, GenrePlayer, GenresPage
from app.routes.ranges import file_response
from app.services import genre_guide


@get("/genres", opt=needs(Permission.JOBS_READ))
async def genres_page(request: WebRequest, caller: Caller, read_uow: ReadUow, notices: AllNotices) -> Template:
    view = GenresPage(
        notices=notices,
        examples=await genre_guide.list_examples(read_uow),
        may_change=caller.may(Permission.GUIDE_CHANGE),
    )
    return page(request, "genres/guide.html", view)


@get("/genres/{genre:str}/player", opt=needs(Permission.JOBS_READ))
async def player(request: WebRequest, read_uow: ReadUow, genre: FromPath[str]) -> Template:
    """A small player that says what it plays."""
    await genre_guide.example_file(read_uow, genre)
    example = (await genre_guide.list_examples(read_uow)).get(genre)
    return page(request, "genres/player.html", GenrePlayer(genre=genre, example=example))


@get("/genres/{genre:str}/example", opt=needs(Permission.JOBS_READ))
async def example_audio(request: WebRequest, parts: Parts, caller: Caller, genre: FromPath[str]) -> Response[Any]:
    """The sound itself. Takes no transaction as a dependency: the file is sent after it has ended."""
    async with parts.store.reading() as uow:
        file = await genre_guide.example_file(uow, genre)
    if file.job_id is not None:
        await parts.accesses.note(parts.store, caller, file.job_id)
    return await file_response(request, parts, file)


@post("/jobs/{job_id:uuid}/example", opt=needs(Permission.GUIDE_CHANGE), status_code=200)
async def choose_example(request: WebRequest, caller: Caller, uow: Uow, job_id: FromPath[uuid.UUID]) -> Template:
    genre = await genre_guide.choose_example(uow, caller, job_id)
    return page(request, "genres/chosen.html", ExampleChosen(genre=genre))


@post("/genres/{genre:str}/example/reset", opt=needs(Permission.GUIDE_CHANGE), status_code=200)
async def reset_example(caller: Caller, uow: Uow, genre: FromPath[str]) -> Response[str]:
    await genre_guide.reset_example(uow, caller, genre)
    return Response("", headers={"HX-Redirect": f"/genres#{genre}"}, media_type=MediaType.HTML)


HANDLERS = [genres_page, player, example_audio, choose_example, reset_example]
