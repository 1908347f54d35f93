"""How long the server takes from one review to the next, with a queue of many thousands (`make bench-reviews`).

Fills two databases of its own (SQLite, or with --postgres DSN a PostgreSQL that may be emptied), with as many reviews open as
there are doubtful recordings, and reviews them as the page does. ``veteran`` is the worst case of independent reviews: somebody
who has decided on nearly everything that waits for others.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import httpx
import structlog
from sqlalchemy import func, select, update

from app.db.engine import Database
from app.db.migrations import downgrade, upgrade
from app.db.models import Preference, Review, ReviewDecision, User
from app.db.repositories.reviews import names_of
from app.domain.permissions import Role
from app.domain.reviews import ReviewState
from app.main import create_app
from app.routes.credentials import cookie_name
from app.routes.deps import WebParts
from app.services.accounts import Identity, sign_in
from app.settings import Settings
from tools.bench_portal import fill

LIMIT_MS = 100
_ITEM = re.compile(r'data-review="([\w-]+)"')
_TOKEN = re.compile(r'name="csrf-token" content="(\w+)"')


class Timer:
    """Answers and how long they took, by what was asked for."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.taken_ms: dict[str, list[float]] = {}

    async def post(self, name: str, path: str, **form: str) -> str:
        begun = time.perf_counter()
        answer = await self.client.post(path, data=form)
        self.taken_ms.setdefault(name, []).append((time.perf_counter() - begun) * 1000)
        assert answer.is_success, f"{name}: {answer.text}"
        return answer.text


async def _reopen(database: Database) -> int:
    """Let everything wait; the decisions of one person stand, as with independent reviews. Returns how many wait."""
    async with database.writing() as session:
        session.add(Preference(name="reviews_per_item", value=3))
        busy = await session.scalar(select(ReviewDecision.reviewer_id).limit(1))
        assert busy is not None
        decided = select(ReviewDecision.review_id).where(ReviewDecision.reviewer_id == busy)
        await session.execute(update(Review).values(state=ReviewState.OPEN, label=None, decided_at=None))
        await session.execute(update(Review).where(Review.id.in_(decided)).values(decided_by=names_of([busy])))
        return await session.scalar(select(func.count()).select_from(Review)) or 0


async def _person(parts: WebParts, *, veteran: bool) -> str:
    """The session of a reviewer."""
    async with parts.store.reading() as uow:
        busy = await uow.session.scalar(select(ReviewDecision.reviewer_id).limit(1))
        user = (await uow.session.scalars(select(User).where(User.id == busy))).one()
    subject = user.subject if veteran else "newcomer"
    identity = Identity(issuer="bench", subject=subject, name=user.name, email=None, role=Role.REVIEWER)
    async with parts.store.writing() as uow:
        return await sign_in(uow, identity, lifetime=timedelta(hours=1))


def _item(text: str) -> str:
    found = _ITEM.search(text)
    assert found is not None, text[:500]
    return found[1]


async def _review(timer: Timer, prefix: str, times: int) -> None:
    """As the page does: the first item, then decide, fetch ahead, renew; a skip and an undo now and then."""
    item = _item(await timer.post(f"{prefix}next", "/reviews/next"))
    for number in range(times):
        item = _item(await timer.post(f"{prefix}decide, and the next", f"/reviews/{item}/decision", genre="opera"))
        await timer.post(f"{prefix}fetch ahead", "/reviews/ahead")
        await timer.post(f"{prefix}renew", f"/reviews/{item}/renew")
        if number % 10 == 0:
            item = _item(await timer.post(f"{prefix}skip", f"/reviews/{item}/skip"))
            item = _item(await timer.post(f"{prefix}undo", "/reviews/undo"))
    for order in ("oldest", "batch", "genre"):
        await timer.client.post("/reviews/release")
        await timer.post(f"{prefix}next, {order}", "/reviews/next", order=order)


async def measure(dsn: str, total: int, times: int) -> tuple[int, dict[str, list[float]]]:
    """How many wait, and milliseconds by what was asked for."""
    database = Database(dsn)
    await downgrade(database, "base")
    await upgrade(database)
    await fill(database, total)
    waiting = await _reopen(database)
    await database.close()
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data_dir=Path(folder), database_url=dsn))
        async with app.lifespan():
            parts: WebParts = app.state.parts
            for prefix, veteran in (("", False), ("veteran: ", True)):
                session = await _person(parts, veteran=veteran)
                headers = {"cookie": f"{cookie_name(parts.config)}={session}", "hx-request": "true"}
                transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # its own idea of an application
                async with httpx.AsyncClient(
                    transport=transport, base_url=parts.config.base_url, headers=headers
                ) as client:
                    help_page = await client.get("/help")
                    found = _TOKEN.search(help_page.text)
                    assert found is not None, f"{help_page.status_code}: {help_page.text[:500]}"
                    client.headers["x-csrf-token"] = found[1]
                    timer = Timer(client)
                    await _review(timer, prefix, times)
                    taken |= timer.taken_ms
    return waiting, taken


def _p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.95))]


async def _main(arguments: argparse.Namespace) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for size in (arguments.few, arguments.many):
            dsn = arguments.postgres or f"sqlite+aiosqlite:///{folder}/{size}.db"
            results.append(await measure(dsn, size, arguments.times))
    (few_waiting, few), (many_waiting, many) = results
    print(f"| request | {few_waiting:,} waiting, median ms | {many_waiting:,} waiting, median ms | P95 ms |")
    print("|---|--:|--:|--:|")
    for name, taken in many.items():
        print(f"| {name} | {statistics.median(few[name]):.1f} | {statistics.median(taken):.1f} | {_p95(taken):.1f} |")
    return 0 if all(statistics.median(taken) < LIMIT_MS for taken in many.values()) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10_000, help="recordings, of which the doubtful ones wait")
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=60, help="how many decisions are made")
    parser.add_argument("--postgres", metavar="DSN", help="a PostgreSQL database; everything in it is deleted")
    return asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
