"""Reports: what each format says of each job, and that no format can be made to do more than say it."""

from __future__ import annotations

import csv
import io
import json
import uuid
import zipfile
from collections.abc import AsyncIterator

import httpx
import jams
import openpyxl
import pytest
from sqlalchemy import select

from app.db.models import Job, Review, ReviewDecision
from app.db.uow import Store, UnitOfWork
from app.domain.failures import Failure, FailureCode
from app.domain.ids import new_id
from app.domain.permissions import Principal
from app.domain.reports import ReportFormat, ReportRow
from app.i18n import reader_for
from app.routes.deps import WebParts
from app.services import batches, reports
from app.services.analyses import FileFacts, record_failure, record_result
from app.services.jobs import JobFilter
from tests.support.factories import PREFERENCES, claim, finish_job, make_job, make_principal, make_result

FACTS = FileFacts(duration_s=31.5, sample_rate_hz=44_100, channels=2, title="=1+1", artist="李香兰")


async def whole(content: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in content])


async def make_jobs(store: Store, una: Principal) -> list[str]:
    """One that is done and decided on, one that failed, one that waits; returns their ids."""
    made = [await make_job(store, una, name) for name in ("早晨.mp3", "-broken.mp3", "waiting, long.mp3")]
    async with store.writing() as uow:
        taken = await claim(uow, made[0].id)
    async with store.writing() as uow:
        await record_result(uow, taken, make_result("soft_rock", 0.55), FACTS, defaults=PREFERENCES)
    async with store.writing() as uow:
        await record_failure(uow, await claim(uow, made[1].id), Failure(FailureCode.AUDIO_CORRUPT))
        await decide(uow, made[0].id, "opera")
    return [str(job.id) for job in made]


async def decide(uow: UnitOfWork, job_id: uuid.UUID, label: str) -> None:
    job = await uow.session.get(Job, job_id)
    job.label = label
    review = (await uow.session.scalars(select(Review).where(Review.job_id == job_id))).one()
    for name in ("Rita", "Rolf"):
        uow.session.add(
            ReviewDecision(
                review_id=review.id,
                reviewer_id=new_id(),
                reviewer=name,
                genre=label,
                proposed_genre="soft_rock",
                proposed_probability=0.55,
            )
        )


@pytest.fixture
async def job_ids(store: Store, una: Principal) -> list[str]:
    return await make_jobs(store, una)


async def test_a_row_says_what_is_known_of_a_job(store: Store, una: Principal, job_ids, monkeypatch):
    monkeypatch.setattr(reports, "_PAGE_ROWS", 2)  # so that there are two pages
    content = await whole(reports.report(store.reading, una, JobFilter(), ReportFormat.JSON_LINES))
    done, failed, waiting = [json.loads(line) for line in content.splitlines()]
    assert list(done) == list(ReportRow.__struct_fields__)
    assert [row["job_id"] for row in (done, failed, waiting)] == job_ids
    assert (done["file"], done["title"], done["artist"]) == ("早晨.mp3", "=1+1", "李香兰")
    assert (done["top_1"], done["tier"], done["final_label"]) == ("soft_rock", "medium", "opera")
    assert done["probability"] == pytest.approx(0.55)
    assert next(score["genre"] for score in done["top_5"]) == "soft_rock"
    assert len(done["top_5"]) == 5
    assert done["reviewer"] == "Rita, Rolf"
    assert done["analysis_s"] == pytest.approx(0.111)
    assert (failed["state"], failed["error"], failed["top_5"]) == ("failed", "audio_corrupt", [])
    assert (waiting["state"], waiting["error"], waiting["top_1"]) == ("queued", None, None)
    assert json.loads(await whole(reports.report(store.reading, una, JobFilter(), ReportFormat.JSON))) == [
        done,
        failed,
        waiting,
    ]


async def test_csv_is_readable_by_excel_and_carries_no_formula(store: Store, una: Principal, job_ids):
    content = await whole(reports.report(store.reading, una, JobFilter(), ReportFormat.CSV))
    assert content.startswith(b"\xef\xbb\xbf")
    header, done, failed, waiting = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    assert header == list(ReportRow.__struct_fields__)
    assert done[:6] == ["早晨.mp3", "'=1+1", "李香兰", "soft_rock", "0.55", "medium"]
    assert done[6].startswith("soft_rock 0.5500; ")
    assert (failed[0], failed[-1]) == ("'-broken.mp3", "audio_corrupt")
    assert waiting[0] == "waiting, long.mp3"


async def test_tables_speak_the_readers_language(store: Store, una: Principal, job_ids):
    reader = reader_for("zh", "Asia/Shanghai")
    content = await whole(reports.report(store.reading, una, JobFilter(), ReportFormat.CSV, reader=reader))
    header, done, failed, _ = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    assert header[0] == reader.gettext("File") != "File"
    assert done[3] == reader.gettext("Soft rock") != "Soft rock"
    assert done[10].endswith("+08:00")
    assert failed[-1] == reader.gettext("The audio is damaged") != "The audio is damaged"


async def test_no_name_begins_a_formula(sqlite_store: Store):
    una = await make_principal(sqlite_store)
    titles = [f"{start}cmd|' /C calc'!A0" for start in ("=", "+", "-", "@", "\t", "\r", "＝")]
    for title in titles:
        job = await make_job(sqlite_store, una)
        facts = FileFacts(duration_s=1, sample_rate_hz=8000, channels=1, title=title, artist=None)
        async with sqlite_store.writing() as uow:
            await record_result(uow, await claim(uow, job.id), make_result(), facts, defaults=PREFERENCES)
    content = await whole(reports.report(sqlite_store.reading, una, JobFilter(), ReportFormat.CSV))
    _, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert [row[1] for row in rows] == [f"'{title}" for title in titles]


async def test_a_workbook_holds_texts_and_numbers_only(store: Store, una: Principal, job_ids):
    content = await whole(reports.report(store.reading, una, JobFilter(), ReportFormat.XLSX))
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    header, done, *_ = sheet.iter_rows()
    assert [cell.value for cell in header] == list(ReportRow.__struct_fields__)
    assert (done[0].value, done[1].value, done[1].data_type) == ("早晨.mp3", "=1+1", "s")
    assert (done[4].value, done[4].data_type) == (0.55, "n")
    assert sheet.max_row == 4


async def test_a_workbook_goes_on_in_another_sheet(sqlite_store: Store, monkeypatch):
    monkeypatch.setattr("app.services.report_tables._SHEET_ROWS", 3)
    una = await make_principal(sqlite_store)
    for number in range(5):
        await make_job(sqlite_store, una, f"{number}.mp3")
    content = await whole(reports.report(sqlite_store.reading, una, JobFilter(), ReportFormat.XLSX))
    sheets = openpyxl.load_workbook(io.BytesIO(content)).worksheets
    names = [[row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] for sheet in sheets]
    assert names == [["0.mp3", "1.mp3"], ["2.mp3", "3.mp3"], ["4.mp3"]]


# The library's own use of the one below it.
@pytest.mark.filterwarnings("ignore:Passing a schema to Validator:DeprecationWarning")
async def test_jams_documents_are_valid(store: Store, una: Principal, job_ids):
    content = await whole(reports.report(store.reading, una, JobFilter(), ReportFormat.JAMS))
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.namelist() == [f"{job_ids[0]}.jams"]
    document = jams.load(io.StringIO(archive.read(f"{job_ids[0]}.jams").decode()), validate=True, strict=True)
    whole_recording, windows, people = document.annotations
    assert document.file_metadata.artist == "李香兰"
    assert next((tag.value, tag.confidence) for tag in whole_recording.data) == ("soft_rock", pytest.approx(0.55))
    assert [tag.time for tag in windows.data] == [0.0, 11.4]
    assert [tag.value for tag in people.data] == ["opera"]
    assert people.annotation_metadata.annotator["names"] == ["Rita", "Rolf"]


async def test_reports_on_nothing(sqlite_store: Store):
    una = await make_principal(sqlite_store)
    texts = {kind: await whole(reports.report(sqlite_store.reading, una, JobFilter(), kind)) for kind in ReportFormat}
    assert texts[ReportFormat.JSON] == b"[]\n"
    assert texts[ReportFormat.JSON_LINES] == b""
    assert len(texts[ReportFormat.CSV].splitlines()) == 1
    assert openpyxl.load_workbook(io.BytesIO(texts[ReportFormat.XLSX])).active.max_row == 1
    assert zipfile.ZipFile(io.BytesIO(texts[ReportFormat.JAMS])).namelist() == []


async def test_a_report_says_nothing_of_other_peoples_private_batches(store: Store, una: Principal, ute: Principal):
    async with store.writing() as uow:
        hidden = (await batches.create_batch(uow, una, "mine", private=True)).id
    await make_job(store, una, "secret.mp3", batch_id=hidden)
    for wanted in (JobFilter(), JobFilter(batch_id=hidden)):
        for kind in (ReportFormat.JSON, ReportFormat.JAMS):
            assert b"secret" not in await whole(reports.report(store.reading, ute, wanted, kind))
        assert b"secret" in await whole(reports.report(store.reading, una, wanted, ReportFormat.JSON))


# --- over the API


async def test_each_format_has_its_address(api: httpx.AsyncClient, parts: WebParts):
    batch = (await api.post("/api/v1/batches", json={"name": "Frühling; 春"})).json()
    una = await make_principal(parts.store)
    job = await make_job(parts.store, una, "a.mp3")
    await finish_job(parts.store, job.id)
    for kind in ReportFormat:
        answer = await api.get(f"/api/v1/batches/{batch['id']}/report.{kind}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] == kind.media_type
        assert answer.headers["content-disposition"].endswith(f"filename*=UTF-8''Fr%C3%BChling%3B%20%E6%98%A5.{kind}")
        assert (await api.get(f"/api/v1/jobs/report.{kind}", params={"state": "done"})).status_code == 200
    lines = (await api.get("/api/v1/jobs/report.csv", params={"language": "en"})).text.splitlines()
    assert lines[0].startswith("\ufeffFile,Title")
    assert lines[1].startswith("a.mp3,Morning,The Larks,Soft rock")
    assert (await api.get("/api/v1/jobs/report.csv", params={"state": "failed"})).text.count("\n") == 1


# The library's own use of the one below it.
@pytest.mark.filterwarnings("ignore:Passing a schema to Validator:DeprecationWarning")
async def test_one_result_as_jams(api: httpx.AsyncClient, parts: WebParts):
    job = await make_job(parts.store, await make_principal(parts.store))
    address = f"/api/v1/jobs/{job.id}/result.jams"
    assert (await api.get(address)).json()["code"] == "result_not_ready"
    await finish_job(parts.store, job.id)
    document = jams.load(io.StringIO((await api.get(address)).text), validate=True, strict=True)
    assert document.file_metadata.title == "Morning"
    assert (await api.get("/api/v1/jobs/01a1fc6c-30aa-7b91-8f0e-0d9d3d6d7f21/result.jams")).status_code == 404


@pytest.mark.parametrize("path", ["report.csv?language=fr", "report.pdf"])
async def test_what_there_is_no_report_in(api: httpx.AsyncClient, path: str):
    assert (await api.get(f"/api/v1/jobs/{path}")).status_code in {400, 404}
