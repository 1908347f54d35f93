"""The stream that tells a page which of its jobs have changed."""

from __future__ import annotations

from app.domain.ids import new_id
from app.routes.portal.events import changes
from tests.support.factories import claim, finish_job, make_job, make_principal


async def test_changes_arrive_by_the_doorbell(web, web_store):
    principal = await make_principal(web_store)
    job = await make_job(web_store, principal)
    stream = changes(web.state.parts, principal)
    assert (await anext(stream)).event == "ready"
    await finish_job(web_store, job.id)
    message = await anext(stream)
    assert (message.event, message.data) == ("job", str(job.id))
    await stream.aclose()


async def test_changes_arrive_without_a_doorbell(web, web_store, progress):
    progress.broken = True
    principal = await make_principal(web_store)
    waiting = await make_job(web_store, principal)
    stream = changes(web.state.parts, principal, look_again_s=0.05)
    assert (await anext(stream)).event == "ready"
    async with web_store.writing() as uow:
        await claim(uow, waiting.id, worker_id=new_id())
    assert (await anext(stream)).data == str(waiting.id)
    fresh = await make_job(web_store, principal)
    assert (await anext(stream)).data == str(fresh.id)
    await stream.aclose()


async def test_stream_ends_by_itself(web, web_store):
    stream = changes(web.state.parts, await make_principal(web_store), lifetime_s=0.05)
    assert [message.event async for message in stream] == ["ready"]
