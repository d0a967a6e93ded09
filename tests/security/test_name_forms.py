"""Names that say the same are one; whatever differs in what it says is another (RFC 5280, 7.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.security.verification.name_forms import form_of, relative

COMMON_NAME, ORGANISATION = "2.5.4.3", "2.5.4.10"
PRINTABLE, UTF8, BMP, OCTETS = 0x13, 0x0C, 0x1E, 0x04


def attribute(kind: str, value: bytes, tag: int = UTF8) -> bytes:
    return der.sequence(der.oid(kind), der.tlv(tag, value))


def name(*rdns: bytes) -> bytes:
    return der.sequence(*(der.tlv(der.SET, rdn) for rdn in rdns))


def common(value: bytes, tag: int = UTF8) -> bytes:
    return name(attribute(COMMON_NAME, value, tag))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (common(b"Volt", PRINTABLE), common(b"Volt")),
        (common(b"VOLT  parts "), common(b" volt Parts")),
        (common("Volt".encode("utf-16-be"), BMP), common(b"volt")),
        (common("Caf\u00e9".encode()), common("Cafe\u0301".encode())),
        (
            name(attribute(COMMON_NAME, b"a") + attribute(ORGANISATION, b"b")),
            name(attribute(ORGANISATION, b"b") + attribute(COMMON_NAME, b"a")),
        ),
    ],
)
def test_the_same_name(one, other):
    assert one != other
    assert form_of(one) == form_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (common(b"Volt"), common(b"Vo lt")),
        (common(b"Volt"), name(attribute(ORGANISATION, b"Volt"))),
        (common(b"\xff\xfe"), common(b"\xff\xfd")),
        (common(b"Volt"), common(b"Volt", OCTETS)),
        (
            name(attribute(COMMON_NAME, b"a"), attribute(ORGANISATION, b"b")),
            name(attribute(ORGANISATION, b"b"), attribute(COMMON_NAME, b"a")),
        ),
        (
            name(attribute(COMMON_NAME, b"a")),
            name(attribute(COMMON_NAME, b"a"), attribute(COMMON_NAME, b"a")),
        ),
        (name(), common(b"")),
    ],
)
def test_another_name(one, other):
    assert form_of(one) != form_of(other)


def test_an_rdn_below_a_name():
    whole = name(attribute(ORGANISATION, b"Market"), attribute(COMMON_NAME, b"list"))
    above = form_of(name(attribute(ORGANISATION, b"market")))
    assert relative(above, attribute(COMMON_NAME, b"LIST")) == form_of(whole)


def test_a_name_of_too_many_parts():
    with pytest.raises(Refusal, match="der-count"):
        form_of(name(*[attribute(COMMON_NAME, b"a")] * 65))


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_a_form(octets):
    try:
        assert isinstance(form_of(octets), tuple)
    except Refusal as refusal:
        assert refusal.rule.startswith("der-")
