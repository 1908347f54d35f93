"""Reviews and what is decided in them."""

from __future__ import annotations

from app.errors.base import N_, Conflict, Invalid, NotFound


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
