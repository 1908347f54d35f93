"""Webhooks, their deliveries and events, as callers see them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.domain.jobs import EventType
from app.domain.views import JobOut
from app.domain.webhooks import DEFAULT_OVERLAP_HOURS, MOST_OVERLAP_HOURS, DeliveryState, DisabledReason

Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2048,
        description="Where events are posted to: https, and public unless the operator has listed the host",
        examples=["https://hooks.example.com/earmark"],
    ),
]
EventTypes = Annotated[
    list[EventType], Meta(max_length=20, description="The types to be told of; empty: all", examples=[["job.done"]])
]
Description = Annotated[
    str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", description="What it is for", examples=["catalogue sync"])
]


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint that is wanted."""

    url: Url
    event_types: EventTypes = msgspec.field(default_factory=list)
    description: Description = ""


class EndpointChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed; what is left out stays."""

    url: Url | UnsetType = UNSET
    event_types: EventTypes | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    enabled: Annotated[bool | UnsetType, Meta(description="false: nothing is sent until it is true again")] = UNSET


class EndpointOut(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint, without its secret."""

    id: uuid.UUID
    url: Url
    event_types: EventTypes
    description: Description
    enabled: bool
    disabled_reason: Annotated[
        DisabledReason | None, Meta(description="gone: it answered 410; failing: every attempt of five days failed")
    ]
    disabled_at: datetime | None
    failing_since: Annotated[datetime | None, Meta(description="The first failure after the last success")]
    last_success_at: datetime | None
    previous_secret_until: Annotated[
        datetime | None, Meta(description="Until then the secret before the last rotation signs too")
    ]
    owner: Annotated[str | None, Meta(description="Name of the person or API key it belongs to")]
    created_at: datetime


class EndpointCreated(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint and its secret, which is shown this once; null where the request was a repetition."""

    endpoint: EndpointOut
    secret: Annotated[str | None, Meta(description="Verifies the signatures", examples=["whsec_MfKQ9r8G…"])]


class EndpointList(msgspec.Struct, frozen=True, kw_only=True):
    """All endpoints that the caller may manage, newest first."""

    items: list[EndpointOut]


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a secret is to be replaced."""

    overlap_hours: Annotated[
        int, Meta(ge=0, le=MOST_OVERLAP_HOURS, description="So long the old secret signs beside the new one")
    ] = DEFAULT_OVERLAP_HOURS


class AttemptOut(msgspec.Struct, frozen=True, kw_only=True):
    """One request, and what came back."""

    number: int
    sent_at: datetime
    duration_ms: float
    status: Annotated[int | None, Meta(description="HTTP status; null: no answer")]
    error: Annotated[str | None, Meta(description="Why there was no answer, or why it does not count as success")]
    request_headers: dict[str, str]
    response_headers: dict[str, str]
    response_body: Annotated[str, Meta(description="The first 4 KB")]


class DeliveryOut(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way to an endpoint."""

    id: uuid.UUID
    event_id: Annotated[uuid.UUID, Meta(description="The `webhook-id` of its requests: the same at every attempt")]
    event_type: EventType
    job_id: uuid.UUID | None
    batch_id: uuid.UUID | None
    url: Annotated[str, Meta(description="Where it goes")]
    state: DeliveryState
    attempts: int
    redelivery: Annotated[bool, Meta(description="Asked for by a person or program")]
    created_at: datetime
    next_attempt_at: Annotated[datetime | None, Meta(description="Null once the delivery has ended")]
    finished_at: datetime | None


class DeliveryDetail(DeliveryOut, frozen=True, kw_only=True):
    """A delivery with its requests and answers."""

    request_body: Annotated[str, Meta(description="The first 4 KB")]
    log: Annotated[list[AttemptOut], Meta(description="Newest first")]


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of deliveries, newest first."""

    items: list[DeliveryOut]
    next_cursor: Annotated[str | None, Meta(description="Give it as `cursor` to get the next page; null on the last")]


class RedeliveryRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries are to be repeated."""

    since: Annotated[datetime, Meta(tz=True, description="Deliveries created then or later")]
    include_delivered: Annotated[bool, Meta(description="Also those that have arrived")] = False


class RedeliveryOut(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries are on their way again."""

    count: Annotated[int, Meta(ge=0, description="At most 10,000: ask again for the rest")]


class BatchEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A batch whose last job has ended."""

    id: uuid.UUID
    name: str
    done: Annotated[int, Meta(ge=0)]
    failed: Annotated[int, Meta(ge=0)]
    cancelled: Annotated[int, Meta(ge=0)]


class EventMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What is posted to endpoints. Its id is the header `webhook-id`."""

    type: EventType
    timestamp: Annotated[datetime, Meta(description="When it happened")]
    data: Annotated[
        JobOut | BatchEnd | dict[str, str], Meta(description="The job without its windows, or the batch in numbers")
    ]


class EventOut(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. The same event has the same id in webhooks, and `job` or `batch` is there called `data`."""

    id: uuid.UUID
    type: EventType
    timestamp: Annotated[datetime, Meta(description="When it happened")]
    job: Annotated[
        JobOut | None, Meta(description="The job as it was then, without its windows; null for `batch.done`")
    ]
    batch: Annotated[BatchEnd | None, Meta(description="The batch in numbers, for `batch.done`")]


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events in the order of the feed."""

    items: list[EventOut]
    next_cursor: Annotated[str, Meta(description="Give it as `after` to go on, whether or not there are events yet")]
    has_more: Annotated[bool, Meta(description="True: ask on at once")]
