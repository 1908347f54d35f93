"""Files on their way in."""

from __future__ import annotations

from app.errors.base import N_, Conflict, Forbidden, Invalid, NotFound, Unavailable, Unprocessable


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


class QueueFull(Unavailable):
    code = "queue_full"
    title = N_("The queue is full")
    detail = N_("So many recordings wait already that no more are accepted. Please try again in {retry_after_s} s.")


class FileInfected(Unprocessable):
    code = "file_infected"
    title = N_("The file is infected")
    detail = N_("The virus scanner found “{signature}” in this file, so it was not kept.")


class ScannerUnavailable(Unavailable):
    code = "scanner_unavailable"
    title = N_("The virus scanner does not answer")
    detail = N_("No file is accepted before it was scanned for viruses. Please try again in a moment.")
