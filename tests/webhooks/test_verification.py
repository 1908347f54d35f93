"""The programs of docs/webhooks.md verify what we send, and refuse what somebody else has touched."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.domain.ids import utc_now
from app.integrations.webhooks import Message, signed_headers
from app.services.webhooks import rotate_secret, send_test
from tests.support.factories import make_principal
from tests.support.processes import free_port
from tests.support.receiver import receiver
from tests.support.webhooks import ended, make_endpoint, until_deliveries
from tests.webhooks.conftest import Posting

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dsn(sqlite_dsn: str) -> str:
    return sqlite_dsn


def program(language: str) -> str:
    [code] = re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / "docs" / "webhooks.md").read_text(), re.DOTALL | re.MULTILINE
    )
    return code


@contextlib.asynccontextmanager
async def listening(folder: Path, language: str, port: int, secret: str) -> AsyncIterator[None]:
    """A program of the document, in a folder of its own."""
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    name, command = {"python": ("hooks.py", sys.executable), "typescript": ("hooks.mjs", "node")}[language]
    (folder / name).write_text(program(language))
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "SECRET": secret}
    process = await asyncio.create_subprocess_exec(
        command,
        str(folder / name),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _until_open(port)
        yield
    finally:
        process.kill()
        await process.wait()


async def _until_open(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def signed(secret: str, body: str) -> dict[str, str]:
    return signed_headers(Message(id="01", url="", body=body, secrets=[secret]), utc_now())


@pytest.mark.parametrize("language", ["python", "typescript"])
async def test_a_program_believes_us_and_nobody_else(store, posting: Posting, tmp_path: Path, language: str):
    una, port = await make_principal(store), free_port()
    made = await make_endpoint(store, una, f"http://127.0.0.1:{port}/")
    async with store.writing() as uow:
        rotated = await rotate_secret(uow, una, made.endpoint.id, overlap_hours=1)
        await send_test(uow, una, made.endpoint.id)
    (tmp_path / "old").mkdir()
    async with listening(tmp_path / "old", language, port, made.secret), posting():
        await until_deliveries(store, una, made.endpoint.id, ended(1))
        body = '{"type":"job.done","data":{}}'
        good = signed(made.secret, body)
        forgeries = [
            (body.replace("done", "gone"), good),
            (body, {**good, "webhook-id": "02"}),
            (body, {**good, "webhook-timestamp": str(int(time.time()) - 400)}),
            (body, {**good, "webhook-signature": "v1,AAAA"}),
            (body, signed(rotated.secret, body)),
        ]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert (await client.post("/", content=body, headers=good)).status_code == 204
            for content, headers in forgeries:
                assert (await client.post("/", content=content, headers=headers)).status_code == 400


async def test_the_script_believes_us_and_nobody_else(store, posting: Posting):
    una = await make_principal(store)
    async with receiver() as target:
        made = await make_endpoint(store, una, target.url)
        async with store.writing() as uow:
            rotated = await rotate_secret(uow, una, made.endpoint.id, overlap_hours=1)
            await send_test(uow, una, made.endpoint.id)
        async with posting():
            [request] = await target.wait_for(1)
    headers = {name.upper().replace("-", "_"): value for name, value in request.headers.items() if "webhook" in name}

    def accepts(body: bytes, **changed: str) -> bool:
        environment = {"PATH": os.environ["PATH"], **headers, **changed}
        command = ["bash", "-c", program("bash")]
        return subprocess.run(command, input=body, env=environment, check=False, timeout=20).returncode == 0

    assert accepts(request.body, SECRET=made.secret)
    assert accepts(request.body, SECRET=rotated.secret)
    assert not accepts(request.body + b" ", SECRET=made.secret)
    assert not accepts(request.body, SECRET=signed_by_nobody())
    assert not accepts(request.body, SECRET=made.secret, WEBHOOK_TIMESTAMP=str(int(time.time()) - 400))


def signed_by_nobody() -> str:
    return "whsec_" + "A" * 43 + "="
