"""What a submitter says about a job: as query parameters, form fields or JSON, always of the same names."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar.exceptions import ValidationException
from msgspec import Meta

from app.domain.jobs import AnalysisScope, JobKind
from app.domain.submissions import ATTRIBUTES_LIMIT_BYTES, URL_LIMIT, FileName, JobOptions
from app.errors import KindUnknown
from app.routes.deps import WebConfig


class JobFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a job. Strings are understood where they come from a form."""

    kind: str = JobKind.GENRE
    analyse: AnalysisScope = AnalysisScope.START
    batch_id: uuid.UUID | None = None
    name: FileName | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    callback_url: Annotated[str, Meta(max_length=URL_LIMIT)] | None = None
    force: bool = False


class JobReference(JobFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recording that is somewhere else: behind an address, or sent in parts before."""

    source_url: Annotated[str, Meta(max_length=URL_LIMIT)] | None = None
    upload_id: uuid.UUID | None = None


_TOO_DEEP = "nested too deeply"
FIELD_NAMES = JobFields.__struct_fields__


def invalid(message: str, name: str | None = None, source: str = "body") -> ValidationException:
    """A 400 whose ``errors`` say what is wrong with which value."""
    return ValidationException(extra=[{"message": message, "key": name, "source": source}])


def _wrong_value(error: msgspec.ValidationError) -> ValidationException:
    """msgspec ends its message with the path of the value: ``Expected `uuid` - at `$.batch_id` ``."""
    message, _, path = str(error).partition(" - at `$.")
    return invalid(message, path.rstrip("`") or None)


def fields_of_texts(values: Mapping[str, str]) -> JobFields:
    """Of form fields and query parameters; those of other names are not meant for us.

    Raises:
        ValidationException
    """
    known: dict[str, Any] = {name: values[name] for name in FIELD_NAMES if values.get(name)}
    try:
        if "metadata" in known:
            known["metadata"] = msgspec.json.decode(known["metadata"])
        return msgspec.convert(known, JobFields, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong_value(error) from None
    except msgspec.DecodeError:
        raise invalid("not JSON", "metadata") from None
    except RecursionError:
        raise invalid(_TOO_DEEP, "metadata") from None


def reference_of_json(content: bytes, said: Mapping[str, str]) -> JobReference:
    """``said``: query parameters, which count where the JSON says nothing.

    Raises:
        ValidationException: it is not JSON, a value is wrong, or it says not exactly where the recording is.
    """
    try:
        values = msgspec.json.decode(content, type=dict[str, Any])
        reference = msgspec.convert(values, JobReference)
    except msgspec.ValidationError as error:
        raise _wrong_value(error) from None
    except msgspec.DecodeError as error:
        raise invalid(str(error)) from None
    except RecursionError:
        raise invalid(_TOO_DEEP) from None
    if (reference.source_url is None) == (reference.upload_id is None):
        raise invalid("Give either source_url or upload_id")
    beside = {name: text for name, text in said.items() if name not in values}
    fields = fields_of_texts(beside)
    return msgspec.structs.replace(reference, **{name: getattr(fields, name) for name in beside})


def options_of(fields: JobFields, config: WebConfig) -> JobOptions:
    """
    Raises:
        KindUnknown
        ValidationException: the metadata are too long.
    """
    if len(msgspec.json.encode(fields.metadata)) > ATTRIBUTES_LIMIT_BYTES:
        raise invalid(f"Expected at most {ATTRIBUTES_LIMIT_BYTES} bytes as JSON", "metadata")
    return JobOptions(
        kind=_kind_of(fields.kind),
        scope=fields.analyse,
        batch_id=fields.batch_id,
        attributes=fields.metadata,
        callback_url=fields.callback_url,
        intranet=config.intranet,
        force=fields.force,
    )


def _kind_of(wanted: str) -> JobKind:
    try:
        return JobKind(wanted)
    except ValueError:
        raise KindUnknown(kind=wanted, known=", ".join(JobKind)) from None
