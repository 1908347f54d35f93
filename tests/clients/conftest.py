from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings
from tests.support.clients import ROOT, compile_typescript, generate_python

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("description") / "openapi.json"
    path.write_text(json.dumps(create_app(Settings.model_construct()).openapi_schema.to_schema()))
    return path


@pytest.fixture(scope="session")
def blocks() -> list[tuple[str, str]]:
    """Language and content of the code blocks of docs/api.md."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def python_client(description: Path, tmp_path_factory: pytest.TempPathFactory, blocks: list[tuple[str, str]]) -> Path:
    folder = tmp_path_factory.mktemp("python")
    generate_python(description, folder)
    (folder / "use.py").write_text((HERE / "generated_python.py").read_text())
    (folder / "page.py").write_text("\n".join(block for language, block in blocks if language == "python"))
    return folder


@pytest.fixture(scope="session")
def typescript_client(
    description: Path, tmp_path_factory: pytest.TempPathFactory, blocks: list[tuple[str, str]]
) -> Path:
    """Compiled, which means that the types agree."""
    folder = tmp_path_factory.mktemp("typescript")
    page = "\n".join(block for language, block in blocks if language == "typescript")
    compile_typescript(description, folder, {"use": (HERE / "generated_typescript.ts").read_text(), "page": page})
    return folder
