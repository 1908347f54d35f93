"""The languages of the portal: choosing one, translating into it, and writing numbers and times its way."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.core import negotiate_locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.support import NullTranslations, Translations

LOCALE_DIR = Path(__file__).parent / "locale"
DOMAIN = "earmark"
DEFAULT_LANGUAGE = "en"
UTC = "UTC"
_ZONE_NAME_LIMIT = 64
# Code of each language -> its name in itself, its HTML tag, its Babel locale.
LANGUAGES: dict[str, tuple[str, str, str]] = {
    "en": ("English", "en", "en"),
    "zh": ("中文", "zh-Hans", "zh_Hans_CN"),
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody's language, and everything that is written differently in it."""

    language: str
    locale: Locale
    translations: NullTranslations
    zone: ZoneInfo

    @property
    def tag(self) -> str:
        """For the ``lang`` attribute of HTML."""
        return LANGUAGES[self.language][1]

    def gettext(self, message: str) -> str:
        return str(self.translations.gettext(message))

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        return str(self.translations.ngettext(singular, plural, count))

    def fill(self, message: str, params: Mapping[str, str | float]) -> str:
        """Translate a message id, then fill in its placeholders."""
        return self.gettext(message).format(**params)

    def number(self, value: float, digits: int = 0) -> str:
        return str(format_decimal(round(value, digits), locale=self.locale))

    def percent(self, share: float) -> str:
        """A share from 0 to 1, with one decimal; what would round to a certainty is not written as one."""
        limited = min(share, 0.999) if share < 1 else share
        return str(format_percent(limited, format="#,##0.0%", locale=self.locale))

    def whole_percent(self, share: float) -> str:
        return str(format_percent(share, locale=self.locale))

    def date_time(self, moment: datetime) -> str:
        """In the reader's time zone; in UTC, and it says so, until that is known."""
        text = str(format_datetime(moment, "medium", tzinfo=self.zone, locale=self.locale))
        return f"{text} UTC" if self.zone.key == UTC else text

    def date(self, moment: datetime) -> str:
        return str(format_date(moment.astimezone(self.zone), "medium", locale=self.locale))

    def time(self, moment: datetime) -> str:
        return str(format_time(moment.astimezone(self.zone), "short", tzinfo=self.zone, locale=self.locale))

    def midnight(self, moment: datetime) -> datetime:
        """When the reader's day of this moment began."""
        return moment.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)

    def span(self, seconds: float) -> str:
        """How long, in the largest unit that says it: 3 days, 2 hours."""
        return str(format_timedelta(timedelta(seconds=seconds), locale=self.locale))

    def size(self, size_bytes: int) -> str:
        for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
            if size_bytes >= factor:
                return f"{self.number(size_bytes / factor, 1)} {unit}"
        return f"{self.number(size_bytes)} B"


@cache
def reader_for(language: str, zone: str = UTC) -> Reader:
    return Reader(language, Locale.parse(LANGUAGES[language][2]), _translations(language), ZoneInfo(zone))


@cache
def _translations(language: str) -> NullTranslations:
    """The catalogue, compiled in memory: a compiled file beside it could be out of date. English is the source itself."""
    source = LOCALE_DIR / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    if not source.exists():
        return NullTranslations()
    compiled = io.BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language, domain=DOMAIN))
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)


def choose_language(chosen: str | None, accept_language: str | None) -> str:
    """What the person chose; else the first language their browser asks for that there is; else English."""
    if chosen in LANGUAGES:
        return chosen
    wanted = [code.split("-")[0] for code in _accepted(accept_language or "")]
    return negotiate_locale(wanted, list(LANGUAGES)) or DEFAULT_LANGUAGE


def choose_time_zone(said: str | None, default: str) -> str:
    """What the browser says it is in, if there is such a zone."""
    if not said or len(said) > _ZONE_NAME_LIMIT:
        return default
    try:
        return ZoneInfo(said).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return default


def _accepted(header: str) -> list[str]:
    """The codes of an Accept-Language header, most wanted first."""
    weighted = []
    for part in header.split(","):
        code, _, parameter = part.strip().partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            weight = float(value) if name == "q" else 1.0
        except ValueError:
            weight = 0.0
        if code and weight > 0:
            weighted.append((weight, code.lower()))
    return [code for _, code in sorted(weighted, key=lambda pair: -pair[0])]
