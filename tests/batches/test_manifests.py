"""Manifests: every fault is told with its line, and a wrong line keeps all of them out."""

from __future__ import annotations

import json
import uuid

import httpx
import pytest
from sqlalchemy import func, inspect, select

from app.db.models import DirectUpload, Event, IdempotentAnswer, Job, SearchTerm, Source
from app.domain.ids import new_id, utc_now
from app.domain.jobs import AnalysisScope, EventType
from app.domain.manifests import LINES_LIMIT, ManifestLine, read_csv, read_json_lines
from app.domain.media import Container
from app.errors import ManifestInvalid
from app.routes.deps import WebParts
from app.services import manifests
from tests.support.web import assert_problem, key_id

UPLOAD = uuid.UUID("01a1fc6c-2945-7326-962c-e95d8f90fc74")
URL = "https://files.example/a.flac"


def faults_of(read, content: str | bytes) -> list[tuple[int, str | None]]:
    with pytest.raises(ManifestInvalid) as caught:
        read(content if isinstance(content, bytes) else content.encode())
    return [(fault.line, fault.field) for fault in caught.value.faults]


def test_csv_columns_come_in_any_order_and_empty_cells_say_nothing():
    text = f'\ufeffname,source_url,metadata.label,upload_id,analyse,force\r\n"a, b.flac",{URL},早,,full,true\r\n\r\n,,,{UPLOAD},,\r\n'
    assert read_csv(text.encode()) == [
        (
            2,
            ManifestLine(
                source_url=URL, name="a, b.flac", metadata={"label": "早"}, analyse=AnalysisScope.FULL, force=True
            ),
        ),
        (4, ManifestLine(upload_id=UPLOAD)),
    ]


def test_json_lines_may_carry_any_metadata():
    text = (
        json.dumps({"source_url": URL, "metadata": {"n": 1, "tags": ["x"]}}) + "\r\n\n" + f'{{"upload_id":"{UPLOAD}"}}'
    )
    assert read_json_lines(text.encode()) == [
        (1, ManifestLine(source_url=URL, metadata={"n": 1, "tags": ["x"]})),
        (3, ManifestLine(upload_id=UPLOAD)),
    ]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", [(1, None)]),
        ("source_url\n", [(1, None)]),
        ("url,name\nx,y\n", [(1, None)]),
        ("source_url,source_url\nx,y\n", [(1, None)]),
        ("source_url,metadata\nx,y\n", [(1, None)]),
        (f"source_url,name\n{URL}\n{URL},a\n{URL},b,c\n", [(2, None), (4, None)]),
        (f"source_url,upload_id\n{URL},{UPLOAD}\n", [(2, None)]),
        ("upload_id\nnonsense\n", [(2, "upload_id")]),
        (f"upload_id\n{UPLOAD}\n{UPLOAD}\n", [(3, "upload_id")]),
        (f"source_url,analyse\n{URL},half\n", [(2, "analyse")]),
        (f'source_url\n"{URL}\n', [(2, None)]),
        (f"source_url\n{URL}\n\0\n", [(3, None)]),
        (f"source_url,metadata.x\n{URL},{'y' * 9000}\n", [(2, "metadata")]),
        (b"source_url\n\xff\n", [(2, None)]),
    ],
)
def test_csv_faults_are_told_with_their_lines(text: str | bytes, faults: list[tuple[int, str | None]]):
    assert faults_of(read_csv, text) == faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", [(1, None)]),
        ("[]\n{}\nnull\n{", [(1, None), (2, None), (3, None), (4, None)]),
        ('{"source_url": 7}', [(1, "source_url")]),
        ('{"source_url": "x", "extra": 1}', [(1, None)]),
        ('\n{"source_url": ""}', [(2, "source_url")]),
        ('{"source_url": "x", "metadata": []}', [(1, "metadata")]),
    ],
)
def test_json_faults_are_told_with_their_lines(text: str, faults: list[tuple[int, str | None]]):
    assert faults_of(read_json_lines, text) == faults


def test_no_more_lines_than_the_limit_and_no_more_faults_than_help():
    line = f"{URL}\n"
    assert len(read_csv(b"source_url\n" + line.encode() * LINES_LIMIT)) == LINES_LIMIT
    assert faults_of(read_csv, "source_url\n" + line * (LINES_LIMIT + 1)) == [(LINES_LIMIT + 2, None)]
    with pytest.raises(ManifestInvalid, match="Faults in 5000 lines") as caught:
        read_csv(b"upload_id\n" + b"x\n" * 5000)
    assert len(caught.value.faults) == 100


# --- over the API


async def new_batch(api: httpx.AsyncClient) -> str:
    return (await api.post("/api/v1/batches", json={"name": "manifest"})).json()["id"]


async def send(api: httpx.AsyncClient, batch_id: str, content: str, key: str | None = None, *, media_type="text/csv"):
    headers = {"content-type": media_type} | ({"idempotency-key": key} if key else {})
    return await api.post(f"/api/v1/batches/{batch_id}/manifest", content=content.encode(), headers=headers)


async def count(parts: WebParts, table: type) -> int:
    async with parts.store.reading() as uow:
        return await uow.session.scalar(select(func.count()).select_from(table)) or 0


async def add_upload(parts: WebParts, *, complete: bool = True) -> uuid.UUID:
    """A direct upload of the API key's."""
    upload = DirectUpload(
        id=new_id(),
        api_key_id=await key_id(parts, "tester"),
        name="long.wav",
        size_bytes=100,
        part_bytes=100,
        sha256="b" * 64 if complete else None,
        container=Container.WAV if complete else None,
        expires_at=utc_now(),
    )
    async with parts.store.writing() as uow:
        uow.session.add(upload)
    return upload.id


async def test_a_job_for_each_line(api: httpx.AsyncClient, parts: WebParts):
    batch_id, upload_id = await new_batch(api), await add_upload(parts)
    answer = await send(api, batch_id, f"source_url,upload_id,name,metadata.n\n{URL},,one.flac,1\n,{upload_id},,2\n")
    assert answer.status_code == 202, answer.text
    assert answer.json()["progress"]["total"] == 2
    jobs = (await api.get("/api/v1/jobs", params={"batch_id": batch_id})).json()["items"]
    assert {(job["asset"]["name"], job["metadata"]["n"]) for job in jobs} == {("one.flac", "1"), ("long.wav", "2")}
    assert (await count(parts, Source), await count(parts, DirectUpload)) == (1, 0)


async def test_jobs_come_in_the_order_of_the_lines_and_are_like_any_other(api: httpx.AsyncClient, parts: WebParts):
    batch_id, upload_id = await new_batch(api), await add_upload(parts)
    lines = [
        '{"source_url": "https://files.example/Tr%C3%BCb%20%26%20Klar.flac", "metadata": {"n": 0}, "analyse": "full"}'
    ]
    lines += [f'{{"source_url": "https://files.example/{n}.mp3", "force": true}}' for n in range(3)]
    lines += [f'{{"upload_id": "{upload_id}"}}', '{"source_url": "https://files.example/last.mp3", "name": "晨曲.mp3"}']
    await send(api, batch_id, "\n".join(lines), media_type="application/jsonl")
    single = {
        "source_url": "https://files.example/Tr%C3%BCb%20%26%20Klar.flac",
        "metadata": {"n": 0},
        "analyse": "full",
    }
    alone = await api.post("/api/v1/jobs", json={**single, "batch_id": batch_id})
    assert alone.status_code == 202, alone.text
    jobs = (await api.get("/api/v1/jobs", params={"batch_id": batch_id})).json()["items"][::-1]
    names = ["Trüb & Klar.flac", "0.mp3", "1.mp3", "2.mp3", "long.wav", "晨曲.mp3", "Trüb & Klar.flac"]
    assert [job["asset"]["name"] for job in jobs] == names
    async with parts.store.reading() as uow:
        made = [await uow.session.get_one(Job, uuid.UUID(jobs[place]["id"])) for place in (0, -1)]
        terms = [
            set(await uow.session.scalars(select(SearchTerm.term).where(SearchTerm.asset_id == job.asset_id)))
            for job in made
        ]
        sources = [await uow.session.get_one(Source, job.id) for job in made]
        created = select(func.count()).where(
            Event.type == EventType.JOB_CREATED, Event.job_id.in_([j.id for j in made])
        )
        assert await uow.session.scalar(created) == 2
    assert _comparable(made[0]) == _comparable(made[1])
    assert made[0].asset.sort_name == made[1].asset.sort_name == "trub & klar.flac"
    assert terms[0] == terms[1] != set()
    assert (sources[0].url, sources[0].force, sources[0].attempt) == (sources[1].url, sources[1].force, 0)
    async with parts.store.reading() as uow:
        assert (await uow.session.scalars(select(Source.force).order_by(Source.job_id))).all() == [
            False, True, True, True, False, False
        ]  # fmt: skip


def _comparable(job: Job) -> dict[str, object]:
    own = {"id", "asset_id", "created_at", "rung_at"}
    return {column.key: getattr(job, column.key) for column in inspect(Job).columns if column.key not in own}


async def test_one_wrong_line_keeps_all_out(api: httpx.AsyncClient, parts: WebParts):
    batch_id, open_upload = await new_batch(api), await add_upload(parts, complete=False)
    lines = [f"{URL},", f",{open_upload}", f",{UPLOAD}"]
    answer = await send(api, batch_id, "\n".join(["source_url,upload_id", *lines]))
    problem = assert_problem(answer, 400, "manifest_invalid")
    assert [(error["line"], error["field"]) for error in problem["errors"]] == [(3, "upload_id"), (4, "upload_id")]
    addresses = ["ftp://x/y", "https://user:pw@host/a", "http://10.0.0.1/a", "https://127.0.0.1/a", URL]
    problem = assert_problem(await send(api, batch_id, "\n".join(["source_url", *addresses])), 400, "manifest_invalid")
    assert [(error["line"], error["field"]) for error in problem["errors"]] == [(n, "source_url") for n in range(2, 6)]
    assert await count(parts, Job) == 0


async def test_a_manifest_can_be_sent_again_after_it_broke_off(api: httpx.AsyncClient, parts: WebParts, monkeypatch):
    monkeypatch.setattr(manifests, "_STEP", 2)
    batch_id, uploads = await new_batch(api), [await add_upload(parts) for _ in range(3)]
    content = "\n".join(["upload_id", *map(str, uploads)])
    submit = manifests.submit_direct_upload

    async def broken(uow, principal, upload_id, options):
        if upload_id == uploads[2]:
            raise RuntimeError("the power went")
        return await submit(uow, principal, upload_id, options)

    monkeypatch.setattr(manifests, "submit_direct_upload", broken)
    assert_problem(await send(api, batch_id, content, "once"), 500, "internal")
    assert await count(parts, Job) == 2
    monkeypatch.setattr(manifests, "submit_direct_upload", submit)
    for _ in range(2):
        answer = await send(api, batch_id, content, "once")
        assert (answer.status_code, answer.json()["progress"]["total"]) == (202, 3)
    assert await count(parts, IdempotentAnswer) == 2
    assert_problem(await send(api, batch_id, f"source_url\n{URL}", "once"), 422, "idempotency_key_reused")


async def test_what_is_no_manifest(api: httpx.AsyncClient, parts: WebParts):
    batch_id = await new_batch(api)
    assert_problem(await send(api, batch_id, "{}", media_type="application/json"), 415, "media_type_unsupported")
    assert_problem(await send(api, str(UPLOAD), f"source_url\n{URL}"), 404, "batch_not_found")
    assert_problem(await send(api, batch_id, "x" * 16_000_001), 413, "body_too_large")
