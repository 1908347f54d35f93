"""Documents and container files say only what is true of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from app.cli import main
from app.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
_OTHERS = {"EARMARK_TORCH", "EARMARK_URL", "EARMARK_API_KEY"}  # of the set-up, and of `earmark batch`
KNOWN_VARIABLES = {PREFIX + name.upper() for name in Settings.model_fields} | _OTHERS
WRITTEN = [
    ROOT / name for name in ("README.md", "Dockerfile", "compose.yaml", ".env.example", "Makefile", "CHANGELOG.md")
] + sorted((ROOT / "docs").rglob("*.md"))


def _commands() -> set[str]:
    """Every `earmark …` command that a document or container file tells people to run."""
    commands: set[str] = set()
    for path in WRITTEN:
        text = path.read_text()
        commands |= set(re.findall(r"(?:^|`|&& |exec \S*/)(earmark [a-z][^`&\"\]\n]*)", text, re.MULTILINE))
        lists = re.findall(r'\[("earmark"[^\]]*)\]', text)
        commands |= {" ".join(re.findall(r'"([^"]+)"', entry)) for entry in lists}
    return commands


@pytest.mark.parametrize("command", sorted(_commands()))
def test_every_written_command_exists(command: str):
    words = [word for word in shlex.split(command)[1:] if not word.startswith("-")]
    names = [word for word in words if re.fullmatch(r"[a-z][a-z-]+", word)][:2]
    group = main
    context = group.make_context("earmark", ["--help"], resilient_parsing=True)
    options = {"--help"}
    for name in names:
        found = group.get_command(context, name) if hasattr(group, "get_command") else None
        if found is None:
            break
        group = found
        options |= {option for parameter in group.params for option in parameter.opts}
    assert group is not main, f"there is no such command: {command}"
    assert {word for word in shlex.split(command) if word.startswith("--")} <= options
    assert (
        CliRunner().invoke(main, [*names[: 2 if len(names) > 1 and group.name == names[1] else 1], "--help"]).exit_code
        == 0
    )


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_every_written_variable_exists(path: Path):
    written = set(re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z]\b", path.read_text()))
    assert written <= KNOWN_VARIABLES


def test_containers_get_only_settings_that_exist():
    for service in COMPOSE["services"].values():
        names = {name for name in service.get("environment", {}) if name.startswith(PREFIX)}
        assert names <= KNOWN_VARIABLES


def test_containers_are_built_from_stages_that_exist():
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    targets = {service["build"]["target"] for service in COMPOSE["services"].values() if "build" in service}
    assert {"web", "worker"} <= targets <= stages


def test_what_the_containers_copy_exists():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()} - {".", "wheels*"}
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.name)
def test_every_decision_says_what_enforces_it(path: Path):
    text = path.read_text()
    assert re.match(r"# \d+\. ", text)
    assert "**Enforced by**" in text


def test_every_link_between_documents_leads_somewhere():
    for path in (path for path in WRITTEN if path.suffix == ".md"):
        for target in re.findall(r"\]\((?!https?:|#|/)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
