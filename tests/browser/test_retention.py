"""The page on retention: what the form would do is told while it is filled in, and deleting is asked about."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import expect
from sqlalchemy import update

from app.db.models import Job
from app.domain.ids import utc_now
from app.domain.permissions import Role
from tests.support.browser import browsing
from tests.support.factories import finish_job, make_job, make_principal
from tests.support.portal import open_session

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_an_admin_sees_what_would_go_before_saving_it(browser, site):
    job = await make_job(site.store, await make_principal(site.store))
    await finish_job(site.store, job.id)
    async with site.store.writing() as uow:
        await uow.session.execute(update(Job).values(finished_at=utc_now() - timedelta(days=31)))
    async with browsing(browser, viewport={"width": 1100, "height": 800}) as context:
        await site.sign_in(context, await open_session(site.store, Role.ADMIN))
        page = await site.open_page(context)
        await page.goto(f"{site.url}/admin/retention")
        preview = page.locator("#retention-preview")
        await expect(preview).to_contain_text("Nothing is over its time.")
        await page.get_by_label("Days until the audio is deleted").fill("30")
        await page.get_by_label("Days until its entries are deleted").focus()
        await expect(preview).to_contain_text("Would delete the audio of recordings: 1")
        page.once("dialog", lambda dialog: dialog.accept())
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(".toast.good")).to_contain_text("Saved")
        await page.reload()
        await expect(page.get_by_label("Days until the audio is deleted")).to_have_value("30")
        assert await site.violations(page) == []
    assert site.trouble == []
