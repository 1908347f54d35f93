"""The commands that hand out credentials and describe the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main

Earmark = Callable[..., Result]


@pytest.fixture
def earmark(tmp_path: Path) -> Earmark:
    """The command, on a migrated data folder of its own."""

    def run(*arguments: str, **variables: str) -> Result:
        return CliRunner().invoke(main, arguments, env={"EARMARK_DATA_DIR": str(tmp_path), **variables})

    assert run("db", "upgrade").exit_code == 0
    return run


def test_a_key_is_shown_once_listed_by_its_beginning_and_revoked(earmark: Earmark):
    key = earmark("api-key", "create", "--name", "importer", "--role", "uploader").output.strip()
    assert key.startswith("emk_")
    listed = earmark("api-key", "list").output
    assert "importer\tuploader" in listed
    assert key not in listed
    assert earmark("api-key", "revoke", "importer").exit_code == 0
    assert "revoked" in earmark("api-key", "list").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "--name", "taken"), "already an API key"),
        (("revoke", "unknown"), "no valid API key"),
        (("create", "--name", "x", "--role", "king"), "'king' is not one of"),
        (("create",), "Missing option '--name'"),
    ],
)
def test_what_goes_wrong_is_said_in_words(earmark: Earmark, arguments: tuple[str, ...], words: str):
    earmark("api-key", "create", "--name", "taken")
    result = earmark("api-key", *arguments)
    assert result.exit_code != 0
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_sign_in_link_is_for_local_mode(earmark: Earmark):
    result = earmark("sign-in-link", EARMARK_PORT="9999")
    assert result.output.startswith("http://127.0.0.1:9999/sign-in/")
    refused = earmark("sign-in-link", EARMARK_OIDC_ISSUER="https://login.test")
    assert refused.exit_code == 1
    assert "EARMARK_OIDC_ISSUER" in refused.output


def test_the_description_can_be_printed_anywhere(earmark: Earmark):
    assert json.loads(earmark("openapi").output)["info"]["title"] == "Earmark"
    assert "| `job_not_found` | 404 |" in earmark("openapi", "--errors").output
