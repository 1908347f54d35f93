"""Calls to addresses from outside: into a private network none gets through, however its address is written."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from app.domain.addresses import IntranetHosts, is_public, parse_ip
from app.errors import AddressRefused, HostUnknown, UrlRefused
from app.integrations.addresses import check_host, check_url, guarded_client
from tests.support.receiver import receiver

NOBODY = IntranetHosts()
LOOPBACK = IntranetHosts.parse(["127.0.0.0/8"])

HOSTILE = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "2130706433",
    "0x7f.1",
    "127.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "0.0.0.0",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
]


def resolving(names: dict[str, list[str]]) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(host: str, port: int) -> list[str]:
        if host not in names:
            raise OSError
        return names[host]

    return resolve


@pytest.mark.parametrize("host", HOSTILE)
async def test_no_way_into_a_private_network(host: str):
    async with receiver() as target, guarded_client(NOBODY, timeout_s=5) as client:
        with pytest.raises(AddressRefused):
            await client.post(f"https://{host}:{target.port}/", content=b"x")
        assert target.received == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "https://",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://user:word@example.com/",
        "https://exa mple.com/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://[::1",
        "https://example.com/\n",
        "https://example.com/" + "a" * 2048,
        "http://example.com/",
    ],
)
def test_what_is_no_complete_https_address_is_refused(url: str):
    with pytest.raises(UrlRefused):
        check_url(url, NOBODY)


def test_a_public_address_is_allowed():
    assert check_url("https://hooks.example:8443/a?b=c", NOBODY).host == "hooks.example"
    assert check_url("https://93.184.216.34/", NOBODY).host == "93.184.216.34"
    assert is_public(parse_ip("2606:2800:220:1::1"))


async def test_one_private_address_among_public_ones_is_enough_to_refuse():
    resolve = resolving({"mixed.example": ["93.184.216.34", "127.0.0.1"], "none.example": []})
    with pytest.raises(AddressRefused):
        await check_host(httpx2.URL("https://mixed.example/"), NOBODY, resolve)
    for name in ("none.example", "unknown.example"):
        with pytest.raises(HostUnknown):
            await check_host(httpx2.URL(f"https://{name}/"), NOBODY, resolve)


async def test_the_intranet_may_be_called_over_plain_http_and_only_what_is_listed():
    resolve = resolving({"hooks.corp": ["127.0.0.1"], "other.corp": ["127.0.0.1"], "public.example": ["93.184.216.34"]})
    async with receiver() as target:
        for intranet in (LOOPBACK, IntranetHosts.parse(["Hooks.corp"])):
            async with guarded_client(intranet, timeout_s=5, resolve=resolve) as client:
                answer = await client.post(f"http://hooks.corp:{target.port}/x", content=b"1")
                assert (answer.status_code, str(answer.request.url.host)) == (200, "hooks.corp")
                assert target.received[-1].headers["host"] == f"hooks.corp:{target.port}"
                with pytest.raises(UrlRefused):
                    await client.post("http://public.example/", content=b"1")
        reached = len(target.received)
        async with guarded_client(IntranetHosts.parse(["hooks.corp"]), timeout_s=5, resolve=resolve) as client:
            with pytest.raises(AddressRefused):
                await client.post(f"https://other.corp:{target.port}/x", content=b"1")
        assert len(target.received) == reached


async def test_a_name_that_changes_its_mind_gains_nothing():
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    url = check_url("https://rebind.example/", NOBODY)
    assert [str(address) for address in await check_host(url, NOBODY, rebinding)] == ["93.184.216.34"]
    async with guarded_client(NOBODY, timeout_s=5, resolve=rebinding) as client:
        with pytest.raises(AddressRefused):
            await client.get(url)
    assert answers == []


async def test_a_redirect_is_not_followed():
    async with receiver(status=302, headers={"location": "http://169.254.169.254/"}) as target:
        async with guarded_client(LOOPBACK, timeout_s=5) as client:
            answer = await client.post(target.url, content=b"1")
        assert answer.status_code == 302
        assert len(target.received) == 1


async def test_the_next_address_is_tried_when_one_does_not_answer():
    resolve = resolving({"two.example": ["127.0.0.2", "127.0.0.1"]})
    async with receiver() as target, guarded_client(LOOPBACK, timeout_s=5, resolve=resolve) as client:
        assert (await client.post(f"http://two.example:{target.port}/", content=b"1")).status_code == 200


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key, path = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", path, *subject], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
    return path


async def test_tls_verifies_the_name_although_the_connection_goes_to_an_address(certificate: Path):
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    resolve = resolving({"hooks.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    trusting = ssl.create_default_context(cafile=certificate)
    async with (
        receiver(tls=server_side) as target,
        guarded_client(LOOPBACK, timeout_s=5, resolve=resolve, tls=trusting) as client,
    ):
        answer = await client.post(f"https://hooks.example:{target.port}/", content=b"1")
        assert answer.status_code == 200
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await client.post(f"https://other.example:{target.port}/", content=b"1")


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "a b", "http://x", "-", "*.corp", "1.2.3"])
def test_what_is_neither_name_nor_network_is_named(entry: str):
    with pytest.raises(ValueError, match="neither"):
        IntranetHosts.parse([entry])
