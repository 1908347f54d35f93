"""Settings: sensible defaults, one clear line for a wrong value, no open door."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from app.settings import PREFIX, Settings, SettingsError, load_settings

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "settings.md"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "eighty", "valid integer"),
        ("PORT", "70000", "65535"),
        ("DATABASE_URL", "mysql://x", "postgresql+asyncpg://"),
        ("REDIS_URL", "http://x", "redis://"),
        ("STORAGE_URL", "s3:///prefix", "s3://bucket"),
        ("OIDC_ISSUER", "login.example", "https://"),
        ("OIDC_ROLE_MAP", '{"a": "king"}', "viewer"),
        ("OIDC_ROLE_MAP", "not json", "OIDC_ROLE_MAP"),
        ("REVIEW_THRESHOLD", "1.5", "less than or equal to 1"),
        ("DEVICE", "gpu", "match"),
        ("SECRET_KEY", "short", "32"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
):
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(PREFIX + name)
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "earmark.example"])
def test_no_network_without_sign_in(monkeypatch: pytest.MonkeyPatch, host: str):
    monkeypatch.setenv("EARMARK_HOST", host)
    with pytest.raises(SettingsError, match="EARMARK_OIDC_ISSUER"):
        load_settings()
    monkeypatch.setenv("EARMARK_OIDC_ISSUER", "https://login.example")
    monkeypatch.setenv("EARMARK_PUBLIC_URL", "https://earmark.example")
    assert load_settings().host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_issuer_must_know_the_way_back(monkeypatch: pytest.MonkeyPatch, host: str):
    monkeypatch.setenv("EARMARK_HOST", host)
    monkeypatch.setenv("EARMARK_OIDC_ISSUER", "https://login.example")
    with pytest.raises(SettingsError, match="EARMARK_PUBLIC_URL"):
        load_settings()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_loopback_needs_no_issuer(monkeypatch: pytest.MonkeyPatch, host: str):
    monkeypatch.setenv("EARMARK_HOST", host)
    assert load_settings().local_mode


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EARMARK_PORT", "")
    assert load_settings().port == 8080


def test_the_signing_key_is_made_once_for_its_owner_only(tmp_path: Path):
    first, second = Settings(data_dir=tmp_path), Settings(data_dir=tmp_path)
    assert len(first.signing_key) == 64
    assert first.signing_key == second.signing_key
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_a_data_folder_that_can_not_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="EARMARK_DATA_DIR"):
        Settings(data_dir=tmp_path / "file" / "data").prepare_data_dir()


def test_every_setting_is_documented_and_every_documented_setting_exists():
    documented = set(re.findall(rf"^\| `({PREFIX}\w+)`", DOCUMENT.read_text(), re.MULTILINE))
    assert documented == {PREFIX + name.upper() for name in Settings.model_fields}
    assert all(field.description for field in Settings.model_fields.values())
