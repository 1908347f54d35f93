"""The embedded server: its own child, private, durable, gone with its parent."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from app.integrations.valkey import EmbeddedValkey, ValkeyError, default_redis_url
from tests.support.waiting import wait_until_gone

_PARENT = """
import sys, pathlib
from app.integrations.valkey import EmbeddedValkey
server = EmbeddedValkey(pathlib.Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def test_data_survives_a_stop(valkey, tmp_path):
    with Redis.from_url(valkey.url) as client:
        client.set("kept", "yes")
    valkey.stop()
    valkey.start()
    with Redis.from_url(valkey.url) as client:
        assert client.get("kept") == b"yes"


def test_only_this_user_can_reach_it(valkey):
    path = Path(valkey.url.removeprefix("unix://"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with Redis.from_url(valkey.url) as client:
        assert client.config_get("port") == {"port": "0"}


def test_other_processes_find_it_by_the_data_folder(valkey, tmp_path):
    assert default_redis_url(tmp_path / "data folder") == valkey.url
    assert default_redis_url(tmp_path / "other") != valkey.url


def test_the_socket_path_stays_short_for_a_deep_folder(tmp_path):
    assert len(default_redis_url(tmp_path / ("deep/" * 60))) < 107


def test_a_second_server_on_the_same_folder_is_refused(valkey, tmp_path, monkeypatch):
    monkeypatch.setattr("app.integrations.valkey._PREDECESSOR_TIMEOUT_S", 0.1)
    with pytest.raises(ValkeyError, match="already runs"):
        EmbeddedValkey(tmp_path / "data folder").start()
    with Redis.from_url(valkey.url) as client:
        assert client.ping()


def test_a_server_that_can_not_start_says_where_its_log_is(tmp_path):
    broken = EmbeddedValkey(tmp_path)
    (tmp_path / "valkey" / "appendonlydir").mkdir(parents=True)
    (tmp_path / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(ValkeyError, match=r"valkey\.log"):
        broken.start()
    assert not broken.running


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_parent_however_that_ends(tmp_path, number):
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, number)
    wait_until_gone(pid)
