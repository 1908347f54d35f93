"""The root, and the kinds: what the HTTP status and whether a worker tries again depend on."""

from __future__ import annotations

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
