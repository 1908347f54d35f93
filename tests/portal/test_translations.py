"""Nothing a person reads stays untranslated, and no translation loses a value."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po

from app.i18n import DEFAULT_LANGUAGE, DOMAIN, LANGUAGES, LOCALE_DIR, choose_language, reader_for

ROOT = Path(__file__).resolve().parents[2]
TRANSLATED = [code for code in LANGUAGES if code != DEFAULT_LANGUAGE]
_PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")


def _mapping() -> tuple[list[tuple[str, str]], dict[str, dict[str, str]]]:
    parser = configparser.ConfigParser()
    parser.read(LOCALE_DIR / "babel.cfg")
    methods, options = [], {}
    for section in parser.sections():
        method, pattern = section.split(":")
        methods.append((pattern.strip(), method))
        options[pattern.strip()] = dict(parser[section])
    return methods, options


def _extracted() -> set[str | tuple[str, ...]]:
    methods, options = _mapping()
    found: set[str | tuple[str, ...]] = set()
    for folder in ("app", "templates"):
        own = [
            (pattern.removeprefix(f"{folder}/"), method) for pattern, method in methods if pattern.startswith(folder)
        ]
        settings = {pattern.removeprefix(f"{folder}/"): values for pattern, values in options.items()}
        entries = extract_from_dir(ROOT / folder, own, settings, keywords={**DEFAULT_KEYWORDS, "N_": None})
        found |= {message for _, _, message, _, _ in entries}
    return found


def _catalogue(language: str) -> Catalog:
    with (LOCALE_DIR / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        return read_po(file, locale=language)


def _messages(language: str) -> Iterator[Message]:
    return (message for message in _catalogue(language) if message.id)


def _forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_in_the_catalogue(language):
    known = {message.id for message in _messages(language)}
    texts = _extracted()
    assert len(texts) > 200
    assert texts - known == set(), "run `make messages`, then translate"
    assert known - texts == set(), "run `make messages`: these are no longer used"


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated(language):
    assert [m.id for m in _messages(language) if m.fuzzy or not all(_forms(m.string))] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_keep_every_value(language):
    different = [
        message.id
        for message in _messages(language)
        for form in _forms(message.string)
        if set(_PLACEHOLDER.findall(form)) != set(_PLACEHOLDER.findall(_forms(message.id)[-1]))
    ]
    assert different == []


@pytest.mark.parametrize(
    ("chosen", "header", "expected"),
    [
        (None, None, "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en-GB,en;q=0.9,zh;q=0.5", "en"),
        (None, "fr-FR,zh;q=0.4,en;q=0.3", "zh"),
        (None, "fr", "en"),
        (None, "zh;q=0", "en"),
        (None, "zh;q=lots, ;;,", "en"),
        ("zh", "en", "zh"),
        ("xx", "zh-TW", "zh"),
    ],
)
def test_language_is_the_chosen_one_or_the_browsers(chosen, header, expected):
    assert choose_language(chosen, header) == expected


def test_numbers_are_written_the_readers_way():
    reader = reader_for("en")
    assert reader.percent(0.93456) == "93.5%"
    assert reader.percent(0.99999) == "99.9%"
    assert reader.percent(1) == "100.0%"
    assert [reader.size(size) for size in (999, 1500, 30_000_000)] == ["999 B", "1.5 kB", "30 MB"]
    assert reader_for("zh").gettext("Chamber") == "室内乐"
