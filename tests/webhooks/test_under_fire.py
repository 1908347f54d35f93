"""The bench of webhooks, small: real processes, one endpoint hanging, one failing, the sender killed in between."""

from __future__ import annotations

from pathlib import Path

from tools.bench_webhooks import Load, bench


async def test_nothing_is_lost_when_the_sender_is_killed(tmp_path: Path, sqlite_dsn: str):
    figures = await bench(tmp_path, sqlite_dsn, endpoints=6, load=Load(events=60, rate=60, kills=1))
    assert figures.kills == 1
    assert (figures.end.missing, figures.end.wrongly_signed) == (0, 0)
    assert figures.end.requests >= 60 * 6
