"""The line of a request as JSON: the same fields as every other line has, whatever is in them, and none is lost."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from app.log_lines import JsonRequestLog

FIELDS = {"method": "GET", "path": "/api/v1/jobs", "status": 200, "duration_ms": 0.4, "request_id": "0123456789abcdef"}


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


async def test_all_of_one_turn_are_written_together(written: pytest.LogCaptureFixture):
    log = JsonRequestLog("web")
    for number in range(3):
        log(logging.INFO, {**FIELDS, "status": 200 + number})
    assert written.messages == []
    await asyncio.sleep(0)
    [message] = written.messages
    assert [json.loads(line)["status"] for line in message.split("\n")] == [200, 201, 202]
    log(logging.INFO, FIELDS)
    await asyncio.sleep(0)
    assert len(written.messages) == 2


async def test_a_line_says_what_every_line_says(written: pytest.LogCaptureFixture):
    JsonRequestLog("web")(logging.INFO, FIELDS)
    await asyncio.sleep(0)
    line = json.loads(written.messages[0])
    assert line.pop("timestamp").endswith("Z")
    assert line == {**FIELDS, "event": "request", "process": "web", "level": "info", "logger": "app.requests"}


async def test_what_nobody_wants_to_read_is_not_written(written: pytest.LogCaptureFixture):
    JsonRequestLog("web")(logging.DEBUG, FIELDS)
    await asyncio.sleep(0)
    assert written.messages == []


@pytest.mark.parametrize("path", ["/\udcff", "/a\nb", '/"quoted"', "/Köln"])
async def test_a_path_can_neither_break_a_line_nor_lose_it(written: pytest.LogCaptureFixture, path: str):
    JsonRequestLog("web")(logging.INFO, {**FIELDS, "path": path})
    await asyncio.sleep(0)
    [message] = written.messages
    assert "\n" not in message
    assert json.loads(message)["path"] == path
