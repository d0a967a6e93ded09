"""DER: what is written reads back, and nothing but its one encoding is taken."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der

oids = st.tuples(st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 2**128), max_size=5)).map(
    lambda t: ".".join(map(str, (t[0], t[1], *t[2])))
)
instants = st.datetimes(datetime(1950, 1, 1), datetime(2120, 1, 1)).map(  # noqa: DTZ001 - made aware here
    lambda d: d.replace(microsecond=0, tzinfo=UTC)
)


def refused(octets: bytes, read) -> str:
    with pytest.raises(Refusal) as caught:
        read(der.Reader(octets))
    return caught.value.rule


@given(st.integers(-(2**100), 2**100))
@example(-128)
@example(-32768)
@example(127)
@example(128)
def test_integers_read_back(number):
    assert der.Reader(der.integer(number)).integer(20) == number


@given(oids)
def test_object_identifiers_read_back(dotted):
    try:
        written = der.oid(dotted)
        assert der.Reader(written).oid() == dotted
    except Refusal as refusal:
        assert refusal.rule == "der-oid"
        assert len(written) > 64


@given(instants)
def test_times_read_back(at):
    assert der.Reader(der.time(at)).time() == at
    assert der.Reader(der.generalized_time(at)).generalized_time() == at


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_every_length_reads_back(size):
    content = bytes(size)
    assert der.Reader(der.octet_string(content)).content(der.OCTET_STRING) == content


def test_wrong_identifiers_are_the_callers_misuse():
    for wrong in ("1", "3.1", "1.40"):
        with pytest.raises(Misuse):
            der.oid(wrong)


@pytest.mark.parametrize(
    ("octets", "rule"),
    [
        (b"", "der-truncated"),
        (b"\x04", "der-truncated"),
        (b"\x04\x02\x00", "der-truncated"),
        (b"\x04\x80\x00\x00", "der-length"),
        (b"\x04\x81\x01\x00", "der-length"),
        (b"\x04\x81\x7f" + bytes(127), "der-length"),
        (b"\x04\x82\x00\x80" + bytes(128), "der-length"),
        (b"\x04\x85\x00\x00\x00\x00\x01\x00", "der-length"),
        (b"\x04\x84\xff\xff\xff\xff\x00", "der-truncated"),
        (b"\x04\xff\x00", "der-length"),
        (b"\x1f\x81\x01\x00", "der-tag"),
        (b"\x24\x02\x04\x00", "der-tag"),
        (b"\x05\x00", "der-tag"),
    ],
)
def test_a_length_has_one_form(octets, rule):
    assert refused(octets, lambda r: r.content(der.OCTET_STRING)) == rule


@pytest.mark.parametrize(
    "octets", [b"\x02\x00", b"\x02\x02\x00\x01", b"\x02\x02\xff\xff", b"\x02\x09" + b"\1" * 9]
)
def test_an_integer_has_its_fewest_octets(octets):
    assert refused(octets, lambda r: r.integer()) == "der-integer"


@pytest.mark.parametrize("octets", [b"\x01\x01\x01", b"\x01\x00", b"\x01\x02\xff\xff"])
def test_a_boolean_is_ff_or_00(octets):
    assert refused(octets, lambda r: r.boolean()) == "der-boolean"


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x01", b"\x2a\x80\x01", b"\x2a\x86", bytes(65), b"\x2a" + b"\x01" * 30]
)
def test_an_identifier_has_one_form(content):
    assert refused(der.tlv(der.OID, content), lambda r: r.oid()) == "der-oid"


@pytest.mark.parametrize(
    "octets",
    [
        der.tlv(der.UTC_TIME, b"2605041200Z"),
        der.tlv(der.UTC_TIME, b"260504120000+0100"),
        der.tlv(der.UTC_TIME, b"260230120000Z"),
        der.tlv(der.UTC_TIME, b"260504126000Z"),
        der.tlv(der.GENERALIZED_TIME, b"20260504120000Z"),
        der.tlv(der.GENERALIZED_TIME, b"20600504120000.0Z"),
        der.tlv(der.GENERALIZED_TIME, b"20600504120000"),
        der.tlv(der.GENERALIZED_TIME, b"20600504120000,5Z"),
        der.tlv(der.UTF8, b"2026"),
    ],
)
def test_a_time_has_one_form(octets):
    assert refused(octets, lambda r: r.time()) in {"der-time", "der-tag"}


def test_fractions_of_a_second_are_cut():
    octets = der.tlv(der.GENERALIZED_TIME, b"20260504120000.25Z")
    assert der.Reader(octets).generalized_time() == datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_text_is_utf8():
    assert refused(der.tlv(der.UTF8, b"\xff"), lambda r: r.text()) == "der-text"
    assert der.Reader(der.utf8("é")).text() == "é"


def test_nothing_follows():
    reader = der.Reader(der.integer(1) + b"\x00")
    reader.integer()
    with pytest.raises(Refusal, match="der-trailing"):
        reader.done()


def test_order_is_strict():
    der.check_order([b"\x02\x01\x01", b"\x02\x01\x02"])
    for wrong in ([b"\x02\x01\x02", b"\x02\x01\x01"], [b"\x05\x00", b"\x05\x00"]):
        with pytest.raises(Refusal, match="der-set-order"):
            der.check_order(wrong)


def nested(levels: int) -> bytes:
    octets = b""
    for _ in range(levels):
        octets = der.sequence(octets)
    return octets


def test_depth_bomb():
    der.check(nested(32))
    for levels in (34, 3000):
        with pytest.raises(Refusal, match="der-depth"):
            der.check(nested(levels))
    reader = der.Reader(nested(40))
    for _ in range(der.MAX_DEPTH):
        reader = reader.enter()
    with pytest.raises(Refusal, match="der-depth"):
        reader.enter()


def test_count_bomb():
    many = der.sequence(b"\x05\x00" * 100_000)
    with pytest.raises(Refusal, match="der-count"):
        der.check(many)
    with pytest.raises(Refusal, match="der-count"):
        der.Reader(many).enter().elements(None, 1000)


def test_a_huge_length_takes_no_memory():
    tracemalloc.start()
    for octets in (b"\x30\x84\x7f\xff\xff\xff\x00", b"\x04\x84\xff\xff\xff\xff" + bytes(100)):
        with pytest.raises(Refusal):
            der.check(octets)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@given(
    st.recursive(
        st.binary(max_size=20).map(der.octet_string) | st.integers(-99, 99).map(der.integer),
        lambda inner: st.lists(inner, max_size=4).map(lambda parts: der.sequence(*parts)),
    )
)
def test_check_takes_what_is_written(octets):
    der.check(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"\x30\x80\x00\x00",
        b"\x24\x00",
        b"\x10\x00",
        b"\x00\x00",
        b"\x05\x01\x00",
        b"\x01\x01\x02",
        b"\x06\x00",
        b"\x02\x02\x00\x00",
        b"\x30\x00\x00",
    ],
)
def test_check_refuses_what_is_not_der(octets):
    with pytest.raises(Refusal, match="der-"):
        der.check(octets)


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_read(octets):
    try:
        der.check(octets)
    except Refusal as refusal:
        assert refusal.rule.startswith("der-")
