"""Real processes at their most talkative, through everything that carries a secret: not one of them is in what they wrote."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.installation import CHORES, ROOT, Installation, open_installation
from tests.support.processes import free_port, serving, wait_for_port
from tests.support.receiver import Receiver, receiver

pytestmark = pytest.mark.timeout(150)

MP3 = b"ID3" + bytes(4000)
CLIENT_SECRET = "client-secret-of-the-tests"
SIGNING_KEY = "signing-key-of-the-tests-0123456789abcdef"
WRONG_KEY = "emk_WrongKeyOfTheTests0123456789"
WEB = [sys.executable, "-m", "app.cli", "web"]


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path / "data") as installation:
        yield installation


@pytest.fixture
def issuer() -> Iterator[str]:
    port = free_port()
    with serving([str(Path(sys.executable).parent / "oidc-provider-mock"), "--port", str(port)], port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(installation: Installation, command: list[str], log: Path, **settings: str) -> Iterator[None]:
    """Writes to a file: a pipe that nobody empties would stop so talkative a process. Ends as it is asked to."""
    names = {f"EARMARK_{name.upper()}": value for name, value in settings.items()}
    environment = {**os.environ, **installation.environment, **names}
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield
            process.terminate()
            process.wait(timeout=60)
        finally:
            process.kill()
            process.wait()


def _written(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*.log"))


class Secrets(dict[str, str]):
    """Everything that must not be written, by what it is."""

    def note(self, name: str, value: str | None) -> str:
        assert value, name
        assert len(value) >= 16, f"{name} is too short to be looked for"
        self[name] = value
        return value


async def _sign_in(client: httpx.AsyncClient, issuer: str, secrets: Secrets) -> None:
    await client.put(f"{issuer}/users/rita", json={"name": "Rita", "email": "rita@example.com", "groups": ["curators"]})
    start = await client.get("/sign-in/start")
    assert start.status_code == 303, start.text
    authorize = start.headers["location"]
    asked = parse_qs(urlsplit(authorize).query)
    for name in ("state", "nonce", "code_challenge"):
        secrets.note(name, asked[name][0])
    callback = (await client.post(authorize, data={"sub": "rita"})).headers["location"]
    secrets.note("code", parse_qs(urlsplit(callback).query)["code"][0])
    secrets.note("attempt", client.cookies["earmark-sign-in"])
    assert (await client.get(callback)).status_code == 303
    secrets.note("session", client.cookies["earmark-session"])
    page = await client.get("/docs")
    client.headers["x-csrf-token"] = secrets.note("CSRF", page.text.split('name="csrf-token" content="')[1][:64])


async def _make_key(client: httpx.AsyncClient, secrets: Secrets) -> str:
    made = (await client.post("/api/v1/api-keys", json={"name": "program"})).json()
    secrets.note("secret of callbacks", made["webhook_secret"])
    return secrets.note("API key", made["key"])


async def _use_key(base_url: str, key: str, target: Receiver, secrets: Secrets) -> None:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60) as client:
        made = await client.post("/api/v1/webhooks", json={"url": target.url})
        assert made.status_code == 201, made.text
        secrets.note("secret of the webhook", made.json()["secret"])
        begun = (await client.post("/api/v1/uploads", json={"name": "a.mp3", "size_bytes": len(MP3)})).json()
        address = begun["parts"][0]["url"]
        secrets.note("signature of a part", parse_qs(urlsplit(address).query)["signature"][0])
        async with httpx.AsyncClient(timeout=60) as anybody:
            assert (await anybody.put(address, content=MP3)).status_code == 200
            assert (await anybody.put(address[:-4] + "0000", content=MP3)).status_code == 403
        await client.post(f"/api/v1/uploads/{begun['id']}/complete")
        job = (await client.post("/api/v1/jobs", json={"upload_id": begun["id"]})).json()
        assert (await client.post(f"/api/v1/jobs/{job['id']}/cancel")).is_success
        refused = await client.get("/api/v1/me", headers={"authorization": f"Bearer {WRONG_KEY}"})
        assert refused.status_code == 401
        secrets.note("wrong key", WRONG_KEY)
    [delivery, *_] = await target.wait_for(1, timeout_s=60)
    secrets.note("signature of a delivery", delivery.headers["webhook-signature"].partition(",")[2])


async def _sign_out(client: httpx.AsyncClient, secrets: Secrets) -> None:
    await client.post("/sign-in/backchannel-logout", data={"logout_token": "forged-logout-token"})
    secrets.note("logout token", "forged-logout-token")
    left = await client.post("/sign-out")
    assert left.status_code == 303, left.text
    secrets.note("ID token", parse_qs(urlsplit(left.headers["location"]).query)["id_token_hint"][0])


async def test_no_secret_is_ever_written_to_a_log(installation: Installation, issuer: str, tmp_path: Path):
    port, secrets = free_port(), Secrets()
    base_url = f"http://127.0.0.1:{port}"
    settings = {
        "port": str(port),
        "log_level": "debug",
        "log_format": "json",
        "oidc_issuer": issuer,
        "oidc_client_secret": secrets.note("client secret", CLIENT_SECRET),
        "oidc_default_role": "admin",
        "secret_key": secrets.note("signing key", SIGNING_KEY),
        "intranet_hosts": "127.0.0.0/8",
    }
    with ExitStack() as stack:
        for command in (WEB, CHORES):
            stack.enter_context(_running(installation, command, tmp_path / f"{command[-1]}.log", **settings))
        wait_for_port(port)
        async with receiver() as target, httpx.AsyncClient(base_url=base_url, timeout=60) as client:
            await _sign_in(client, issuer, secrets)
            await _use_key(base_url, await _make_key(client, secrets), target, secrets)
            await _sign_out(client, secrets)
    written = _written(tmp_path)
    assert written.count('"event"') > 12, written[-2000:]
    assert len(secrets) >= 14
    assert [name for name, value in secrets.items() if value in written] == []
    assert not re.search(r"emk_\w{8}|whsec_\w{8}|eyJ\w{8}", written), "something else of the form of a secret"
