"""What counts as an outage, which passes, and what as a fault of ours, which does not."""

from __future__ import annotations

import pytest
from jinja2 import TemplateNotFound
from obstore.exceptions import GenericError
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.integrations.outage import is_outage


class DriverError(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate
        super().__init__(sqlstate)


def failed(kind: type[DBAPIError], sqlstate: str | None = None) -> DBAPIError:
    return kind("SELECT 1", {}, DriverError(sqlstate))


@pytest.mark.parametrize(
    "error",
    [
        failed(OperationalError),
        failed(InterfaceError),
        failed(DBAPIError, "08003"),  # connection was closed in the middle of operation
        failed(DBAPIError, "57P03"),  # the database system is shutting down
        failed(DBAPIError, "53300"),  # too many connections
        failed(DBAPIError, "40P01"),  # deadlock
        PoolTimeoutError(),
        GenericError("no space left on device"),
        FileNotFoundError(2, "No such file or directory"),  # the server's socket
        ConnectionRefusedError(111, "Connection refused"),
        TimeoutError(),
    ],
    ids=repr,
)
def test_an_outage_passes(error):
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        failed(IntegrityError, "23505"),
        failed(ProgrammingError, "42P01"),
        failed(DBAPIError),
        FileNotFoundError(2, "No such file or directory", "static/app.css"),
        TemplateNotFound("page.html"),
        ValueError(),
    ],
    ids=repr,
)
def test_a_fault_does_not(error):
    assert not is_outage(error)
