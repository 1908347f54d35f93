"""What admins have set in the portal, on top of the settings that the processes were started with."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import structlog
from sqlalchemy import select

from app.db.models import Preference
from app.db.uow import Store, UnitOfWork
from app.domain.permissions import Principal
from app.domain.preferences import Preferences
from app.services import audit

log = structlog.stdlib.get_logger(__name__)

# A change that was made by another process is noticed at the latest after this time.
_FRESH_S = 2.0


async def current(uow: UnitOfWork, defaults: Preferences) -> Preferences:
    """The values in force. A stored one that this version no longer understands is passed over."""
    rows = await uow.session.execute(select(Preference.name, Preference.value))
    values = msgspec.to_builtins(defaults)
    for name, value in rows:
        changed = {**values, name: value}
        if name in values and _valid(changed):
            values = changed
    return msgspec.convert(values, Preferences)


def _valid(values: dict[str, Any]) -> bool:
    try:
        msgspec.convert(values, Preferences)
    except msgspec.ValidationError:
        return False
    return True


async def change(uow: UnitOfWork, principal: Principal, wanted: Preferences, defaults: Preferences) -> None:
    """Store what differs from the values in force, and who changed it from what to what."""
    before, after = msgspec.to_builtins(await current(uow, defaults)), msgspec.to_builtins(wanted)
    changed = {name: value for name, value in after.items() if value != before[name]}
    for name, value in changed.items():
        await uow.session.merge(Preference(name=name, value=value))
        audit.record(
            uow,
            principal,
            "preferences.change",
            target_type="preference",
            target_id=name,
            details=_difference(before[name], value),
        )


def _difference(before: Any, after: Any) -> dict[str, Any]:
    """Of a value with parts only those that are others now."""
    if not isinstance(before, dict):
        return {"from": before, "to": after}
    changed = [name for name in after if before.get(name) != after[name]]
    return {"from": {name: before.get(name) for name in changed}, "to": {name: after[name] for name in changed}}


class LivePreferences:
    """The values in force as this process read them last, for every request without a query in every request."""

    def __init__(self, defaults: Preferences) -> None:
        self.defaults = defaults
        self.value = defaults
        self._stale_at_s = 0.0

    def forget(self) -> None:
        """Read anew at the next request: this process has just changed something."""
        self._stale_at_s = 0.0

    async def refresh(self, store: Store) -> None:
        """While the database is out of reach, what was read last stays in force: the request itself will say so."""
        if time.monotonic() < self._stale_at_s:
            return
        self._stale_at_s = time.monotonic() + _FRESH_S
        try:
            async with store.reading() as uow:
                self.value = await current(uow, self.defaults)
        except Exception as error:  # noqa: BLE001  whatever is wrong here must not make an error page impossible
            log.debug("preferences not read", error=type(error).__name__)
