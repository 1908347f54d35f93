"""Genres, models, and who is asking."""

from __future__ import annotations

import httpx

from app.domain.genres import GENRE_IDS
from app.domain.jobs import JobKind
from app.routes.deps import WebParts
from app.services.models import NewModel, activate_model, register_model


async def test_the_sixteen_genres_in_the_order_of_the_network(api: httpx.AsyncClient):
    genres = (await api.get("/api/v1/genres")).json()
    assert tuple(genre["id"] for genre in genres) == GENRE_IDS
    assert genres[14]["names"]["en"] == "Soft rock"
    assert set(genres[14]["names"]) == {"en", "zh"}
    assert (genres[14]["level_1"], genres[14]["level_2"]) == ("non_classic", "rock")


async def test_the_models_and_which_is_active(api: httpx.AsyncClient, parts: WebParts):
    assert (await api.get("/api/v1/models")).json() == []
    card = {"labels": ["a", "b"]}
    new = NewModel(kind=JobKind.GENRE, name="starter", version="1", sha256="0" * 64, starter=True, card=card)
    async with parts.store.writing() as uow:
        await register_model(uow, new)
        await activate_model(uow, "starter")
    [model] = (await api.get("/api/v1/models")).json()
    assert (model["name"], model["active"], model["starter"], model["card"]) == ("starter", True, True, card)


async def test_who_is_asking(api: httpx.AsyncClient):
    assert (await api.get("/api/v1/me")).json() == {"name": "tester", "role": "uploader", "kind": "api_key"}
