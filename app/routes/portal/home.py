"""The start page, where recordings are dropped; help; and the language."""

from __future__ import annotations

from datetime import timedelta

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Redirect, Template

from app.domain.permissions import Permission
from app.errors import NotFound
from app.i18n import LANGUAGES
from app.routes.auth import safe_next
from app.routes.deps import Caller, Parts, ReadUow, WebRequest
from app.routes.guards import needs, public
from app.routes.pages import LANGUAGE_COOKIE, page
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import HelpPage, JobRow, UploadPage
from app.routes.uploads import accept_upload
from app.services.jobs import JobFilter, list_jobs

_RECENT = 5
_COOKIE_LIFETIME = timedelta(days=365)


@get("/", opt=needs(Permission.JOBS_READ))
async def home(
    request: WebRequest, parts: Parts, caller: Caller, *, read_uow: ReadUow, notices: AllNotices
) -> Template:
    recent = await list_jobs(read_uow, caller, JobFilter(), limit=_RECENT)
    view = UploadPage(
        notices=notices,
        limit_bytes=parts.preferences.value.upload_limit_bytes,
        recent=recent.items,
        may_upload=caller.may(Permission.JOBS_CREATE),
        as_batch="batch" in request.query_params,
    )
    return page(request, "upload/upload.html", view)


@post("/uploads", opt=needs(Permission.JOBS_CREATE), status_code=202, request_max_body_size=None)
async def upload(request: WebRequest, parts: Parts, caller: Caller) -> Template | Response[str]:
    """One file; answers its row in the table, but not for a batch, whose page sums up. The receiver counts the bytes itself."""
    job = await accept_upload(request, parts, caller)
    if job.batch_id is not None:
        return Response("", status_code=202, media_type=MediaType.HTML)
    return page(request, "jobs/row.html", JobRow(job=job), status_code=202)


@get("/help", opt=needs(Permission.JOBS_READ))
async def help_page(request: WebRequest, parts: Parts, notices: AllNotices) -> Template:
    view = HelpPage(
        notices=notices,
        limit_bytes=parts.preferences.value.upload_limit_bytes,
        review_threshold=parts.preferences.value.review_threshold,
    )
    return page(request, "help/help.html", view)


@get("/language/{code:str}", opt=public("a wish about how texts look, kept by the browser"))
async def choose_language(request: WebRequest, parts: Parts, code: FromPath[str]) -> Redirect:
    if code not in LANGUAGES:
        raise NotFound
    cookie = Cookie(
        key=LANGUAGE_COOKIE,
        value=code,
        path="/",
        max_age=int(_COOKIE_LIFETIME.total_seconds()),
        secure=parts.config.https,
        httponly=True,
        samesite="lax",
    )
    return Redirect(safe_next(request.query_params.get("next")), status_code=303, cookies=[cookie])
