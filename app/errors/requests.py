"""What can be wrong with any request, wherever it goes."""

from __future__ import annotations

from app.errors.base import N_, Forbidden, Invalid, TooLarge, Unprocessable, Unsupported


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


class CsrfFailed(Forbidden):
    code = "csrf_failed"
    title = N_("Please reload the page")
    detail = N_("The request did not carry this session's token. Reload the page and try again.")


class HostRefused(Forbidden):
    code = "host_refused"
    title = N_("Unknown host name")
    detail = N_("Earmark runs in local mode and answers only to this machine's own names, such as localhost.")
