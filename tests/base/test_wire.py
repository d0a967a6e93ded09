"""A document has exactly one encoding (RFC 8785, restricted)."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(
    lambda s: unicodedata.normalize("NFC", s)
)
NAMES = st.text(st.characters(codec="ascii"), max_size=8)
VALUES = st.recursive(
    TEXT | st.booleans() | st.integers(-wire.MAX_INTEGER, wire.MAX_INTEGER),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=6)


@given(DOCUMENTS)
def test_round_trip(document: wire.Document) -> None:
    octets = wire.encode(document)
    assert wire.decode(octets) == document
    assert json.loads(octets) == document


@given(DOCUMENTS)
def test_a_second_writer_agrees_on_the_octets(document: wire.Document) -> None:
    second = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    assert wire.encode(document) == second


@given(
    st.binary(max_size=200)
    | DOCUMENTS.map(wire.encode).flatmap(
        lambda octets: st.integers(0, len(octets) - 1).flatmap(
            lambda at: st.integers(0, 255).map(lambda byte: octets[:at] + bytes([byte]) + octets[at + 1 :])
        )
    )
)
def test_garbage_and_mutations_are_refused_or_canonical(octets: bytes) -> None:
    try:
        document = wire.decode(octets)
    except Refusal as refusal:
        assert refusal.rule in {"not-canonical", "too-large"}
    else:
        assert wire.encode(document) == octets


@pytest.mark.parametrize(
    "octets",
    [
        b'{"a":1,"a":1}', b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1.0}', b'{"a":null}', b'{"a":1e2}', b"[1]", b"",
        b'{"a":9007199254740992}', b'{"a":"e\xcc\x81"}', b'{"a":"\\u00e9"}', b'{"a":"\\/"}', b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"\xc3\xa9":1}', b'{"a":-0}', b'{"a":01}', b'{"a":1}\n',
        b'{"a":' + b"[" * 17 + b"]" * 17 + b"}", b'{"a":' + b"[" * 60000, b'{"a":1e400}',
    ],
)  # fmt: skip
def test_what_has_another_form_is_refused(octets: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        wire.decode(octets)
    assert caught.value.rule == "not-canonical"


def test_a_large_document_is_refused_before_it_is_read() -> None:
    with pytest.raises(Refusal, match="too-large"):
        wire.decode(b"{" + b" " * wire.MAX_DOCUMENT_BYTES)


@pytest.mark.parametrize("value", [1.5, None, 2**53, "e\u0301", b"octets", {"é": 1}, (1,), "\ud800"])
def test_what_has_no_canonical_form_is_not_written(value: object) -> None:
    with pytest.raises(Misuse, match="not-canonical"):
        wire.encode({"a": value})


@given(st.binary(max_size=64))
def test_base64url_round_trip(octets: bytes) -> None:
    assert wire.unb64u(wire.b64u(octets)) == octets


@pytest.mark.parametrize("text", ["YQ==", "YR", "Y", "Y+/a", "Y Q", "é", "YQ\n"])
def test_other_forms_of_base64_are_refused(text: str) -> None:
    with pytest.raises(Refusal, match="bad-base64"):
        wire.unb64u(text)
