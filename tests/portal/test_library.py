"""The library's pages, as a browser gets them."""

from __future__ import annotations

import csv
import io
import re
import uuid
from zoneinfo import ZoneInfo

from app.domain.ids import new_id
from app.domain.permissions import Role
from app.services.accounts import session_of
from tests.support.factories import finish_job, make_job, make_principal, make_result
from tests.support.portal import SESSION_COOKIE, Person


async def _principal(store, person: Person):
    async with store.reading() as uow:
        signed_in = await session_of(uow, person.http.cookies[SESSION_COOKIE])
    assert signed_in is not None
    return signed_in.principal


def _rows(text: str) -> list[uuid.UUID]:
    return [uuid.UUID(found) for found in re.findall(r'<tbody id="recording-([\w-]+)"', text)]


async def test_empty_library_says_what_to_do(una):
    assert "No recordings yet" in (await una.get("/library")).text
    assert "No recording fits this" in (await una.get("/library?text=x")).text


async def test_the_old_list_leads_to_the_library(una):
    answer = await una.get("/jobs?genre=opera")
    assert (answer.status_code, answer.headers["location"]) == (301, "/library?genre=opera")


async def test_rows_show_tier_and_decision_as_words(una, web_store):
    principal = await _principal(web_store, una)
    for name, probability in (("good.mp3", 0.9), ("doubtful.mp3", 0.3)):
        job = await make_job(web_store, principal, name)
        await finish_job(web_store, job.id, make_result("soft_rock", probability))
    text = (await una.get("/library")).text
    assert re.search(r'class="badge high">High<', text)
    assert re.search(r'class="badge low">Low<', text)
    for words in ("Soft rock", "starter", "Check", "Morning", "The Larks"):
        assert words in text


async def test_filters_limit_the_list_and_give_it_an_address(una, web_store):
    principal = await _principal(web_store, una)
    rock, opera = [await make_job(web_store, principal, name) for name in ("rock.mp3", "opera.mp3")]
    await finish_job(web_store, rock.id, make_result("soft_rock", 0.9))
    await finish_job(web_store, opera.id, make_result("opera", 0.3))
    waiting = await make_job(web_store, principal, "waiting.mp3")
    found = {
        "state=queued": [waiting.id],
        "genre=opera&state=done": [opera.id],
        "tier=high": [rock.id],
        "review=waiting": [opera.id],
        "text=WAIT": [waiting.id],
        "by=me&order=oldest": [rock.id, opera.id, waiting.id],
        f"by=user-{principal.user_id}&tier=low": [opera.id],
        f"by=key-{new_id()}": [],
        f"batch={new_id()}": [],
        "since=2020-01-01&until=2020-01-02": [],
        "since=2020-01-01": [waiting.id, opera.id, rock.id],
        "state=&genre=nonsense&tier=x&batch=1&since=never&by=them&order=up": [waiting.id, opera.id, rock.id],
    }
    for query, expected in found.items():
        part = await una.get(f"/library?{query}", part=True)
        assert _rows(part.text) == expected, query
        assert "<html" not in part.text
    assert part.headers["hx-push-url"] == "/library"
    answer = await una.get("/library?text=a+b&state=&by=me", part=True)
    assert answer.headers["hx-push-url"] == "/library?text=a+b&by=me"
    page = await una.get("/library?state=done&tier=low")
    assert '<option value="done" selected>' in page.text
    assert '<details class="more-filters" open>' in page.text


async def test_days_begin_where_the_reader_is(una, web_store):
    job = await make_job(web_store, await _principal(web_store, una))
    una.http.cookies.set("earmark_time_zone", "Pacific/Kiritimati")  # 14 hours ahead: often tomorrow already
    day = job.created_at.astimezone(ZoneInfo("Pacific/Kiritimati")).date()
    assert _rows((await una.get(f"/library?since={day}&until={day}")).text) == [job.id]
    assert "UTC" not in (await una.get("/library")).text


async def test_show_more_leads_through_everything_once(una, web_store, monkeypatch):
    monkeypatch.setattr("app.routes.portal.library._PAGE_LENGTH", 4)
    principal = await _principal(web_store, una)
    jobs = [(await make_job(web_store, principal)).id for _ in range(10)]
    for order, expected in (("newest", jobs[::-1]), ("name", jobs)):
        text, seen = (await una.get(f"/library?order={order}")).text, []
        while True:
            seen += _rows(text)
            match = re.search(r'hx-get="(/library\?[^"]*cursor=[^"]+)"', text)
            if match is None:
                break
            text = (await una.get(match[1].replace("&amp;", "&"), part=True)).text
        assert seen == expected


async def test_row_and_detail(una, web_store):
    job = await make_job(web_store, await _principal(web_store, una))
    assert f'data-live="{job.id}"' in (await una.get(f"/library/{job.id}/row", part=True)).text
    await finish_job(web_store, job.id, make_result("soft_rock", 0.9))
    detail = (await una.get(f"/library/{job.id}/detail", part=True)).text
    assert detail.count("<li>") == 5
    assert f'src="/api/v1/jobs/{job.id}/audio"' in detail
    gone = await una.get(f"/library/{new_id()}/row", part=True)
    assert (gone.status_code, gone.text) == (200, "")


async def test_several_are_deleted_at_once_with_their_files(una, web, web_store):
    principal = await _principal(web_store, una)
    own = [await make_job(web_store, principal) for _ in range(2)]
    other = await make_job(web_store, await make_principal(web_store, name="Otto"))
    answer = await una.post(
        "/library/actions/delete", data={"job": [*(str(job.id) for job in (*own, other)), "nonsense"]}
    )
    assert answer.headers["hx-trigger"] == "library-changed"
    assert "Deleted: 2." in answer.text
    assert "Left as they are: 1" in answer.text
    assert _rows((await una.get("/library")).text) == [other.id]
    assert (await una.post("/library/actions/explode", data={"job": str(other.id)})).status_code == 404


async def test_viewers_are_offered_nothing_that_they_may_not_do(signed_in, web_store):
    viewer = await signed_in(Role.VIEWER)
    job = await make_job(web_store, await make_principal(web_store))
    assert "/library/actions/" not in (await viewer.get("/library")).text.replace("/library/actions/delete", "", 1)
    assert (await viewer.post("/library/actions/delete", data={"job": str(job.id)})).status_code == 403


async def test_export_of_the_chosen_and_of_all_that_fit(una, web_store):
    principal = await _principal(web_store, una)
    rock, opera = [await make_job(web_store, principal, name) for name in ("rock.mp3", "=opera.mp3")]
    await finish_job(web_store, rock.id, make_result("soft_rock", 0.9))
    for query, files in ((f"job={rock.id}", ["rock.mp3"]), ("text=opera", ["'=opera.mp3"]), ("text=none", [])):
        answer = await una.get(f"/library/export/csv?{query}")
        assert "attachment" in answer.headers["content-disposition"]
        table = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert [row[0] for row in table[1:]] == files, query
    assert (await una.get("/library/export/xlsx")).content.startswith(b"PK")
    assert (await una.get("/library/export/pdf")).status_code == 404
    assert opera.id


async def test_saved_views(una, signed_in, web):
    from_page = {"hx-current-url": "http://127.0.0.1:8080/library?tier=low&text=%E5%B9%BF&cursor=x"}
    token = await una.token()
    headers = {"x-csrf-token": token, "hx-request": "true", **from_page}
    saved = await una.http.post("/library/views", data={"name": "  Doubtful \n ones ", "shared": "1"}, headers=headers)
    assert saved.headers["hx-redirect"] == "/library?text=%E5%B9%BF&tier=low"
    page = (await una.get("/library")).text
    assert "Doubtful ones" in page
    [view_id] = re.findall(r"/library/views/([\w-]+)/delete", page)
    otto = await signed_in(Role.VIEWER)
    shown = (await otto.get("/library")).text
    assert "Doubtful ones" in shown
    assert "/delete" not in shown.replace("/library/actions/delete", "")
    assert (await otto.post(f"/library/views/{view_id}/delete")).status_code == 404
    await una.post(f"/library/views/{view_id}/delete")
    assert "Doubtful ones" not in (await una.get("/library")).text


async def test_there_is_an_end_to_saved_views(una, monkeypatch):
    monkeypatch.setattr("app.services.saved_views.VIEWS_PER_PERSON", 1)
    assert (await una.post("/library/views", data={"name": "one"})).status_code == 200
    assert (await una.post("/library/views", data={"name": "one"})).status_code == 200
    assert (await una.post("/library/views", data={"name": "two"})).status_code == 409
