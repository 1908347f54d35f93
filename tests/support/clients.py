"""Clients generated from the description of the API, and a server at which whatever is submitted is done soon."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from app.settings import Settings
from tests.support.factories import finish_job
from tests.support.portal import LocalProgress, new_app, use_local_progress
from tests.support.processes import free_port
from tests.support.web import make_key, served

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
_NODE_BIN = ROOT / "node_modules" / ".bin"
MP3 = b"ID3" + bytes(4000)
# What the programs use of Node's own modules: their complete types would be one more package.
_NODE_TYPES = """
declare module "node:fs/promises" { export function readFile(path: string): Promise<Uint8Array<ArrayBuffer>>; }
declare module "node:process" { export const argv: string[]; export const env: { EARMARK_URL: string; EARMARK_API_KEY: string }; }
"""


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What it says; it has to succeed."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=55)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def generate_python(description: Path, folder: Path) -> None:
    """The package ``client`` in ``folder``."""
    config = folder / "config.yaml"
    config.write_text((ROOT / "docs" / "clients" / "openapi-python-client.yaml").read_text() + "post_hooks: []\n")
    arguments = ["--path", description, "--config", config, "--meta", "none", "--output-path", "client"]
    run(BIN / "openapi-python-client", "generate", *arguments, "--fail-on-warning", cwd=folder)


def compile_typescript(description: Path, folder: Path, programs: Mapping[str, str]) -> None:
    """Programs by name, beside the types in ``earmark.ts``; they come out as ``out/NAME.js``."""
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    run(_NODE_BIN / "openapi-typescript", description, "--output", "earmark.ts", cwd=folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node.d.ts").write_text(_NODE_TYPES)
    for name, text in programs.items():
        (folder / f"{name}.ts").write_text(text)
    options = {"strict": True, "target": "es2022", "module": "preserve", "skipLibCheck": True, "types": []}
    options |= {"lib": ["es2022", "dom"], "outDir": "out"}
    files = ["node.d.ts", *(f"{name}.ts" for name in programs)]
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": files}))
    run(_NODE_BIN / "tsc", "--project", ".", cwd=folder)


@asynccontextmanager
async def server_with_a_worker(data_dir: Path) -> AsyncIterator[tuple[str, str]]:
    """Address and key."""
    port = free_port()
    app = await new_app(Settings(data_dir=data_dir, port=port))
    async with served(app, port) as address:
        progress = LocalProgress()
        store = use_local_progress(app, progress)

        async def work() -> None:
            with progress.subscribe() as changes:
                while True:
                    while not progress.wakeups:
                        await changes.wait(1)
                    await finish_job(store, progress.wakeups.pop(0).job_id)

        worker = asyncio.create_task(work())
        try:
            yield address, await make_key(app.state.parts)
        finally:
            worker.cancel()
            await asyncio.wait({worker})
