"""A job's own callback: told of the job's end like an endpoint, signed with the webhook secret of the submitter's API key."""

from __future__ import annotations

import uuid

from sqlalchemy.exc import IntegrityError

from app.db.models import JobCallback, WebhookEndpoint
from app.db.uow import UnitOfWork
from app.domain.addresses import IntranetHosts
from app.domain.permissions import Principal
from app.errors import CallbackNeedsKey
from app.integrations.addresses import check_url


async def add_callback(
    uow: UnitOfWork, principal: Principal, job_id: uuid.UUID, url: str, *, intranet: IntranetHosts
) -> None:
    """Have ``url`` told when the job is done, failed or cancelled. The job is in this transaction or before it.

    Raises:
        CallbackNeedsKey: the caller is no API key, so there is no secret to sign with.
        UrlRefused, AddressRefused: the address can't or must not be called.
    """
    check_callback(principal, url, intranet)
    assert principal.api_key_id is not None
    checked = check_url(url, intranet)
    origin = f"{checked.scheme}://{checked.netloc.decode('ascii')}"
    endpoint_id = await _lane(uow, principal.api_key_id, origin)
    uow.session.add(JobCallback(job_id=job_id, endpoint_id=endpoint_id, url=url))


def check_callback(principal: Principal, url: str, intranet: IntranetHosts) -> None:
    """Raises what ``add_callback`` would, before there is a job."""
    if principal.api_key_id is None:
        raise CallbackNeedsKey
    check_url(url, intranet)


async def _lane(uow: UnitOfWork, api_key_id: uuid.UUID, origin: str) -> uuid.UUID:
    """The endpoint that stands for all callbacks of a key to one host: a host that hangs delays only itself."""
    endpoint_id = uuid.uuid5(api_key_id, origin)
    if await uow.session.get(WebhookEndpoint, endpoint_id) is None:
        try:
            async with uow.session.begin_nested():
                uow.session.add(WebhookEndpoint(id=endpoint_id, url=origin, one_off=True, api_key_id=api_key_id))
        except IntegrityError:  # another transaction has just made it
            pass
    return endpoint_id
