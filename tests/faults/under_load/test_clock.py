"""The machine's clock is wrong by an hour, and is set right, while two hundred uploads come in and workers die."""

from __future__ import annotations

import pytest

from app.domain.jobs import JobState

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

UPLOADS = 200


@pytest.mark.parametrize("hours", [1, -1])
async def test_the_clock_is_set_by_an_hour_and_back(busy, hours):
    clock = busy.service.data_dir / "clock_offset_s"
    busy.load.begin(UPLOADS)
    for number, offset_s in enumerate((3600 * hours, 0)):
        await busy.load.until_accepted(50 + 70 * number)
        clock.write_text(str(offset_s))
        await busy.service.kill("earmark worker")
    assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}
