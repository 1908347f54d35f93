"""The API as the command line uses it: with patience for a server that is busy, restarting or out of reach for a moment."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2
import msgspec

from app.domain.batches import BatchDetailOut
from app.domain.reports import ReportFormat, ReportRow

_TIMEOUT = httpx2.Timeout(60, connect=10, pool=None)
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0

T = TypeVar("T")


class Accepted(msgspec.Struct, frozen=True):
    """The part of a new job that matters here."""

    id: uuid.UUID


class Refused(Exception):
    """The server has understood and says no; ``code`` is the problem's."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status, self.code = status, code
        super().__init__(detail)


class OutOfReach(Exception):
    """The server did not answer, or with a failure of its own, however often it was asked."""


class ApiClient:
    """One server, one key. ``retries``: how often a call that failed on the way is repeated. An async context manager."""

    def __init__(self, url: str, key: str, *, retries: int, connections: int) -> None:
        self._retries = retries
        self._http = httpx2.AsyncClient(
            base_url=f"{url.rstrip('/')}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
            limits=httpx2.Limits(max_connections=connections + 2),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def create_batch(self, name: str, *, private: bool, key: str) -> BatchDetailOut:
        return await self._call(
            BatchDetailOut, "POST", "/batches", json={"name": name, "private": private}, headers=_once(key)
        )

    async def submit(self, file: Path, batch_id: uuid.UUID, *, path: str, key: str) -> Accepted:
        """Upload a file as a job of the batch; ``path`` is kept with it."""
        fields = {"metadata": msgspec.json.encode({"path": path}).decode()}
        where = {"batch_id": str(batch_id)}  # before the file, so that a full queue refuses before it is sent

        async def send() -> httpx2.Response:
            with await asyncio.to_thread(file.open, "rb") as content:
                upload = {"file": (file.name, content, "application/octet-stream")}
                return await self._http.post("/jobs", params=where, data=fields, files=upload, headers=_once(key))

        return _decoded(await self._patiently(send), Accepted)

    async def get_batch(self, batch_id: uuid.UUID) -> BatchDetailOut:
        return await self._call(BatchDetailOut, "GET", f"/batches/{batch_id}")

    async def close_batch(self, batch_id: uuid.UUID) -> BatchDetailOut:
        return await self._call(BatchDetailOut, "POST", f"/batches/{batch_id}/close")

    async def retry_batch(self, batch_id: uuid.UUID) -> BatchDetailOut:
        return await self._call(BatchDetailOut, "POST", f"/batches/{batch_id}/retry")

    async def report(self, batch_id: uuid.UUID) -> AsyncIterator[ReportRow]:
        decoder = msgspec.json.Decoder(ReportRow)
        async with self._http.stream("GET", f"/batches/{batch_id}/report.{ReportFormat.JSON_LINES}") as answer:
            if answer.is_error:
                await answer.aread()
            _raise_for(answer)
            async for line in answer.aiter_lines():
                yield decoder.decode(line)

    async def _call(self, kind: type[T], method: str, path: str, **options: Any) -> T:
        return _decoded(await self._patiently(lambda: self._http.request(method, path, **options)), kind)

    async def _patiently(self, send: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
        """Repeat what fails on the way. A server that asks for less haste is obeyed; that is no failure."""
        failures = 0
        while True:
            try:
                answer = await send()
                if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or _is_queue_full(answer):
                    await asyncio.sleep(_asked_pause_s(answer))
                    continue
                _raise_for(answer)
            except (httpx2.TransportError, OutOfReach) as error:
                failures += 1
                if failures > self._retries:
                    raise OutOfReach(f"{error}" or type(error).__name__) from error
                await asyncio.sleep(_pause_s(failures))
            else:
                return answer


def _once(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def _pause_s(failures: int) -> float:
    """Doubles with each failure; shaken, so that many clients don't come back at the same moment."""
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (failures - 1))
    return longest * random.uniform(0.5, 1)  # noqa: S311  no secret


def _is_queue_full(answer: httpx2.Response) -> bool:
    return answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and _problem(answer)[0] == "queue_full"


def _asked_pause_s(answer: httpx2.Response) -> float:
    asked = answer.headers.get("Retry-After", "")
    return min(_LONGEST_PAUSE_S, float(asked)) if asked.isdecimal() else _FIRST_PAUSE_S


def _raise_for(answer: httpx2.Response) -> None:
    if answer.is_success:
        return
    code, detail = _problem(answer)
    if answer.is_server_error:
        raise OutOfReach(detail)
    raise Refused(answer.status_code, code, detail)


def _problem(answer: httpx2.Response) -> tuple[str, str]:
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    code = problem.get("code") or f"status_{answer.status_code}"
    return str(code), str(problem.get("detail") or f"the server answers with status {answer.status_code}")


def _decoded(answer: httpx2.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as error:
        raise Refused(answer.status_code, "not_earmark", f"{answer.url} does not answer like Earmark") from error
