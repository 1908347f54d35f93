"""``make bench-peers``: Earmark, the reference program, LitServe and BentoML with the same network, files and clients.

Every server gets the same 30 s MP3s from 1, 8 and 32 clients that each wait for an answer before they send the next file.
Earmark keeps every upload and every result durably; the others keep nothing.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import IO

import click
import httpx2
import msgspec
from rich.console import Console
from rich.table import Table

from app.cli.bench import report as reports
from app.cli.bench.installation import installation
from app.cli.bench.material import clips, distinct
from app.cli.bench.reference import reference_pictures, reference_probabilities, reference_samples
from app.cli.bench.timing import percentile
from app.cli.ports import free_port
from app.domain.genres import GENRE_IDS
from app.inference.bundle import Bundle, bundle_path, load_weights, verify
from app.inference.network import network_with
from app.settings import load_settings

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent.parent
_CLIENTS = (1, 8, 32)
_DIFFERENT_FILES = 40
_WARM_UPS = 4
_START_S = 180
_NO_LIMITS = "{}"

# Sends a file and returns the place of the likeliest genre among GENRE_IDS.
Ask = Callable[[httpx2.AsyncClient, bytes], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """``server`` starts it and yields its address, its headers and its process group's leader."""

    name: str
    server: Callable[[], AbstractContextManager[tuple[str, dict[str, str], list[int]]]]
    ask: Ask


@dataclass(frozen=True, slots=True)
class Exam:
    """The files to send, and what the reference program answers to the first of them; the others repeat these."""

    contents: list[bytes]
    truths: list[int]


class Row(msgspec.Struct, frozen=True):
    name: str
    clients: int
    clips_per_s: float
    median_s: float
    p95_s: float
    agreement: float
    errors: int
    memory_mb: float


async def _ask_peer(client: httpx2.AsyncClient, content: bytes) -> int:
    answer = await client.post("/predict", files={"file": ("clip.mp3", content, "audio/mpeg")})
    answer.raise_for_status()
    row = answer.json()["probabilities"]
    return int(max(range(len(row)), key=row.__getitem__))


async def _ask_earmark(client: httpx2.AsyncClient, content: bytes) -> int:
    files = {"file": ("clip.mp3", content, "audio/mpeg")}
    answer = await client.post("/api/v1/jobs", params={"wait": 30, "force": "true"}, files=files)
    answer.raise_for_status()
    job = answer.json()
    while job["state"] in ("queued", "running"):
        await asyncio.sleep(0.05)
        job = (await client.get(f"/api/v1/jobs/{job['id']}")).json()
    return GENRE_IDS.index(job["result"]["top1"]["genre"])


def _peer(name: str, command: list[str], weights: Path, dtype: str) -> Candidate:
    @contextmanager
    def server() -> Iterator[tuple[str, dict[str, str], list[int]]]:
        port = free_port()
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("EARMARK_")},
            "PYTHONPATH": f"{_HERE}:{_ROOT}",
            "EARMARK_PEER_WEIGHTS": str(weights),
            "EARMARK_PEER_DTYPE": dtype,
            "EARMARK_PEER_PORT": str(port),
            "BENTOML_DO_NOT_TRACK": "True",
        }
        with tempfile.TemporaryFile() as log, _explained(log):
            process = subprocess.Popen(
                [part.replace("PORT", str(port)) for part in command],
                env=environment,
                cwd=_HERE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                yield f"http://127.0.0.1:{port}", {}, [process.pid]
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    return Candidate(name, server, _ask_peer)


@contextmanager
def _explained(log: IO[bytes]) -> Iterator[None]:
    """If anything goes wrong, what the server wrote may say why."""
    try:
        yield
    except Exception:
        log.seek(0)
        click.echo(log.read()[-3_000:].decode(errors="replace"), err=True)
        raise


def _earmark(bundle: Bundle, precision: str) -> Candidate:
    @contextmanager
    def server() -> Iterator[tuple[str, dict[str, str], list[int]]]:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="earmark-bench-"))
            found = stack.enter_context(installation(Path(folder), bundle, precision))
            web = stack.enter_context(found.process("web", rate_limits=_NO_LIMITS))
            worker = stack.enter_context(found.process("worker"))
            chores = stack.enter_context(found.process("chores"))
            found.wait_for_web()
            # int8 is calibrated first, and float32 works meanwhile.
            worker.wait_for_line("the self-check has chosen" if precision == "int8" else "worker ready")
            key = found.command("api-key", "create", "--name", "bench", "--role", "uploader")
            yield (
                found.base_url,
                {"Authorization": f"Bearer {key}"},
                [web.pid, worker.pid, chores.pid, found.valkey_pid],
            )

    return Candidate(f"Earmark, {precision}", server, _ask_earmark)


def _tree(pids: list[int]) -> set[int]:
    """These processes and all that they have started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _memory_mb(pids: list[int]) -> float:
    """Proportional set size: what processes share is counted once."""
    total_kb = 0
    for pid in _tree(pids):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb / 1024


async def _ready(client: httpx2.AsyncClient, ask: Ask, content: bytes) -> None:
    deadline_s = time.monotonic() + _START_S
    while True:
        try:
            await ask(client, content)
        except httpx2.HTTPError:
            if time.monotonic() > deadline_s:
                raise
            await asyncio.sleep(0.5)
        else:
            return


async def _examine(candidate: Candidate, exam: Exam, seconds: float) -> list[Row]:
    """Start the server once, and ask it with ever more clients."""
    with candidate.server() as (address, headers, pids):
        async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=600) as client:
            await _ready(client, candidate.ask, exam.contents[0])
            await asyncio.gather(*(candidate.ask(client, content) for content in exam.contents[:_WARM_UPS]))
            rows = []
            for clients in _CLIENTS:
                found = await _measure(client, candidate.ask, exam, clients=clients, seconds=seconds)
                rows.append(Row(candidate.name, clients, *found, memory_mb=_memory_mb(pids)))
                click.echo(f"{rows[-1]}", err=True)
            return rows


async def _measure(
    client: httpx2.AsyncClient, ask: Ask, exam: Exam, *, clients: int, seconds: float
) -> tuple[float, float, float, float, int]:
    """Clips a second, median and P95 in seconds, share of answers that are the reference's, errors."""
    numbers, times_s, right, errors = cycle(range(len(exam.contents))), [], 0, 0
    started_s = time.perf_counter()

    async def one_client() -> None:
        nonlocal right, errors
        while time.perf_counter() - started_s < seconds:
            number, begun_s = next(numbers), time.perf_counter()
            try:
                answer = await ask(client, exam.contents[number])
            except httpx2.HTTPError:
                errors += 1
            else:
                times_s.append(time.perf_counter() - begun_s)
                right += answer == exam.truths[number % len(exam.truths)]

    await asyncio.gather(*(one_client() for _ in range(clients)))
    clips_per_s = len(times_s) / (time.perf_counter() - started_s)
    return clips_per_s, percentile(times_s, 0.5), percentile(times_s, 0.95), right / len(times_s), errors


def _truths(bundle: Bundle, contents: list[bytes]) -> list[int]:
    network = network_with({name: tensor.float() for name, tensor in load_weights(bundle).items()})
    rows = [reference_probabilities(network, reference_pictures(reference_samples(content))) for content in contents]
    return [int(row.mean(axis=0).argmax()) for row in rows]


def _candidates(bundle: Bundle, python: Path) -> list[Candidate]:
    serve_litserve = [str(python), "serve_litserve.py"]
    bento = [str(python), "-m", "bentoml", "serve", "serve_bentoml:Listening", "--host", "127.0.0.1", "--port", "PORT"]
    return [
        _peer("reference, model kept", [str(python), "serve_reference.py"], bundle.weights, "fp32"),
        _peer("LitServe, fp32", serve_litserve, bundle.weights, "fp32"),
        _peer("LitServe, bf16", serve_litserve, bundle.weights, "bf16"),
        _peer("BentoML, fp32", bento, bundle.weights, "fp32"),
        _peer("BentoML, bf16", bento, bundle.weights, "bf16"),
        _earmark(bundle, "bf16"),
        _earmark(bundle, "int8"),
    ]


@click.command()
@click.option(
    "--python", type=click.Path(path_type=Path, exists=True), required=True, help="Of the peers' environment."
)
@click.option("--model", "model_name", default="starter/1", show_default=True)
@click.option("--seconds", default=20.0, show_default=True, help="For each server and number of clients.")
@click.option("--only", multiple=True, help="Only servers whose name contains this.")
@click.option("--json", "as_json", is_flag=True)
def main(python: Path, model_name: str, seconds: float, only: tuple[str, ...], *, as_json: bool) -> None:
    settings = load_settings()
    bundle = verify(bundle_path(settings.bundles_dir, *model_name.split("/")))
    files = [path.read_bytes() for path in clips(settings.cache_dir / "bench", _DIFFERENT_FILES)]
    truths = _truths(bundle, files)
    exam = Exam(distinct(files, _DIFFERENT_FILES * 10), truths)
    gc.freeze()  # the clients are in this process, and looking through torch for garbage takes a fifth of a second
    rows = []
    for candidate in _candidates(bundle, python.absolute()):
        if only and not any(part in candidate.name for part in only):
            continue
        rows.extend(asyncio.run(_examine(candidate, exam, seconds)))
    if as_json:
        click.echo(json.dumps({"machine": reports.machine(), "rows": msgspec.to_builtins(rows)}, indent=2))
    else:
        _print(rows)


def _print(rows: list[Row]) -> None:
    table = Table(
        "server", "clients", "clips/s", "P50 (s)", "P95 (s)", "memory (MB)", "same answer as the reference", "errors"
    )
    for row in rows:
        figures = (f"{row.clips_per_s:.1f}", f"{row.median_s:.2f}", f"{row.p95_s:.2f}", f"{row.memory_mb:.0f}")
        table.add_row(row.name, str(row.clients), *figures, f"{row.agreement:.1%}", str(row.errors))
    console = Console(width=140)
    console.print(", ".join(f"{name} {value}" for name, value in reports.machine().items()))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
