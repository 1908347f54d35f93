"""What can't work is refused with one line that names the variable, before anything is started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import free_port

ROOT = Path(__file__).resolve().parents[2]


def earmark(*arguments: str, data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    extra = {f"EARMARK_{name.upper()}": value for name, value in {"data_dir": str(data_dir), **settings}.items()}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def assert_refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    for word in words:
        assert word in line


@pytest.mark.parametrize("command", ["run", "web"])
def test_a_taken_port(tmp_path, command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = earmark(command, data_dir=tmp_path, port=str(port))
    assert_refused(result, "EARMARK_PORT", str(port), "127.0.0.1", "taken")


def test_an_address_that_is_not_this_machines(tmp_path):
    result = earmark("run", data_dir=tmp_path, host="192.0.2.1", oidc_issuer="https://login.test")
    assert_refused(result, "EARMARK_HOST", "192.0.2.1")


def test_a_network_without_sign_in(tmp_path):
    assert_refused(earmark("run", data_dir=tmp_path, host="0.0.0.0"), "EARMARK_HOST", "EARMARK_OIDC_ISSUER")


@pytest.mark.parametrize("command", ["run", "web", "worker", "chores"])
def test_a_data_folder_that_can_not_be_written(tmp_path, command):
    (tmp_path / "file").touch()
    result = earmark(command, data_dir=tmp_path / "file" / "data", port=str(free_port()))
    assert_refused(result, "EARMARK_DATA_DIR", str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", "0"), ("port", "web"), ("lease_s", "soon"), ("redis_url", "http://x"), ("device", "gpu")],
)
def test_a_wrong_value(tmp_path, name, value):
    assert_refused(earmark("run", data_dir=tmp_path, **{name: value}), f"EARMARK_{name.upper()}")


def test_a_command_that_does_not_exist(tmp_path):
    result = earmark("walk", data_dir=tmp_path)
    assert result.returncode == 2
    assert "walk" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_help_names_every_command_and_loads_none(tmp_path):
    code = (
        "import sys\n"
        "from app.cli import main\n"
        "main(['--help'], prog_name='earmark', standalone_mode=False)\n"
        "heavy = {'torch', 'litestar', 'sqlalchemy', 'pydantic', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for command in ("run", "web", "worker", "chores", "db", "model", "api-key", "sign-in-link", "openapi"):
        assert f"  {command} " in result.stdout


def test_the_web_process_never_loads_torch():
    code = (
        "import sys\n"
        "import app.cli.web, app.main\n"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'numpy', 'app.inference')))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_database_is_brought_up_and_down(tmp_path):
    behind = earmark("db", "revision-check", data_dir=tmp_path)
    assert behind.returncode == 1
    assert "earmark db upgrade" in behind.stderr
    assert earmark("db", "upgrade", data_dir=tmp_path).returncode == 0
    assert earmark("db", "upgrade", data_dir=tmp_path).returncode == 0
    assert earmark("db", "revision-check", data_dir=tmp_path).returncode == 0
    assert earmark("db", "downgrade", "base", data_dir=tmp_path).returncode == 0
    assert earmark("db", "revision-check", data_dir=tmp_path).returncode == 1


def test_a_database_that_is_away_is_named(tmp_path):
    url = f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none"
    result = earmark("db", "upgrade", data_dir=tmp_path, database_url=url)
    assert result.returncode == 1
    assert "EARMARK_DATABASE_URL" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [("sign-in-link",), ("api-key", "create", "--name", "a")])
def test_a_database_that_does_not_answer(tmp_path, command):
    address = f"postgresql+asyncpg://earmark:very-secret@127.0.0.1:{free_port()}/earmark"
    result = earmark(*command, data_dir=tmp_path, database_url=address)
    assert (result.returncode, result.stdout) == (1, "")
    problem, advice = result.stderr.splitlines()
    assert problem.startswith("Error: database or storage can't be used: ")
    assert "earmark doctor" in advice
    assert "very-secret" not in result.stderr
