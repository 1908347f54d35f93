"""What admins have set in the portal, on top of the settings that the processes were started with."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select

from app.db.models import Preference
from app.db.uow import UnitOfWork
from app.domain.permissions import Principal
from app.domain.preferences import Preferences
from app.services import audit


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
            details={"from": before[name], "to": value},
        )
