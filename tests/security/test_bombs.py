"""What is small on the wire and would be huge when unpacked is not unpacked."""

from __future__ import annotations

import gzip
from pathlib import Path

from app.domain.addresses import IntranetHosts
from app.integrations.fetching import fetching
from app.routes.deps import parts_of_app
from app.settings import Settings
from tests.support.receiver import receiver
from tests.support.web import assert_problem, make_key, program, rows, web_application

BOMB = gzip.compress(b"ID3" + bytes(50_000_000))


async def test_what_a_server_packs_unasked_is_taken_as_it_is():
    async with receiver(headers={"content-encoding": "gzip"}) as archive:
        archive.answer = BOMB
        intranet = IntranetHosts.parse(["127.0.0.0/8"])
        async with fetching(archive.url, intranet=intranet, limit_bytes=1_000_000) as chunks:
            received = b"".join([chunk async for chunk in chunks])
    assert received == BOMB
    assert archive.received[0].headers["accept-encoding"] == "identity"


async def test_a_packed_request_is_not_unpacked(tmp_path: Path, sqlite_dsn: str):
    async with web_application(Settings(data_dir=tmp_path, database_url=sqlite_dsn)) as app:
        async with program(app, await make_key(parts_of_app(app))) as client:
            headers = {"content-type": "audio/mpeg", "content-encoding": "gzip"}
            answer = await client.post("/api/v1/jobs", content=BOMB, headers=headers)
            assert_problem(answer, 415, "unsupported_audio")
            packed = gzip.compress(b'{"source_url": "https://archive.test/a.mp3"}')
            answer = await client.post(
                "/api/v1/jobs", content=packed, headers={**headers, "content-type": "application/json"}
            )
            assert_problem(answer, 400, "validation_failed")
        assert await rows(parts_of_app(app)) == (0, 0)
