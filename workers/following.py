"""Keep to what the database says is active and in the shadow, while jobs go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from app.db.uow import Store
from app.integrations.outage import Outage
from app.services.models import active_model
from app.services.shadows import shadow_model
from workers.serving import Serving
from workers.shadowing import Shadow
from workers.trouble import Unreachable, pause, reaching

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 2.0
# A model whose files were missing or damaged may have been mended.
_TRY_AGAIN_AFTER_S = 60.0


class Follower:
    """``tell``: called after a change that the portal should show."""

    def __init__(self, store: Store, serving: Serving, shadow: Shadow, *, tell: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._serving = serving
        self._shadow = shadow
        self._tell = tell
        self._database = Outage("database (models)")
        self._tried_s = time.monotonic()

    async def follow(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.look()
            except Unreachable:
                pass
            except Exception:  # whatever it is, the worker has a model and goes on
                log.exception("models could not be followed")
            await pause(stop, _LOOK_EVERY_S)

    async def look(self) -> None:
        """Go over to what is wanted now.

        Raises:
            Unreachable: the database is.
        """
        with reaching(self._database):
            async with self._store.reading() as uow:
                active, shadow = await active_model(uow), await shadow_model(uow)
        again = time.monotonic() - self._tried_s >= _TRY_AGAIN_AFTER_S
        if again:
            self._tried_s = time.monotonic()
        if active is not None and await self._serving.go_over_to(active, again=again):
            await self._tell()
        await self._shadow.go_over_to(shadow)
