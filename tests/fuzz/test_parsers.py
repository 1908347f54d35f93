"""Every parser of ours on whatever can be written: it answers, or says no in its own words; nothing else ever comes out."""

from __future__ import annotations

import contextlib
import json
import os
import string
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from unittest import mock
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar.exceptions import ValidationException

from app.domain.addresses import IntranetHosts, is_public, parse_ip
from app.domain.ids import first_id_of, new_id
from app.domain.manifests import read_csv, read_json_lines
from app.domain.media import clean_name
from app.domain.permissions import Role
from app.domain.search import query_terms, sort_name, terms_of
from app.errors import AddressRefused, CursorInvalid, EarmarkError, ManifestInvalid, SignInRefused, UrlRefused
from app.i18n import LANGUAGES, choose_language, choose_time_zone
from app.inference import decoder_messages
from app.inference.audio import TAG_LIMIT, clean_tag
from app.integrations.addresses import check_url
from app.routes import ranges
from app.routes.api.filters import cursor_of, moment_of, storable
from app.routes.auth import safe_next
from app.routes.credentials import check_host
from app.routes.job_options import fields_of_texts, options_of, reference_of_json
from app.routes.ranges import content_disposition
from app.routes.signed_parts import check_part_address
from app.services import library
from app.services.accounts import role_of
from app.settings import PREFIX, Settings, SettingsError, load_settings

pytestmark = pytest.mark.usefixtures("_steady")

# What people and attackers write where a text is expected.
NASTY = st.sampled_from(
    [
        "",
        "\0",
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "%00%2e%2e%2f",
        "'; DROP TABLE jobs; --",
        "=1+1",
        "<script>alert(1)</script>",
        "a\r\nSet-Cookie: b=c",
        "\u202egpj.exe",
        "９" * 40,
        "9" * 5_000,
        "-1",
        "NaN",
        "1e999",
        "[" * 2_000,
        "{" * 2_000,
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ]
)
WORDS = NASTY | st.text(max_size=300)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
BYTES = st.binary(max_size=400) | WORDS.map(lambda text: text.encode(errors="replace"))
CONFIG = SimpleNamespace(
    intranet=IntranetHosts(), signing_key="k" * 64, base_url="http://127.0.0.1:8080", local_mode=True
)


@pytest.fixture(scope="module")
def _steady():
    """Other tests run beside these: slowness is no failure."""
    settings.register_profile("parsers", deadline=None, max_examples=40)
    settings.load_profile("parsers")


# Each takes a text and gives an answer or one of the exceptions.
REFUSALS: dict[str, tuple[Callable[[str], object], tuple[type[Exception], ...]]] = {
    "the cursor of a list": (cursor_of, (CursorInvalid,)),
    "the cursor of the library": (library._decoded, ()),
    "a time": (lambda text: moment_of(text, "created_after"), (ValidationException,)),
    "a text to look for": (storable, ()),
    "search": (query_terms, ()),
    "terms of a name": (lambda text: (terms_of(text, text), sort_name(text, text)), ()),
    "an IP address": (lambda text: (found := parse_ip(text)) and is_public(found), ()),
    "an address to call": (lambda text: check_url(text, IntranetHosts()), (UrlRefused, AddressRefused)),
    "an https address to call": (
        lambda text: check_url(f"https://{text}", IntranetHosts()),
        (UrlRefused, AddressRefused),
    ),
    "hosts of the intranet": (lambda text: IntranetHosts.parse([text]), (ValueError,)),
    "the language of a reader": (lambda text: choose_language(text, text), ()),
    "the time zone of a reader": (lambda text: choose_time_zone(text, "UTC"), ()),
    "where to go on to": (safe_next, ()),
    "a signature": (
        lambda text: check_part_address(CONFIG, uuid.UUID(int=0), 1, expires=0, signature=text),  # type: ignore[arg-type]
        (EarmarkError,),
    ),
    "the name of the host": (
        lambda text: check_host(text, CONFIG),
        (EarmarkError,),
    ),
    "the options of a job": (
        lambda text: options_of(
            fields_of_texts(dict.fromkeys(("kind", "analyse", "batch_id", "metadata", "force", "name"), text)),
            CONFIG,  # type: ignore[arg-type]
        ),
        (ValidationException, EarmarkError),
    ),
    "metadata": (lambda text: fields_of_texts({"metadata": text}), (ValidationException,)),
}


@pytest.mark.parametrize("name", REFUSALS)
@given(text=WORDS)
def test_a_text_is_understood_or_refused(name: str, text: str):
    parse, refusals = REFUSALS[name]
    with contextlib.suppress(*refusals):
        parse(text)


@given(st.binary(max_size=400) | JSON.map(lambda value: json.dumps(value).encode()) | BYTES)
def test_a_reference_is_understood_or_refused(content: bytes):
    try:
        reference = reference_of_json(content, {})
    except (ValidationException, EarmarkError):
        return
    assert (reference.source_url is None) != (reference.upload_id is None)


@pytest.mark.parametrize("read", [read_csv, read_json_lines])
@given(
    content=BYTES
    | st.lists(JSON, max_size=4).map(lambda lines: "\n".join(map(json.dumps, lines)).encode())
    | st.lists(st.lists(WORDS, max_size=4), max_size=4).map(
        lambda rows: "\n".join(["source_url,name", *map(",".join, rows)]).encode(errors="replace")
    )
)
def test_a_manifest_is_read_or_refused_with_its_lines(read: Callable[[bytes], list], content: bytes):
    lines, faults = [], []
    try:
        lines = read(content)
    except ManifestInvalid as error:
        faults = error.faults
    assert bool(lines) != bool(faults)
    assert all(fault.line >= 1 and fault.message for fault in faults)


@given(wanted=WORDS | st.from_regex(r"bytes=[0-9]{0,30}-[0-9]{0,30}", fullmatch=True), size=st.integers(0, 10**12))
def test_a_range_lies_within_the_file_or_is_passed_over(wanted: str, size: int):
    try:
        found = ranges._chosen_range(wanted, size)
    except ranges._Unsatisfiable:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@given(name=WORDS)
def test_a_name_in_a_header_is_one_header_and_comes_out_as_it_was(name: str):
    name = clean_name(name.encode(errors="replace").decode())
    header = content_disposition(name, download=True)
    assert all(" " <= letter <= "~" for letter in header)
    quoted, _, exact = header.partition("; filename*=UTF-8''")
    assert quoted.count('"') == 2
    assert unquote(exact) == name


@given(tag=WORDS | st.text(max_size=12_000))
def test_a_tag_is_one_short_line_without_invisible_letters(tag: str):
    cleaned = clean_tag(tag)
    if cleaned is not None:
        assert 0 < len(cleaned) <= TAG_LIMIT
        assert "".join(cleaned.split()) == "".join(
            letter for letter in cleaned if letter.isprintable() and letter != " "
        )


@given(claims=st.dictionaries(st.just("groups") | WORDS, JSON, max_size=4), default=st.none() | st.just(Role.VIEWER))
def test_claims_give_no_more_than_the_map_says(claims: dict[str, object], default: Role | None):
    role_map = {"operators": Role.ADMIN}
    try:
        role = role_of(claims, claim="groups", role_map=role_map, default=default)
    except SignInRefused:
        assert default is None
        return
    named = json.dumps(claims.get("groups"), default=str)
    assert role is default or any(word in named for word in [*Role, *role_map])


@given(moment=st.datetimes(max_value=datetime(2026, 1, 1)))  # noqa: DTZ001  with and without a zone are understood
def test_a_time_gives_an_id_in_its_order(moment: datetime):
    first = moment_of(moment.isoformat(), "created_after")
    assert first is not None
    assert first_id_of(first) <= first_id_of(first + timedelta(milliseconds=1)) <= new_id()


@given(content=BYTES)
def test_a_decoder_process_that_says_anything_is_understood_or_refused(content: bytes):
    with contextlib.suppress(msgspec.DecodeError):
        decoder_messages.decode(content)


@given(text=WORDS)
def test_the_way_on_stays_with_us(text: str):
    path = urlsplit("http://earmark.test" + safe_next(text))
    assert path.hostname == "earmark.test"
    assert choose_language(text, text) in LANGUAGES


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
@settings(max_examples=8)
@given(text=NASTY | st.text(string.printable, max_size=40))
def test_a_setting_is_taken_or_refused_in_one_line_that_names_it(name: str, text: str):
    value = text.replace("\0", "").encode(errors="replace").decode()
    message = PREFIX
    with mock.patch.dict(os.environ, {f"{PREFIX}{name.upper()}": value}):
        try:
            load_settings()
        except SettingsError as error:
            message = str(error)
    assert PREFIX in message
    assert "\n" not in message.replace(value, "")
