"""Jobs, batches and their manifests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors.base import N_, Conflict, Invalid, NotFound


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
    detail = N_("The file could not be analysed, or the time for which audio is kept is over. Please upload it again.")


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
