"""What a decoder process could still do after a file has taken it over: really tried, in a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from app.inference import decoder_messages as messages
from app.inference.decoding import SandboxedDecoder
from app.inference.sandbox import Sandbox
from tests.support.intruder import TRIES
from tests.support.sounds import chords, encode

REFUSED = {"Operation not permitted", "Permission denied"}


@pytest.fixture
async def outcomes() -> dict[str, str]:
    recording, samples = os.memfd_create("recording"), os.memfd_create("samples")
    os.ftruncate(samples, messages.SAMPLES_BYTES)
    sandbox = Sandbox("tests.support.intruder", (recording, samples), cpu_limit_s=10)
    try:
        await sandbox.wait_ready()
        assert sandbox.missing == []
        reply = await sandbox.ask()
    finally:
        sandbox.release()
        os.close(recording)
        os.close(samples)
    assert isinstance(reply, messages.Broke)
    return json.loads(reply.reason.partition("RuntimeError: ")[2])


async def test_a_process_that_was_taken_over_is_refused_everything(outcomes: dict[str, str]):
    assert {name for name, outcome in outcomes.items() if outcome not in REFUSED} == set()
    assert set(outcomes) == set(TRIES)


def test_outside_a_sandbox_the_same_is_possible():
    """That the attempts above fail because of the sandbox, and not by themselves."""
    program = """
import json
from tests.support import intruder
harmless = {"open a network socket", "open a pair of sockets", "start a program", "read a file of the system",
            "list a folder", "read its parent's environment"}
intruder.TRIES = {name: attempt for name, attempt in intruder.TRIES.items() if name in harmless}
print(json.dumps(intruder.outcomes()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    outcomes = json.loads(done.stdout)
    assert len(outcomes) == 6
    assert set(outcomes.values()) == {"done"}


async def test_a_kernel_that_offers_less_is_named_in_the_log_and_files_are_decoded_all_the_same(monkeypatch):
    """By an environment in which the process takes itself to be on a machine that we have no table for."""
    program = """
import platform, runpy
platform.machine = lambda: "sparc64"
runpy.run_module("app.inference.decoder_process", run_name="__main__")
"""
    real = subprocess.Popen

    def elsewhere(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        python, _, _, _, *arguments = command
        return real([python, "-c", program, *arguments], **options)

    monkeypatch.setattr(subprocess, "Popen", elsewhere)
    decoder = SandboxedDecoder(processes=1, timeout_s=30)
    with capture_logs() as lines:
        await decoder.start()
    try:
        assert (await decoder.decode(encode(chords(1), 44_100, "wav"))).samples.shape == (22_050,)
    finally:
        await decoder.close()
    assert [(line["log_level"], line["missing"]) for line in lines] == [("warning", ["seccomp"])]
