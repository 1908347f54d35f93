"""Every template compiles, names only what there is, and nothing inline that the content security policy forbids."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import msgspec
import pytest
from jinja2 import meta, nodes

from app.routes import docs, pages, portal
from app.routes.portal.templating import TEMPLATES_DIR, clock, environment

STATIC_DIR = TEMPLATES_DIR.parent / "static"
TEMPLATES = sorted(str(path.relative_to(TEMPLATES_DIR)) for path in TEMPLATES_DIR.rglob("*.html"))
FRAME = {"reader", "theme", "path", "here"}
GLOBALS = {"static_url", "csrf_token", "csrf_field", "principal", "preferences"}
_PORTAL = [module.name for module in pkgutil.iter_modules(portal.__path__)]
VIEW_FIELDS = {
    field
    for module in (pages, docs, *(importlib.import_module(f"app.routes.portal.{name}") for name in _PORTAL))
    for view in vars(module).values()
    if isinstance(view, type) and issubclass(view, msgspec.Struct)
    for field in view.__struct_fields__
}
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|hx-vals=.js:")
_ELSEWHERE = re.compile(r"""(?:src|href|url\(|@import)\s*=?\s*["'(]?(?:https?:)?//""")


def _sources() -> list[Path]:
    own = [path for folder in ("css", "js", "img") for path in (STATIC_DIR / folder).rglob("*") if path.is_file()]
    return [*TEMPLATES_DIR.rglob("*.html"), *own]


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_compiles(name):
    environment().get_template(name)


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_names_only_what_it_is_given(name):
    """Also in branches that no test renders."""
    made = environment()
    tree = made.parse((TEMPLATES_DIR / name).read_text())
    own = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"}
    own |= {node.name for node in tree.find_all(nodes.Macro)}
    own |= {node.target for node in tree.find_all(nodes.Import)}
    given = set(made.globals) | FRAME | GLOBALS | own | {"page", "job", "show", "icon", "_trans"}
    assert meta.find_undeclared_variables(tree) - given == set()
    fields = {
        node.attr
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name == "page"
    }
    assert fields - VIEW_FIELDS == set()


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_has_nothing_inline(name):
    assert _INLINE.findall((TEMPLATES_DIR / name).read_text()) == []


@pytest.mark.parametrize("path", _sources(), ids=lambda path: path.name)
def test_source_names_no_other_host(path):
    assert _ELSEWHERE.findall(path.read_text()) == []


def test_every_icon_exists():
    icons = set(re.findall(r'symbol id="(\w+)"', (STATIC_DIR / "img" / "icons.svg").read_text()))
    text = "".join(path.read_text() for path in TEMPLATES_DIR.rglob("*.html"))
    used = set(re.findall(r'icon\("(\w+)"', text))
    assert used - icons == set()


def test_every_colour_has_a_name():
    """Colours stand in tokens.css, so that light and dark are complete."""
    for sheet in ("base", "frame", "components"):
        text = (STATIC_DIR / "css" / f"{sheet}.css").read_text()
        bare = [
            line for line in text.splitlines() if re.search(r"#[0-9a-f]{3,8}\b", line) and "light-dark(" not in line
        ]
        assert bare == []


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0:00"), (5.4, "0:05"), (59.6, "1:00"), (65, "1:05"), (3725, "1:02:05")]
)
def test_clock(seconds, expected):
    assert clock(seconds) == expected
