"""``earmark batch``: a whole folder through a server, with a report at the end."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import click
import msgspec

from app.cli import WrongSetup
from app.cli.api_client import ApiClient, OutOfReach, Refused
from app.cli.batch_display import Display, shown_progress
from app.cli.batch_report import Line, line_of, write_report
from app.cli.batch_state import BatchState, Fate, StateBroken
from app.cli.recordings import recordings_in
from app.domain.batches import BatchState as ServerState

INTERRUPTED = 130
_POLL_S = 1.0
# One file after another can't be brought to the server: it is not the files' fault.
_GIVE_UP_AFTER = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """The command line. ``folder`` and ``report`` are absolute."""

    folder: Path
    report: Path
    workers: int
    min_confidence: float
    retries: int
    url: str
    api_key: str
    name: str
    private: bool


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True))
@click.option(
    "--csv",
    "report",
    type=click.Path(path_type=Path, dir_okay=False, writable=True, resolve_path=True),
    default="report.csv",
    show_default=True,
    help="Where to write the report.",
)
@click.option("--workers", type=click.IntRange(1, 32), default=4, show_default=True, help="Uploads at a time.")
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Probability from which the report calls a genre confident.",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 20),
    default=3,
    show_default=True,
    help="How often to repeat what failed but may work.",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@click.option("--url", envvar="EARMARK_URL", default="http://127.0.0.1:8080", show_default=True, help="The server.")
@click.option("--api-key", envvar="EARMARK_API_KEY", help="Its API key; better given as EARMARK_API_KEY.")
@click.option("--name", help="What to call the batch. Default: the folder's name.")
@click.option("--private", is_flag=True, help="Let only you and admins see the batch.")
def batch(folder: Path, *, resume: bool, api_key: str | None, name: str | None, **options: object) -> None:
    """Have all recordings in FOLDER analysed by a server and write a report.

    Exit code 0: every file has a genre. 1: something failed; the report says what. 2: wrong set-up. 130: interrupted;
    --resume goes on.
    """
    if not api_key:
        raise WrongSetup("give the server's API key in EARMARK_API_KEY (earmark api-key create makes one)")
    wish = _Wish(folder=folder, api_key=api_key, name=name or folder.name or "batch", **options)  # type: ignore[arg-type]
    files = {file.relative_to(folder).as_posix(): file for file in recordings_in(folder)}
    if not files:
        raise WrongSetup(f"there are no recordings in {folder}")
    with _state(wish, resume=resume) as state:
        sys.exit(_carry_out(wish, state, files))


@contextmanager
def _state(wish: _Wish, *, resume: bool) -> Iterator[BatchState]:
    path = wish.report.with_name(f"{wish.report.name}.state")
    if path.exists() and not resume:
        raise WrongSetup(f"an earlier run was interrupted: go on with --resume, or delete {path}")
    open_state = BatchState.resume if path.exists() else BatchState.begin
    try:
        state = open_state(path, url=wish.url, folder=str(wish.folder))
    except (StateBroken, OSError) as error:
        raise WrongSetup(str(error)) from error
    try:
        yield state
    finally:
        state.close()


def _carry_out(wish: _Wish, state: BatchState, files: dict[str, Path]) -> int:
    try:
        return asyncio.run(_run(wish, state, files))
    except KeyboardInterrupt:
        uploaded = len(state.fates)
        click.echo(f"Interrupted: {uploaded} of {len(files)} files are at the server. Go on with --resume.", err=True)
        return INTERRUPTED
    except (Refused, OutOfReach) as error:
        raise click.ClickException(f"{wish.url}: {error}. Go on with --resume.") from error


async def _run(wish: _Wish, state: BatchState, files: dict[str, Path]) -> int:
    with shown_progress(len(files)) as display:
        async with ApiClient(wish.url, wish.api_key, retries=wish.retries, connections=wish.workers) as client:
            if state.batch_id is None:
                new = await client.create_batch(wish.name, private=wish.private, key=f"{state.run.key}-batch")
                state.opened(new.id)
            assert state.batch_id is not None
            async with _watching(client, state.batch_id, display):
                unreached = await _Uploads(wish, state, client, display).all(files)
            await client.close_batch(state.batch_id)
            await _await_end(client, state.batch_id, wish.retries, display)
            rows = {row.job_id: row async for row in client.report(state.batch_id)}
    lines = [line_of(path, state.fates.get(path), rows, wish.min_confidence) for path in files]
    write_report(wish.report, lines)
    if not unreached:
        state.forget()
    return _say_result(wish, lines)


# --- to the server


@asynccontextmanager
async def _watching(client: ApiClient, batch_id: uuid.UUID, display: Display) -> AsyncIterator[None]:
    """Show what is analysed while files are still being sent."""

    async def watch() -> None:
        while True:
            display.analysed(await client.get_batch(batch_id))
            await asyncio.sleep(_POLL_S)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Uploads:
    """Sends the files whose fate is not known yet, several at a time."""

    def __init__(self, wish: _Wish, state: BatchState, client: ApiClient, display: Display) -> None:
        self._wish = wish
        self._state = state
        self._client = client
        self._display = display
        self._unreached_in_a_row = 0
        self._unreached = 0

    async def all(self, files: dict[str, Path]) -> int:
        """Returns how many did not arrive. Their fate is open: a later run tries them again.

        Raises:
            Refused: the key is not accepted.
            OutOfReach: too many in a row.
        """
        waiting = [(path, file) for path, file in files.items() if not self._state.known(path, file)]
        self._display.begin_upload(len(files) - len(waiting))
        queue = iter(waiting)
        tasks = [asyncio.create_task(self._work(queue, len(files))) for _ in range(self._wish.workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self._unreached

    async def _work(self, queue: Iterator[tuple[str, Path]], total: int) -> None:
        for path, file in queue:
            try:
                self._state.add(await self._send(path, file))
                self._unreached_in_a_row = 0
            except OutOfReach:
                self._unreached += 1
                self._unreached_in_a_row += 1
                if self._unreached_in_a_row >= _GIVE_UP_AFTER:
                    raise
            self._display.uploaded(len(self._state.fates), total)

    async def _send(self, path: str, file: Path) -> Fate:
        """
        Raises:
            Refused: not because of this file.
            OutOfReach
        """
        assert self._state.batch_id is not None
        fate = Fate.of(path, file)
        try:
            key = self._state.key_of(path, await asyncio.to_thread(_sha256, file))
            job = await self._client.submit(file, self._state.batch_id, path=path, key=key)
        except Refused as error:
            if error.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
                raise
            return msgspec.structs.replace(fate, error=error.code)
        except OSError as error:
            return msgspec.structs.replace(fate, error=f"unreadable: {error.strerror}")
        return msgspec.structs.replace(fate, job_id=job.id)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


async def _await_end(client: ApiClient, batch_id: uuid.UUID, retries: int, display: Display) -> None:
    """Until the server is done with all files, also those that were worth another try."""
    for left in range(retries, -1, -1):
        batch = await client.get_batch(batch_id)
        while batch.state is not ServerState.DONE:
            display.analysed(batch)
            await asyncio.sleep(_POLL_S)
            batch = await client.get_batch(batch_id)
        display.analysed(batch)
        if not left or not any(failure.retryable for failure in batch.failures):
            return
        await client.retry_batch(batch_id)


def _say_result(wish: _Wish, lines: Sequence[Line]) -> int:
    failed = sum(line.failed for line in lines)
    unsure = sum(line.confident is False for line in lines)
    done = f"{len(lines) - failed} of {len(lines)} files have a genre"
    click.echo(f"{done}, {unsure} of them below {wish.min_confidence:g}: {wish.report}")
    if failed:
        click.echo(f"{failed} failed; the column “error” says why", err=True)
    return 1 if failed else 0
