"""BER: every encoding of a value comes out as its one DER; what is no encoding, or too much of it, is refused."""

from __future__ import annotations

import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import ber, der
from tests.worlds.ber import reencoded, values

MIB = 1 << 20


def refused(octets: bytes, **bounds) -> str:
    with pytest.raises(Refusal) as caught:
        ber.normalised(octets, **bounds)
    return caught.value.rule


@given(data=st.data(), value=values())
@settings(max_examples=120)
def test_any_encoding_of_a_value_comes_out_as_its_der(data, value):
    assert ber.normalised(reencoded(value, data.draw)) == value
    assert ber.normalised(value) == value


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"\x04\x81\x01x", b"\x04\x01x"),
        (b"\x04\x84\x00\x00\x00\x01x", b"\x04\x01x"),
        (b"\x04\x89\x00\x00\x00\x00\x00\x00\x00\x00\x01x", b"\x04\x01x"),
        (b"\x30\x80\x05\x00\x00\x00", b"\x30\x02\x05\x00"),
        (b"\x30\x80\x30\x80\x00\x00\x00\x00", b"\x30\x02\x30\x00"),
        (b"\x24\x80\x04\x01a\x24\x03\x04\x01b\x24\x80\x04\x81\x01c\x00\x00\x00\x00", b"\x04\x03abc"),
        (b"\x24\x00", b"\x04\x00"),
        (b"\x2c\x06\x04\x01a\x04\x01b", b"\x0c\x02ab"),
        (b"\x23\x80\x03\x02\x00\xab\x03\x02\x04\xcf\x00\x00", b"\x03\x03\x04\xab\xc0"),
        (b"\x23\x00", b"\x03\x01\x00"),
        (b"\x03\x02\x07\xff", b"\x03\x02\x07\x80"),
        (b"\x01\x01\x01", b"\x01\x01\xff"),
        (b"\x01\x01\x00", b"\x01\x01\x00"),
        (b"\x31\x06\x04\x01b\x04\x01a", b"\x31\x06\x04\x01a\x04\x01b"),
        (b"\x31\x80\x30\x80\x00\x00\x05\x00\x00\x00", b"\x31\x04\x05\x00\x30\x00"),
        (b"\xa0\x80\x80\x01x\x00\x00", b"\xa0\x03\x80\x01x"),
        # X.690, 8.6.4.2 in its two forms
        (bytes.fromhex("0307040A3B5F291CD0"), bytes.fromhex("0307040A3B5F291CD0")),
        (bytes.fromhex("23800303000A3B0305045F291CD00000"), bytes.fromhex("0307040A3B5F291CD0")),
    ],
)
def test_each_freedom_of_ber(octets, expected):
    assert ber.normalised(octets) == expected


@pytest.mark.parametrize(
    ("octets", "rule"),
    [
        (b"", "der-truncated"),
        (b"\x30", "der-truncated"),
        (b"\x30\x80", "der-truncated"),
        (b"\x30\x80\x05\x00", "der-truncated"),
        (b"\x30\x80\x05\x00\x00", "ber-end"),
        (b"\x30\x80\x00\x01\x00", "ber-end"),
        (b"\x30\x02\x00\x00", "ber-end"),
        (b"\x00\x00", "ber-end"),
        (b"\x30\x04\x30\x80\x05\x00\x00\x00", "der-truncated"),
        (b"\x30\x03\x30\x02\x05\x00", "der-truncated"),
        (b"\x30\x00\x05\x00", "der-trailing"),
        (b"\x30\x80\x00\x00\x00\x00", "der-trailing"),
        (b"\x04\x80x\x00\x00", "ber-length"),
        (b"\x80\x80x\x00\x00", "ber-length"),
        (b"\x30\xff" + bytes(127), "ber-length"),
        (b"\x04\x82\x01", "ber-length"),
        (b"\x04\x84\xff\xff\xff\xff", "der-truncated"),
        (b"\x04\x88" + b"\xff" * 8, "der-truncated"),
        (b"\x3f\x81\x01\x00", "der-tag"),
        (b"\x22\x03\x02\x01\x01", "der-tag"),
        (b"\x21\x03\x01\x01\x01", "der-tag"),
        (b"\x26\x00", "der-tag"),
        (b"\x10\x00", "der-tag"),
        (b"\x11\x00", "der-tag"),
        (b"\x20\x00", "der-tag"),
        (b"\x01\x00", "der-boolean"),
        (b"\x01\x02\x01\x01", "der-boolean"),
        (b"\x24\x02\x0c\x00", "ber-string"),
        (b"\x2c\x02\x0c\x00", "ber-string"),
        (b"\x24\x80\x30\x80\x00\x00\x00\x00", "ber-string"),
        (b"\x24\x80\x03\x02\x00x\x00\x00", "ber-string"),
        (b"\x23\x80\x04\x01x\x00\x00", "ber-string"),
        (b"\x23\x80\x03\x02\x01\x80\x03\x02\x00x\x00\x00", "ber-string"),
        (b"\x23\x80\x03\x02\x01\x80\x03\x01\x00\x00\x00", "ber-string"),
        (b"\x03\x00", "ber-string"),
        (b"\x03\x01\x01", "ber-string"),
        (b"\x03\x02\x08\xff", "ber-string"),
    ],
)
def test_what_is_no_ber_is_refused(octets, rule):
    assert refused(octets) == rule


def test_every_truncation_is_refused():
    whole = b"\x30\x80\x24\x80\x04\x01a\x04\x82\x00\x01b\x00\x00\x23\x80\x03\x02\x00x\x00\x00\x31\x80\x05\x00\x00\x00\x00\x00"
    assert ber.normalised(whole) == bytes.fromhex("300c 04026162 03020078 31020500".replace(" ", ""))
    for size in range(len(whole)):
        refused(whole[:size])


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x30\x80", b"\x31\x80\x24\x80", b"\x23\x80"]))
def test_garbage_gives_der_or_a_refusal(octets, before):
    try:
        found = ber.normalised(before + octets)
    except Refusal:
        return
    assert ber.normalised(found) == found
    assert len(found) <= len(before + octets) + 4


def test_depth_is_bounded():
    fits = b"\x30\x80" * 32 + b"\x00\x00" * 32
    ber.normalised(fits)
    assert refused(b"\x30\x80" + fits + b"\x00\x00") == "der-depth"
    assert refused(b"\x24\x80" * 40 + b"\x00\x00" * 40) == "der-depth"
    assert refused(b"\x30\x02\x30\x00", max_depth=1) == "der-depth"


def test_elements_and_octets_are_bounded():
    many = b"\x30\x80" + b"\x30\x80\0\0" * 99 + b"\0\0"
    assert ber.normalised(many, max_elements=100) == der.sequence(*[der.sequence()] * 99)
    assert refused(many, max_elements=99) == "der-count"
    # what is short and DER already takes a quarter where it has no parts, or stands in something short
    light = der.sequence(der.integer(1) * 400)
    assert ber.normalised(light, max_elements=101) == light
    assert refused(light, max_elements=100) == "der-count"
    light = der.sequence(der.sequence(der.sequence(), der.integer(1) * 7) * 100)
    assert ber.normalised(light, max_elements=301) == light
    assert refused(light, max_elements=300) == "der-count"
    assert refused(b"\x24\x80" + b"\x04\x00" * 100 + b"\0\0", max_elements=100) == "der-count"
    assert refused(many, max_bytes=len(many) - 1) == "too-large"


HOSTILE = {
    "empty elements": der.tlv(der.SEQUENCE, b"\x05\x00" * (MIB // 2)),
    "empty sets": der.tlv(der.SET, b"\x31\x00" * (MIB // 2)),
    "elements without end, deep inside": b"\x30\x80" * 30 + b"\x30\x80\x00\x00" * (MIB // 4),
    "levels": b"\x30\x80" * (MIB // 2),
    "pieces": b"\x24\x80" + b"\x04\x01x" * (MIB // 3),
    "pieces in pieces": b"\x24\x80" + b"\x24\x00" * (MIB // 2),
    "pieces of bits": b"\x23\x80" + b"\x03\x01\x00" * (MIB // 3),
    "truths": der.tlv(der.SET, b"\x01\x01\x01" * (MIB // 3)),
    "wide lengths": b"\x30\x80" + (b"\x04\xfe" + bytes(126)) * (MIB // 128),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_mebibyte_is_refused_quickly(kind):
    """Bounded work, whatever it is: generous here, the exact figure is the bench's."""
    octets = HOSTILE[kind]
    taken = []
    for _ in range(3):
        begin = time.process_time()
        refused(octets)
        taken.append(time.process_time() - begin)
    # a tracer of coverage makes it ten times slower, and a machine with other work to do twice
    assert min(taken) < (10 if sys.gettrace() else 2)


def test_a_large_string_in_pieces_is_joined_once():
    """The time grows as the pieces do."""
    taken = []
    for count in (2_500, 10_000):
        octets = b"\x24\x80" + (b"\x04\x82\x04\x00" + bytes(1024)) * count + b"\0\0"
        times = []
        for _turn in range(3):
            begin = time.process_time()
            found = ber.normalised(octets, max_bytes=1 << 25)
            times.append(time.process_time() - begin)
        taken.append(min(times))
        assert found == der.octet_string(bytes(1024 * count))
    # four times the pieces: four times the work if each is copied once, sixteen if each for every other
    assert taken[1] < 10 * taken[0] + 0.05


def test_a_shape_says_what_tags_do_not():
    tagged = b"\xa0\x80\x04\x01a\x04\x01b\x00\x00"
    whole = b"\x30\x80" + tagged + tagged + tagged + b"\x00\x00"
    shape = ber.Shape(fields=({0xA0: ber.STRING}, {0xA0: ber.Shape(ordered=True)}))
    assert ber.normalised(whole, shape=shape) == der.sequence(
        b"\x80\x02ab", b"\xa0\x06\x04\x01a\x04\x01b", b"\xa0\x06\x04\x01a\x04\x01b"
    )
    unsorted = b"\x31\x81\x06\x04\x01b\x04\x01a"
    assert ber.normalised(unsorted, shape=ber.UNSORTED) == b"\x31\x06\x04\x01b\x04\x01a"
    assert ber.normalised(b"\x30\x03\x04\x81\x00", shape=ber.OPAQUE) == b"\x30\x03\x04\x81\x00"
    assert ber.normalised(b"\x30\x80\x04\x81\x00\x00\x00", shape=ber.OPAQUE) == b"\x30\x02\x04\x00"
    chosen = ber.Shape(choices={b"\x2a": ber.Shape(fields=({0xA0: ber.STRING},))})
    for oid, expected in ((b"\x06\x01\x2a", b"\x80\x02ab"), (b"\x06\x01\x2b", b"\xa0\x06\x04\x01a\x04\x01b")):
        assert ber.normalised(b"\x30\x80" + oid + tagged + b"\0\0", shape=chosen) == der.sequence(
            oid, expected
        )
