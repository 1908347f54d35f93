"""The ways to submit a recording, described by hand: the body streams past Litestar."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.openapi.spec import (
    Example,
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)

from app.domain.jobs import AnalysisScope, JobKind
from app.domain.media import NAME_LIMIT
from app.domain.submissions import URL_LIMIT

_AUDIO = "MP3, WAV, FLAC, OGG, Opus, M4A, AAC or WebM"
_BINARY = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description=_AUDIO)
_ID = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.UUID)

Properties = dict[str, Schema | Reference]


def _options() -> Properties:
    return {
        "kind": Schema(type=OpenAPIType.STRING, enum=list(JobKind), default=JobKind.GENRE),
        "analyse": Schema(
            type=OpenAPIType.STRING,
            enum=list(AnalysisScope),
            default=AnalysisScope.START,
            description="The first 30 s, or all of it",
        ),
        "batch_id": Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.UUID, description="The batch to add it to"),
        "name": Schema(
            type=OpenAPIType.STRING, min_length=1, max_length=NAME_LIMIT, description="File name, if not its own"
        ),
        "callback_url": Schema(
            type=OpenAPIType.STRING,
            max_length=URL_LIMIT,
            description="Called once the job has ended, signed with the API key's webhook secret",
        ),
        "force": Schema(
            type=OpenAPIType.BOOLEAN, default=False, description="Analyse it even if the same audio is known"
        ),
    }


def _form() -> Schema:
    metadata = Schema(type=OpenAPIType.STRING, description="Your own words about it: a JSON object")
    properties: Properties = {"file": _BINARY, **_options(), "metadata": metadata}
    return Schema(type=OpenAPIType.OBJECT, required=["file"], properties=properties)


def _json() -> Schema:
    properties: Properties = {
        "source_url": Schema(
            type=OpenAPIType.STRING,
            max_length=URL_LIMIT,
            description="Where to fetch the recording from: https, a signed address is fine. Either this or `upload_id`",
        ),
        "upload_id": Schema(
            type=OpenAPIType.STRING,
            format=OpenAPIFormat.UUID,
            description="A complete upload of `POST /api/v1/uploads`. Either this or `source_url`",
        ),
        **_options(),
        "metadata": Schema(
            type=OpenAPIType.OBJECT,
            additional_properties=True,
            description="Your own words about it: up to 8 KB as JSON",
        ),
    }
    return Schema(type=OpenAPIType.OBJECT, properties=properties, additional_properties=False)


def _by_address() -> Example:
    value = {"source_url": "https://archive.example/masters/morning.flac", "metadata": {"catalogue_number": "EM-1204"}}
    return Example(summary="By address", value=value)


@dataclass
class SubmitOperation(Operation):
    """Its body, in each of its forms."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            required=True,
            content={
                "multipart/form-data": OpenAPIMediaType(schema=_form()),
                "application/json": OpenAPIMediaType(schema=_json(), examples={"by_address": _by_address()}),
                "application/octet-stream": OpenAPIMediaType(schema=_BINARY),
                "audio/*": OpenAPIMediaType(schema=_BINARY),
            },
        )


@dataclass
class PartOperation(Operation):
    """The body of a part of an upload."""

    def __post_init__(self) -> None:
        schema = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        self.request_body = RequestBody(required=True, content={"application/octet-stream": OpenAPIMediaType(schema)})
