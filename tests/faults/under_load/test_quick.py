"""The short part of the faults under load, in every `make test`: each process is killed once while uploads come in."""

from __future__ import annotations

import pytest

from app.domain.jobs import JobState

pytestmark = pytest.mark.timeout(150)

PROCESSES = ("valkey-server", "earmark worker", "earmark chores", "earmark web")


async def test_nothing_is_lost_when_each_process_is_killed_once(busy):
    busy.load.begin(40)
    for number, words in enumerate(PROCESSES):
        await busy.load.until_accepted(5 + 5 * number)
        await busy.service.kill(words)
    states = await busy.assert_nothing_lost()
    assert states == {JobState.DONE: 40}
