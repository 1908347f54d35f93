"""The entries of the main navigation: each is shown to those who may open it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from app.domain.permissions import Permission, Principal
from app.errors import N_


class Entry(NamedTuple):
    """``label`` is a message id."""

    address: str
    icon: str
    label: str
    permission: Permission

    def leads_to(self, path: str) -> bool:
        """Is this the entry of the page at ``path``?"""
        return path == self.address or (self.address != "/" and path.startswith(f"{self.address}/"))


_ENTRIES = (
    Entry("/", "upload", N_("Upload"), Permission.JOBS_READ),
    Entry("/batches", "batch", N_("Batches"), Permission.JOBS_READ),
    Entry("/reviews", "check", N_("Reviews"), Permission.REVIEWS_READ),
    Entry("/library", "list", N_("Library"), Permission.JOBS_READ),
    Entry("/genres", "book", N_("Genres"), Permission.JOBS_READ),
    Entry("/dashboard", "gauge", N_("Dashboard"), Permission.JOBS_READ),
    Entry("/admin", "gear", N_("Administration"), Permission.ADMINISTRATION_READ),
    Entry("/help", "help", N_("Help"), Permission.JOBS_READ),
)


def entries_for(principal: Principal) -> Iterator[Entry]:
    return (entry for entry in _ENTRIES if principal.may(entry.permission))
