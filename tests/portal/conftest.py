"""The whole web application on a real database, asked without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from litestar import Litestar

from app.db.uow import Store
from app.domain.permissions import Role
from tests.support.portal import (
    LocalProgress,
    Person,
    new_app,
    open_session,
    person_at,
    portal_settings,
    running,
    use_local_progress,
)

SignedIn = Callable[[Role], Awaitable[Person]]


@pytest.fixture
def progress() -> LocalProgress:
    return LocalProgress()


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Litestar]:
    app = await new_app(portal_settings(tmp_path / "data"))
    async with running(app):
        yield app


@pytest.fixture
def web_store(web: Litestar, progress: LocalProgress) -> Store:
    return use_local_progress(web, progress)


@pytest.fixture
async def signed_in(web: Litestar, web_store: Store) -> AsyncIterator[SignedIn]:
    """People of a role, at their browsers."""
    people: list[Person] = []

    async def sign_in(role: Role) -> Person:
        people.append(person_at(web, await open_session(web_store, role)))
        return people[-1]

    yield sign_in
    for person in people:
        await person.http.aclose()


@pytest.fixture
async def una(signed_in: SignedIn) -> Person:
    return await signed_in(Role.UPLOADER)


@pytest.fixture
async def nobody(web: Litestar) -> AsyncIterator[Person]:
    person = person_at(web, None)
    yield person
    await person.http.aclose()
