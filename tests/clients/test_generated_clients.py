"""Clients that are generated from the description type-check, submit, wait and fetch a report."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings
from tests.support.factories import finish_job
from tests.support.portal import LocalProgress, new_app, use_local_progress
from tests.support.processes import free_port
from tests.support.web import make_key, served

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
NODE_BIN = ROOT / "node_modules" / ".bin"
MP3 = b"ID3" + bytes(4000)
# What the program uses of Node's own modules: their complete types would be one more package.
NODE_TYPES = """
declare module "node:fs/promises" { export function readFile(path: string): Promise<Uint8Array<ArrayBuffer>>; }
declare module "node:process" { export const argv: string[]; }
"""


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=55)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("description") / "openapi.json"
    path.write_text(json.dumps(create_app(Settings.model_construct()).openapi_schema.to_schema()))
    return path


@pytest.fixture(scope="module")
def python_client(description: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    config = folder / "config.yaml"
    config.write_text((ROOT / "docs" / "clients" / "openapi-python-client.yaml").read_text() + "post_hooks: []\n")
    generator = BIN / "openapi-python-client"
    said = _run(
        *(generator, "generate", "--path", description, "--config", config),
        *("--meta", "none", "--output-path", "client", "--fail-on-warning"),
        cwd=folder,
    )
    assert "WARNING" not in said
    shutil.copy(HERE / "generated_python.py", folder / "use.py")
    return folder


@pytest.fixture(scope="module")
def typescript_client(description: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    _run(NODE_BIN / "openapi-typescript", description, "--output", "earmark.ts", cwd=folder)
    shutil.copy(HERE / "generated_typescript.ts", folder / "use.ts")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node.d.ts").write_text(NODE_TYPES)
    options = {"strict": True, "target": "es2022", "module": "preserve", "skipLibCheck": True, "types": []}
    options |= {"lib": ["es2022", "dom"], "outDir": "out"}
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["use.ts", "node.d.ts"]}))
    _run(NODE_BIN / "tsc", "--project", ".", cwd=folder)
    return folder


def test_the_python_client_type_checks(python_client: Path):
    _run(BIN / "mypy", "--strict", "--config-file=", "use.py", "client", cwd=python_client)


@asynccontextmanager
async def _server_with_a_worker(data_dir: Path) -> AsyncIterator[tuple[str, str]]:
    """Address and key; whatever is submitted is done soon."""
    port = free_port()
    app = await new_app(Settings(data_dir=data_dir, port=port))
    async with served(app, port) as address:
        progress = LocalProgress()
        store = use_local_progress(app, progress)

        async def work() -> None:
            while True:
                with progress.subscribe() as changes:
                    while not progress.wakeups:
                        await changes.wait(1)
                await finish_job(store, progress.wakeups.pop().job_id)

        worker = asyncio.create_task(work())
        yield address, await make_key(app.state.parts)
        worker.cancel()
        await asyncio.wait({worker})


async def _use(tmp_path: Path, folder: Path, *command: str | Path) -> list[str]:
    recording = tmp_path / "a.mp3"
    recording.write_bytes(MP3)
    async with _server_with_a_worker(tmp_path / "data") as (address, key):
        said = await asyncio.to_thread(_run, *command, address, key, recording, cwd=folder)
    return said.splitlines()


async def test_the_python_client_submits_waits_and_fetches_a_report(tmp_path: Path, python_client: Path):
    state, genre, code, *report = await _use(tmp_path, python_client, sys.executable, "use.py")
    assert (state, genre, code) == ("done", "soft_rock", "job_not_found")
    assert [line.count("a.mp3") for line in report] == [0, 1]


async def test_the_typescript_client_type_checks_submits_waits_and_fetches_a_report(
    tmp_path: Path, typescript_client: Path
):
    state, genre, code, *report = await _use(tmp_path, typescript_client, "node", "out/use.js")
    assert (state, genre, code) == ("done", "soft_rock", "job_not_found")
    assert [line.count("a.mp3") for line in report] == [0, 1]
