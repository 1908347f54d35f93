"""Use-cases on the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.db.uow import UnitOfWork
from app.resources import open_resources
from app.settings import load_settings

T = TypeVar("T")


def in_transaction(use: Callable[[UnitOfWork], Awaitable[T]]) -> T:
    """Run one use-case on the database that the settings name."""
    settings = load_settings()
    settings.prepare_data_dir()

    async def run() -> T:
        async with open_resources(settings) as resources, resources.store.writing() as uow:
            return await use(uow)

    return asyncio.run(run())
