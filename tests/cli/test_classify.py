"""`earmark classify`: no server, no database, and findings that other programs can read."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.classify import Finding, write
from app.domain.genres import GENRE_IDS
from tests.support.factories import make_result
from tests.support.installation import ROOT
from tests.support.sounds import chords, encode


def classify(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", "classify", *arguments]
    environment = {**os.environ, **{f"EARMARK_{name.upper()}": value for name, value in settings.items()}}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.timeout(480)  # whoever asks first waits for the starter to be built
def test_files_and_folders_by_the_starter(tmp_path: Path, starter_bundle: Path):
    """Neither the data folder nor the database is there."""
    music = tmp_path / "music"
    (music / "below").mkdir(parents=True)
    (music / "below" / "早.wav").write_bytes(encode(chords(12, 22_050), 22_050, "wav"))
    (music / "damaged.mp3").write_bytes(b"ID3\x03\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90\x00" * 30)
    (music / "notes.txt").touch()
    result = classify(
        *(str(music), str(music / "below" / "早.wav"), "--json"),
        data_dir=str(tmp_path / "data"),
        models_dir=str(starter_bundle.parent.parent),
        database_url="postgresql+asyncpg://nobody@127.0.0.1:1/nothing",
    )
    assert result.returncode == 1, result.stderr
    heard, damaged = [json.loads(line) for line in result.stdout.splitlines()]
    assert heard["file"] == str(music / "below" / "早.wav")
    assert heard["result"]["top1"]["genre"] in GENRE_IDS
    assert heard["result"]["model"]["starter"]
    assert (damaged["file"], damaged["error"]) == (str(music / "damaged.mp3"), "audio_corrupt")
    assert damaged["detail"]


@pytest.mark.parametrize(("argument", "words"), [("nowhere", "does not exist"), (".", "no recordings")])
def test_nothing_to_hear(tmp_path: Path, argument: str, words: str):
    result = classify(str(tmp_path / argument), data_dir=str(tmp_path))
    assert result.returncode != 0
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_no_model(tmp_path: Path):
    (tmp_path / "a.mp3").touch()
    result = classify(str(tmp_path), data_dir=str(tmp_path))
    assert (result.returncode, "earmark model starter" in result.stderr) == (1, True)


FINDINGS = [
    Finding(file="[red]a.mp3", title="=1+1", artist="李", result=make_result("opera", 0.75)),
    Finding(file="b.mp3", result=make_result(audible=False)),
    Finding(file="c.mp3", error="audio_corrupt", detail="It is damaged."),
]


def test_a_table_for_spreadsheets(capsys: pytest.CaptureFixture[str]):
    write(FINDINGS, "csv")
    header, first, _, third = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["file", "title", "artist", "top_1", "probability", "tier", "top_5", "error"]
    assert first[:6] == ["[red]a.mp3", "'=1+1", "李", "opera", "0.75", "medium"]
    assert first[6].count(";") == 4
    assert third == ["c.mp3", "", "", "", "", "", "", "audio_corrupt"]


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]):
    write(FINDINGS, None)
    header, first, second, third = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["File", "Genre"]
    assert first.split()[:3] == ["[red]a.mp3", "Opera", "75.0%"]
    assert "no audible signal" in second
    assert "It is damaged." in third
