"""What the code must not contain, because no test of behaviour would notice in time. Each rule says what to do instead."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for folder in ("app", "workers") for path in sorted((ROOT / folder).rglob("*.py"))]
SCRIPTS = sorted((ROOT / "static" / "js").rglob("*.js"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

_SQL = {"text", "execute", "exec_driver_sql", "executemany", "executescript", "scalar", "scalars"}
_PROGRAMS = {"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"}
# They unfold what is packed, or run what is read.
_PARSERS = {"zipfile", "tarfile", "xml", "lxml", "yaml", "pickle", "marshal", "shelve", "dill"}
_SECRET = re.compile(r"token|secret|signature|digest|password|hmac", re.IGNORECASE)

Rule = Callable[[ast.AST], bool]


def _name(node: ast.AST) -> str:
    """The last part of what is called or named: ``a.b.c`` is c."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_composed(node: ast.AST) -> bool:
    """A text that is put together of others when the program runs."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        sides = (node.left, node.right)
        return any(isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", None), str) for side in sides)
    return isinstance(node, ast.Call) and _name(node.func) == "format"


def _composes_sql(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and _name(node.func) in _SQL and any(_is_composed(value) for value in node.args[:1])
    )


def _runs_a_shell_or_text(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    shell = any(keyword.arg == "shell" and getattr(keyword.value, "value", True) for keyword in node.keywords)
    runs_text = isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}
    of_a_library = isinstance(node.func, ast.Attribute) and _name(node.func.value) in {"os", "subprocess", "asyncio"}
    return shell or runs_text or (of_a_library and _name(node.func) in _PROGRAMS)


def _trusts_anybody(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword) and node.arg in {"verify", "check_hostname", "ssl"}:
        return isinstance(node.value, ast.Constant) and node.value.value is False
    return _name(node) in {"CERT_NONE", "_create_unverified_context"}


def _unfolds(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] in _PARSERS for alias in node.names)
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _PARSERS


def _compares_secrets(node: ast.AST) -> bool:
    """In a time that tells how much of a guess was right. Against None and other constants anything may be compared."""
    if not isinstance(node, ast.Compare) or not any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops):
        return False
    sides = [node.left, *node.comparators]
    if any(isinstance(side, ast.Attribute) and _name(side.value)[:1].isupper() for side in sides):
        return False  # a column of a table: the database compares hashes
    return all(not isinstance(side, ast.Constant) for side in sides) and any(
        _SECRET.search(_name(side)) and not _name(side).isupper() for side in sides
    )


def _calls_anybody(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) in {"AsyncClient", "urlopen", "create_connection"}


def _trusts_markup(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and _name(node.func) == "Markup"
        and not all(isinstance(value, ast.Constant) for value in node.args)
    )


# What is forbidden, and the files that may do it nevertheless.
RULES: dict[str, tuple[Rule, set[str]]] = {
    "SQL is never put together of texts: bind parameters": (
        _composes_sql,
        {"app/db/engine.py", "app/db/migrations.py"},  # PRAGMA takes no parameters; the values are our own
    ),
    "no shell, and no text is run as a program: a list of arguments": (_runs_a_shell_or_text, set()),
    "certificates are always checked": (_trusts_anybody, set()),
    "nothing is unpacked or parsed that can unfold to any size, or run": (
        _unfolds,
        {
            "app/inference/checkpoint.py",
            "app/services/report_annotations.py",
        },  # an admin's file is recognised; one is written
    ),
    "secrets are compared by hmac.compare_digest": (
        _compares_secrets,
        {"app/services/deliveries.py"},  # in a statement for the database
    ),
    "calls to addresses from outside go through app.integrations.addresses": (
        _calls_anybody,
        {  # the guarded client itself; the configured identity provider; a person's own server
            "app/integrations/addresses.py",
            "app/integrations/oidc_provider.py",
            "app/cli/api_client.py",
            "app/cli/bench/processes.py",
        },
    ),
    "what people have written is never markup": (_trusts_markup, set()),
}


@functools.cache
def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def _found(rule: Rule, allowed: set[str]) -> Iterator[str]:
    for path in SOURCES:
        place = str(path.relative_to(ROOT))
        if place not in allowed:
            for node in _nodes(path):
                if rule(node):
                    yield f"{place}:{getattr(node, 'lineno', '?')}"


@pytest.mark.parametrize("name", RULES)
def test_the_code_keeps_the_rule(name: str):
    assert list(_found(*RULES[name])) == []


@pytest.mark.parametrize("name", RULES)
def test_exceptions_are_still_needed(name: str):
    rule, allowed = RULES[name]
    assert {place.partition(":")[0] for place in _found(rule, set())} == allowed


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SQL", 'session.execute(text(f"SELECT {name}"))'),
        ("SQL", 'text("SELECT " + name)'),
        ("SQL", 'connection.exec_driver_sql("SELECT %s" % name)'),
        ("SQL", 'text("SELECT {}".format(name))'),
        ("no shell", 'subprocess.run("ls", shell=True)'),
        ("no shell", 'os.system("ls")'),
        ("no shell", "eval(text)"),
        ("certificates", "client(verify=False)"),
        ("certificates", "context.verify_mode = ssl.CERT_NONE"),
        ("nothing is unpacked", "import zipfile"),
        ("nothing is unpacked", "from xml.etree import ElementTree"),
        ("secrets", "token == sent"),
        ("secrets", "sent.signature != self._signature"),
        ("calls", "httpx2.AsyncClient()"),
        ("what people", "Markup(name)"),
    ],
)
def test_the_rules_find_what_they_are_for(name: str, code: str):
    [rule] = [rule for title, (rule, _) in RULES.items() if title.startswith(name)]
    assert any(rule(node) for node in ast.walk(ast.parse(code)))


@pytest.mark.parametrize(
    "forbidden", [".innerHTML", ".outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"]
)
def test_scripts_make_no_markup_of_texts(forbidden: str):
    assert SCRIPTS
    assert [str(path.relative_to(ROOT)) for path in SCRIPTS if forbidden in path.read_text()] == []


def test_templates_escape_everything():
    """Only what stands in the template itself may be markup."""
    literal, found = re.compile(r"""('[^']*'|"[^"]*")\s*\|\s*safe\b"""), re.compile(r"\|\s*safe\b|autoescape\s+false")
    assert TEMPLATES
    texts = {str(path.relative_to(ROOT)): literal.sub("", path.read_text()) for path in TEMPLATES}
    assert [place for place, text in texts.items() if found.search(text)] == []
    assert found.search(literal.sub("", "{{ name | safe }}"))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_the_lock_names_exact_versions_with_their_hashes_and_no_addresses(path: Path):
    """torch alone has no hash: which of its builds is right depends on the machine."""
    requirements = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^\s*#.*\n", "", path.read_text()))
    lines = [line for line in requirements.splitlines() if line.strip() and not line.startswith("--")]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9][\w.-]*(\[[\w,-]+\])?==\S+", line, re.IGNORECASE), line
        assert "--hash=sha256:" in line or path.name == "torch.txt", line
        assert "://" not in line
