"""The description of the API is complete, valid, and the one that is committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from openapi_spec_validator import validate

from app.main import create_app
from app.settings import Settings
from tests.support.web import program, web_application

ROOT = Path(__file__).resolve().parents[2]
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return create_app(Settings(data_dir=tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def description(app: Litestar) -> dict[str, Any]:
    return app.openapi_schema.to_schema()


def _operations(description: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_it_is_the_committed_one(description: dict[str, Any]):
    assert json.loads((ROOT / "docs" / "openapi.json").read_text()) == description, "run `make openapi`"


def test_it_is_valid(description: dict[str, Any]):
    validate(description)


def test_every_call_of_the_api_is_in_it_and_nothing_else(description: dict[str, Any]):
    assert {path.split("/")[1] for path in description["paths"]} == {"api"}


def test_every_operation_is_named_and_described(description: dict[str, Any]):
    operations = _operations(description)
    ids = [operation["operationId"] for _, operation in operations]
    assert len(set(ids)) == len(ids)
    for name, operation in operations:
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query":
                assert parameter["description"], f"{name} {parameter['name']}"


def test_every_failure_is_a_problem(description: dict[str, Any]):
    for name, operation in _operations(description):
        assert {"400", "401", "403", "503"} <= set(operation["responses"]), name
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                [(media_type, content)] = response["content"].items()
                assert media_type == "application/problem+json", name
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, name


def test_the_upload_is_described_by_hand_and_right(description: dict[str, Any]):
    form = description["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file"]
    assert form["properties"]["file"] == {
        "type": "string",
        "format": "binary",
        "description": form["properties"]["file"]["description"],
    }


def test_every_field_of_a_problem_and_a_job_is_explained(description: dict[str, Any]):
    schemas = description["components"]["schemas"]
    assert {"Problem", "JobOut", "JobPage", "AssetOut", "GenreResult"} <= set(schemas)
    assert set(schemas["Problem"]["required"]) >= {"type", "title", "status", "detail", "code", "instance"}


async def test_it_is_served_and_so_is_a_page_to_try_it(tmp_path: Path, sqlite_dsn: str, description: dict[str, Any]):
    async with (
        web_application(Settings(data_dir=tmp_path, database_url=sqlite_dsn)) as running,
        program(running) as client,
    ):
        served = await client.get("/openapi.json")
        assert served.json() == description
        page = (await client.get("/docs")).text
        assert "http" not in page.replace("http-equiv", "")
        assert await _loads(client, page)


async def _loads(client: httpx.AsyncClient, page: str) -> bool:
    addresses = [part.split('"')[0] for part in page.split('src="')[1:]]
    answers = [await client.get(address) for address in addresses]
    return bool(answers) and all(answer.status_code == 200 for answer in answers)
