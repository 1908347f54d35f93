"""What a recording is found by: the words of its names, and in scripts without spaces their pairs of characters."""

from __future__ import annotations

import re
import unicodedata

TERM_LENGTH = 24
SORT_NAME_LENGTH = 48
_TERMS_PER_RECORDING = 120
_TERMS_PER_QUERY = 8

# Han, kana and Hangul: languages in which a space says little about where a word begins.
_UNSPACED = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|[^\W_{_UNSPACED}]+")
# Inside of a word: BrandAnthem|V|2
_PART = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


def _plain(text: str) -> str:
    """Without accents, and with full-width letters as ordinary ones."""
    split = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text))
    return unicodedata.normalize("NFC", "".join(c for c in split if unicodedata.category(c) != "Mn"))


def _pairs(run: str) -> list[str]:
    """Every two neighbours, and the last character, so that each character begins a term."""
    return [run[start : start + 2] for start in range(len(run))]


def _endings(word: str) -> list[str]:
    """The word, and what remains of it from each inner beginning on: TakeTwo3 is found by take, two and 3."""
    starts = [0, *(match.start() for match in _PART.finditer(word))]
    return [word[start:].casefold()[:TERM_LENGTH] for start in starts]


def terms_of(*names: str | None) -> set[str]:
    """All terms under which a recording with these names is kept."""
    terms: dict[str, None] = {}
    for name in names:
        for run in _RUN.finditer(_plain(name or "")):
            terms.update(dict.fromkeys(_pairs(run[0]) if run["unspaced"] else _endings(run[0])))
    return set(list(terms)[:_TERMS_PER_RECORDING])


def query_terms(text: str) -> list[str]:
    """What somebody has typed, as beginnings of terms that must all be there."""
    terms: dict[str, None] = {}
    for run in _RUN.finditer(_plain(text)):
        pairs = (_pairs(run[0])[:-1] or [run[0]]) if run["unspaced"] else [run[0].casefold()[:TERM_LENGTH]]
        terms.update(dict.fromkeys(pairs))
    return list(terms)[:_TERMS_PER_QUERY]


def sort_name(title: str | None, name: str) -> str:
    """What a recording is ordered by: its title, else its file's name, however it is written."""
    return _plain(title or name).casefold().strip()[:SORT_NAME_LENGTH]
