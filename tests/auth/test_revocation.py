"""A key that is revoked opens nothing, although web processes know for a moment whose it was."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.routes.deps import parts_of_app
from app.services import api_keys
from app.settings import Settings
from tests.support.web import assert_problem, make_key, program, web_application

ME = "/api/v1/me"


async def test_a_revoked_key_is_refused_here_at_once_and_elsewhere_soon(tmp_path: Path, sqlite_dsn: str):
    settings = Settings(data_dir=tmp_path / "data", database_url=sqlite_dsn)
    async with web_application(settings) as here, web_application(settings) as elsewhere:
        parts = parts_of_app(here)
        key = await make_key(parts, name="lost")
        async with program(here, key) as client, program(elsewhere, key) as other:
            for one in (client, client, other):
                assert (await one.get(ME)).status_code == 200
            async with parts.store.writing() as uow:
                await api_keys.revoke_api_key(uow, "lost")
            assert_problem(await client.get(ME), 401, "token_refused")
            async with asyncio.timeout(10):
                while (await other.get(ME)).status_code == 200:
                    pass


async def test_a_key_without_rights_has_none_at_once(tmp_path: Path, sqlite_dsn: str):
    settings = Settings(data_dir=tmp_path / "data", database_url=sqlite_dsn)
    async with web_application(settings) as app, program(app, "emk_nobody") as nobody:
        for _ in range(2):
            assert_problem(await nobody.get(ME), 401, "token_refused")
