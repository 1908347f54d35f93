"""The error tree: every foreseen failure is a class of its own, with a stable code, a kind and its words.

EarmarkError
├── Invalid        the request can't be served as it is              400
├── Unauthenticated  nobody, or nobody we know                       401
├── Forbidden      known, but not allowed                            403
├── NotFound       no such thing (or not for this caller)            404
├── Conflict       the thing is not in a state that allows it        409
├── MethodNotAllowed  there is something here, but not for this verb  405
├── TooLarge       over a size limit                                 413
├── Unsupported    not a kind of file we can hear                    415
├── Unprocessable  understood, but it contradicts itself             422
├── TooMany        more than this caller may ask for                 429
├── Unavailable    a part is down or busy: try again later           503
└── Unexpected     a bug: the log has the traceback                  500

The kind decides the HTTP status (``app.routes.problems``) and whether a worker tries again. The words are message ids: the
API answers them in English, the portal in the reader's language, both with the same parameters filled in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


def N_(message: str) -> str:  # noqa: N802  the name gettext's extractors look for
    """Mark a text for translation without translating it yet."""
    return message


class EarmarkError(Exception):
    """Root of all foreseen failures. Keyword arguments fill the placeholders of ``detail``."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = N_("Something went wrong")
    detail: ClassVar[str] = N_("The request could not be completed.")

    def __init__(self, **params: str | float) -> None:
        self.params = params
        super().__init__(self.detail.format(**params))


class Invalid(EarmarkError):
    code = "invalid"
    title = N_("The request is not valid")


class Unauthenticated(EarmarkError):
    code = "unauthenticated"
    title = N_("Please sign in")
    detail = N_("This needs a signed-in person or an API key.")


class TokenRefused(Unauthenticated):
    code = "token_refused"
    title = N_("The credentials are not valid")
    detail = N_("This API key or token is unknown, has expired or was revoked, or is not meant for Earmark.")


class Forbidden(EarmarkError):
    code = "forbidden"
    title = N_("Not allowed")
    detail = N_("Your role does not allow this.")


class NotFound(EarmarkError):
    code = "not_found"
    title = N_("Not found")
    detail = N_("There is nothing here, or it has been deleted.")


class Conflict(EarmarkError):
    code = "conflict"
    title = N_("Not possible now")


class MethodNotAllowed(EarmarkError):
    code = "method_not_allowed"
    title = N_("Not possible here")
    detail = N_("This address does not answer to {method}.")


class TooLarge(EarmarkError):
    code = "too_large"
    title = N_("The file is too large")
    detail = N_("The file is larger than the limit of {limit_mb} MB.")


class Unsupported(EarmarkError):
    code = "unsupported_audio"
    title = N_("Not a supported audio file")
    detail = N_("The content of this file is not MP3, WAV, FLAC, OGG, Opus, M4A, AAC or WebM audio.")


class Unprocessable(EarmarkError):
    code = "unprocessable"
    title = N_("The request contradicts itself")


class TooMany(EarmarkError):
    code = "rate_limited"
    title = N_("Too many requests")
    detail = N_("Up to {limit} requests in {window_s} s are allowed. Please try again in {retry_after_s} s.")


class Unavailable(EarmarkError):
    code = "unavailable"
    title = N_("Temporarily unavailable")
    detail = N_("A part of Earmark is not reachable right now. Please try again in a moment.")


class Unexpected(EarmarkError):
    code = "internal"
    title = N_("An unexpected error")
    detail = N_("This should not have happened. It is in the log under the number {error_id}.")


# --- requests


class RequestMalformed(Invalid):
    code = "request_malformed"
    title = N_("The request is not well formed")
    detail = N_("The request could not be read.")


class ValidationFailed(Invalid):
    code = "validation_failed"
    title = N_("A value is not valid")
    detail = N_("At least one value of the request is missing or not of the right form.")


class CursorInvalid(Invalid):
    code = "cursor_invalid"
    title = N_("The cursor is not valid")
    detail = N_("Use the value of next_cursor as it was given, or none to start at the newest.")


class BodyTooLarge(TooLarge):
    code = "body_too_large"
    title = N_("The request is too large")
    detail = N_("The body of this request is larger than this address accepts.")


class MediaTypeUnsupported(Unsupported):
    code = "media_type_unsupported"
    title = N_("Unsupported kind of body")
    detail = N_("This address does not accept a body of this Content-Type.")


class UrlRefused(Invalid):
    code = "url_refused"
    title = N_("The address can't be called")
    detail = N_("Give a complete https:// address without user name and password.")


class HostUnknown(Invalid):
    code = "host_unknown"
    title = N_("Unknown host")
    detail = N_("The host name “{host}” has no address.")


class AddressRefused(Invalid):
    code = "address_refused"
    title = N_("The address must not be called")
    detail = N_(
        "“{host}” lies inside a private network. "
        "Whoever runs this server can allow it with the setting EARMARK_INTRANET_HOSTS."
    )


class IdempotencyKeyReused(Unprocessable):
    code = "idempotency_key_reused"
    title = N_("The Idempotency-Key was used before")
    detail = N_("This Idempotency-Key came with another request in the last 24 hours. Use a new one for a new request.")


class WebhookNotFound(NotFound):
    code = "webhook_not_found"
    title = N_("No such webhook")
    detail = N_("There is no such webhook, or it belongs to somebody else.")


class DeliveryNotFound(NotFound):
    code = "delivery_not_found"
    title = N_("No such delivery")
    detail = N_("There is no such delivery, or it was so long ago that it has been deleted.")


class WebhookDisabled(Conflict):
    code = "webhook_disabled"
    detail = N_("The webhook is switched off. Switch it on first.")


class WebhookLimit(Conflict):
    code = "webhook_limit"
    detail = N_("Nobody can have more than {limit} webhooks. Delete one that is not needed any more.")


class EventTypeUnknown(Invalid):
    code = "event_type_unknown"
    title = N_("Nobody is told of these events")
    detail = N_("“{type}” is not an event that webhooks are told of.")


class CallbackNeedsKey(Invalid):
    code = "callback_needs_key"
    title = N_("A callback needs an API key")
    detail = N_(
        "A callback is signed with the webhook secret of an API key: submit the job with a key, or make a webhook."
    )


class CsrfFailed(Forbidden):
    code = "csrf_failed"
    title = N_("Please reload the page")
    detail = N_("The request did not carry this session's token. Reload the page and try again.")


class HostRefused(Forbidden):
    code = "host_refused"
    title = N_("Unknown host name")
    detail = N_("Earmark runs in local mode and answers only to this machine's own names, such as localhost.")


# --- uploads


class FileMissing(Invalid):
    code = "file_missing"
    title = N_("No file was sent")
    detail = N_(
        "Send the audio as the form field “file”, as the body with a Content-Type of audio, or its address as JSON."
    )


class FileEmpty(Invalid):
    code = "file_empty"
    title = N_("The file is empty")
    detail = N_("The file has no content.")


class UploadMalformed(Invalid):
    code = "upload_malformed"
    title = N_("The upload is not well formed")
    detail = N_("The body is not a complete multipart/form-data request.")


class KindUnknown(Invalid):
    code = "kind_unknown"
    title = N_("Unknown kind of job")
    detail = N_("“{kind}” is not a kind of job this server can do. Known kinds: {known}.")


class UploadNotFound(NotFound):
    code = "upload_not_found"
    title = N_("No such upload")
    detail = N_("There is no such upload, it has expired, or a job has been made of it already.")


class UploadIncomplete(Conflict):
    code = "upload_incomplete"
    title = N_("The upload is not complete")
    detail = N_("Send all parts, then complete the upload.")


class PartsMissing(Conflict):
    code = "parts_missing"
    title = N_("Parts are missing")
    detail = N_("These parts are missing or not of the announced size: {parts}. Send them again, then complete.")


class UploadLimit(Conflict):
    code = "upload_limit"
    title = N_("Too many open uploads")
    detail = N_("Up to {most} uploads can be open at once. Complete or delete one of them.")


class PartAddressRefused(Forbidden):
    code = "part_address_refused"
    title = N_("The address of the part is not valid")
    detail = N_("Use the address as it was given, before the upload expires.")


# --- jobs


class JobNotFound(NotFound):
    code = "job_not_found"
    title = N_("No such job")
    detail = N_("There is no such job, or it has been deleted.")


class JobStateConflict(Conflict):
    code = "job_state_conflict"
    detail = N_("The job is {state}; this can only be done while it is {allowed}.")


class AudioGone(NotFound):
    code = "audio_gone"
    title = N_("The audio is not kept")
    detail = N_("The file could not be analysed, so it was not kept. Please upload it again.")


class SpectrogramNotReady(Conflict):
    code = "spectrogram_not_ready"
    title = N_("No spectrogram yet")
    detail = N_("The spectrogram is there once the job is done.")


class ExampleUnfit(Conflict):
    code = "example_unfit"
    detail = N_("Only a reviewed recording whose audio is kept, and that is in no private batch, can be an example.")


class GenreNotFound(NotFound):
    code = "genre_not_found"
    title = N_("No such genre")
    detail = N_("There is no genre called “{genre}”.")


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong in one line of a list."""

    line: int
    message: str
    field: str | None = None


class ManifestInvalid(Invalid):
    """``faults`` are the first of them."""

    code = "manifest_invalid"
    title = N_("The manifest is not valid")
    detail = N_("Faults in {count} lines, so nothing was added.")

    def __init__(self, faults: Sequence[LineFault], *, count: int) -> None:
        self.faults = faults
        super().__init__(count=count)


class ResultNotReady(Conflict):
    code = "result_not_ready"
    title = N_("No result yet")
    detail = N_("The result is there once the job is done.")


class BatchNotFound(NotFound):
    code = "batch_not_found"
    title = N_("No such batch")
    detail = N_("There is no such batch, or it has been deleted.")


class ModelNotFound(NotFound):
    code = "model_not_found"
    title = N_("No such model")
    detail = N_("There is no model called “{name}”.")


class NothingToRollBack(Conflict):
    code = "nothing_to_roll_back"
    title = N_("Nothing to roll back")
    detail = N_("No other model was active before this one.")


class NoShadow(NotFound):
    code = "no_shadow"
    title = N_("No model is in the shadow")
    detail = N_("There is nothing to compare the active model with.")


class ShadowIsActive(Conflict):
    code = "shadow_is_active"
    title = N_("This model is active")
    detail = N_("The active model answers everything already; only another one can run in its shadow.")


# --- reviews


class ReviewNotFound(NotFound):
    code = "review_not_found"
    title = N_("No such review")
    detail = N_("There is no such review, or its recording has been deleted.")


class ReviewTaken(Conflict):
    code = "review_taken"
    title = N_("Somebody else has this one")
    detail = N_("Another reviewer is deciding on this recording right now.")


class ReviewDecided(Conflict):
    code = "review_decided"
    title = N_("Already decided")
    detail = N_("This recording has been decided. Only its reviewer or an administrator can change that.")


class NothingToUndo(Conflict):
    code = "nothing_to_undo"
    title = N_("Nothing to undo")
    detail = N_("You have made no decision within the last hour that could be undone.")


class GenreUnknown(Invalid):
    code = "genre_unknown"
    title = N_("Unknown genre")
    detail = N_("“{genre}” is not one of the sixteen genres.")


# --- library


class SavedViewNotFound(NotFound):
    code = "saved_view_not_found"
    title = N_("No such view")
    detail = N_("There is no such saved view, or it is somebody else's.")


class SavedViewLimit(Conflict):
    code = "saved_view_limit"
    title = N_("Too many saved views")
    detail = N_("A person can have {maximum} saved views. Delete one that is no longer needed.")


# --- accounts


class UserNotFound(NotFound):
    code = "user_not_found"
    title = N_("No such person")
    detail = N_("There is no such person.")


class LastAdministrator(Conflict):
    code = "last_administrator"
    title = N_("Somebody must stay administrator")
    detail = N_("You can't take your own administrator's role away. Ask another administrator to do it.")


class SignInRefused(Forbidden):
    code = "sign_in_refused"
    title = N_("Sign-in was not possible")
    detail = N_("The sign-in has expired, was already used, or your account has no access to Earmark.")


class ApiKeyNameTaken(Conflict):
    code = "api_key_name_taken"
    title = N_("The name is taken")
    detail = N_("There is already an API key called “{name}”.")


class ApiKeyExpired(Invalid):
    code = "api_key_expired"
    title = N_("The key would never work")
    detail = N_("The time at which the key expires must lie in the future.")


class ApiKeyLimit(Conflict):
    code = "api_key_limit"
    title = N_("Too many API keys")
    detail = N_("A person can have {most} valid API keys. Revoke one that is no longer needed.")


class ApiKeyNotFound(NotFound):
    code = "api_key_not_found"
    title = N_("No such API key")
    detail = N_("There is no valid API key called “{name}”.")


class ModelBroken(EarmarkError):
    code = "model_broken"
    title = N_("The model can't be used")
    detail = N_("{path}: {problem}. {remedy}")


class CheckpointRefused(Invalid):
    code = "checkpoint_refused"
    title = N_("The checkpoint can't be imported")
    detail = N_("{path}: {problem}.")


class ExamplesUnusable(Invalid):
    code = "examples_unusable"
    title = N_("The folder can't be learned from")
    detail = N_("{path}: {problem}.")


class DeviceMissing(EarmarkError):
    code = "device_missing"
    title = N_("No such compute device")
    detail = N_(
        "torch finds no device “{device}”. Set EARMARK_DEVICE to auto or cpu, or install the driver and a CUDA torch."
    )
