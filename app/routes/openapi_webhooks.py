"""The description of what Earmark posts to others: the section `webhooks` of the OpenAPI document."""

from __future__ import annotations

from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Schema,
)

from app.domain.jobs import EventType
from app.domain.webhooks import PUBLISHED

_SUMMARIES = {
    EventType.JOB_DONE: "A job is done",
    EventType.JOB_FAILED: "A job has failed",
    EventType.JOB_CANCELLED: "A job was cancelled",
    EventType.BATCH_DONE: "All jobs of a batch have ended",
    EventType.REVIEW_DECIDED: "People have decided on a genre",
}
_DESCRIPTION = """
Posted to the webhooks that want it, as the Standard Webhooks specification says. Answer 2xx within 15 seconds; anything else
counts as failure and comes again, up to nine times over three days. 410 switches the webhook off. Order is not promised, and
the same event may come twice: `webhook-id` tells.
"""
_HEADERS = {
    "webhook-id": "Id of the event: the same at every attempt",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970; refuse what is older than five minutes",
    "webhook-signature": "`v1,` and a signature in base64; after a rotation two of them with a space between",
}


def _message(event_type: EventType) -> Schema:
    about = "BatchEnd" if event_type is EventType.BATCH_DONE else "JobOut"
    return Schema(
        type=OpenAPIType.OBJECT,
        required=["type", "timestamp", "data"],
        properties={
            "type": Schema(type=OpenAPIType.STRING, enum=[event_type.value]),
            "timestamp": Schema(
                type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME, description="When it happened"
            ),
            "data": Reference(ref=f"#/components/schemas/{about}"),
        },
    )


def _operation(event_type: EventType) -> Operation:
    subject, verb = event_type.value.split(".")
    return Operation(
        operation_id=f"on{subject.capitalize()}{verb.capitalize()}",
        summary=_SUMMARIES[event_type],
        description=_DESCRIPTION.strip(),
        tags=["webhooks"],
        security=[],
        parameters=[
            Parameter(
                name=name,
                param_in="header",
                required=True,
                description=text,
                schema=Schema(type=OpenAPIType.STRING),
            )
            for name, text in _HEADERS.items()
        ],
        request_body=RequestBody(
            required=True, content={"application/json": OpenAPIMediaType(schema=_message(event_type))}
        ),
        responses={"2XX": OpenAPIResponse(description="Received")},
    )


def webhook_descriptions() -> dict[str, PathItem | Reference]:
    return {event_type.value: PathItem(post=_operation(event_type)) for event_type in sorted(PUBLISHED)}
