"""A list's entries are found where they stand: by their serial, the first of two, and none that cannot be read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der
from e2s.security.status.entries import Entry, decode, encode
from e2s.security.status.lists import Shard, revocation_list, write_list
from e2s.security.verification import revoked
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.name_forms import form_of
from e2s.security.verification.revoked import REASONS, index_of
from tests.worlds.pki import START, make_pki

DAY = timedelta(days=1)
PKI = make_pki()
CA = PKI.operating_ca.signer
OWN = form_of(CA.certificate.slices.subject)

serials = st.one_of(st.integers(1, 300), st.integers(1, 2**159 - 1), st.integers(2**126, 2**128))
EPOCH = datetime(1950, 1, 1, tzinfo=UTC)
instants = st.integers(0, 120 * 365 * 86_400).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
entries = st.builds(
    Entry, serials, instants, st.sampled_from(sorted(set(REASONS.values()))), st.none() | instants
)


def listed(octets):
    """What a plain reader makes of the entries: a dictionary by serial, or the rule that refuses them."""
    found, held = {}, der.Reader(octets)
    try:
        while held.pos != held.end:
            serial, revocation, issuer = revoked._entry(held.enter())
            if issuer:
                return "bad-crl"
            found.setdefault(serial, revocation)
    except Refusal as refusal:
        return refusal.rule
    return found


def indexed(octets):
    try:
        return dict(index_of(octets, 0, len(octets), own=OWN, indirect=False)[OWN])
    except Refusal as refusal:
        return refusal.rule


@given(entries)
def test_an_entry_is_read_as_it_was_written(entry):
    assert decode(encode(entry)) == entry


@given(st.lists(entries, max_size=12), st.lists(serials, max_size=4))
def test_every_entry_is_found_and_no_other(chosen, others):
    octets = b"".join(map(encode, chosen))
    index = index_of(octets, 0, len(octets), own=OWN, indirect=False)[OWN]
    assert dict(index) == listed(octets)
    for serial in (*others, *(entry.serial for entry in chosen)):
        assert index.get(serial) == listed(octets).get(serial)
        assert (serial in index) == (serial in listed(octets))
    assert bool(index) == bool(chosen)
    assert len(index) == len(listed(octets))


@st.composite
def bent(draw):
    """Entries with an octet changed: most of those that are read are read by one expression."""
    octets = bytearray(b"".join(map(encode, draw(st.lists(entries, min_size=1, max_size=3)))))
    place = draw(st.integers(0, len(octets) - 1))
    octets[place] = draw(st.integers(0, 255))
    return bytes(octets)


@given(bent())
def test_altered_entries_are_read_as_one_by_one(octets):
    assert indexed(octets) == listed(octets)


@given(st.dates(date(2000, 1, 1), date(2049, 12, 31)), st.integers(0, 99))
def test_only_days_that_exist(day, other):
    good = b"0\x12\x02\x01\x05\x17\x0d" + f"{day:%y%m%d}120000Z".encode()
    assert indexed(good) == listed(good) != "der-time"
    wrong = good.replace(f"{day:%y%m%d}".encode(), f"{day:%y%m}{other:02}".encode())
    assert indexed(wrong) == listed(wrong)


@pytest.mark.parametrize(
    "time", ["260230120000", "261301120000", "260001120000", "260101240000", "260101126000"]
)
def test_an_instant_that_does_not_exist_refuses_the_list(time):
    assert indexed(b"0\x12\x02\x01\x05\x17\x0d" + time.encode() + b"Z") == "der-time"


def test_a_serial_that_stands_a_thousand_times_costs_no_more():
    octets = b"".join(encode(Entry(7, START + timedelta(seconds=n))) for n in range(1000))
    index = index_of(octets, 0, len(octets), own=OWN, indirect=False)[OWN]
    assert (len(index), index[7].at) == (1, START)
    with pytest.raises(KeyError):
        index[8]
    other: object = "words"
    assert other not in index


def test_a_list_larger_than_may_be_read():
    octets = revocation_list([], CA, number=1, at=START, lifetime=DAY)
    with pytest.raises(Refusal, match="bad-crl"):
        CrlIndex.read(octets, most=len(octets) - 1)
    assert CrlIndex.read(octets, most=len(octets)).signed_by(CA.certificate)


def test_a_large_list_is_read_whole():
    chosen = [encode(Entry(n << 100 | 1 << 126, START, "keyCompromise")) for n in range(30_000)]
    octets = write_list(chosen, CA, number=1, at=START, until=START + DAY)
    assert len(octets) > 1024 * 1024
    index = CrlIndex.read(octets)
    assert index.signed_by(CA.certificate)
    assert index.revoked[77 << 100 | 1 << 126].reason == "keyCompromise"
    assert index.revoked.get((77 << 100) + 1 | 1 << 126) is None


# ------------------------------------------------------------------ writing


def made(*chosen, number=7, **more):
    return CrlIndex.read(
        write_list(map(encode, chosen), CA, number=number, at=START, until=START + DAY, **more)
    )


def test_a_part_of_a_list_covers_its_place_alone():
    url = "http://ca.example/crl/x-3.crl"
    index = made(Entry(5, START), shard=Shard(url, users_only=True))
    assert index.scope.names == frozenset({(0x86, (url.encode(),))})
    assert index.scope.users_only
    assert made(Entry(5, START), shard=Shard("", cas_only=True)).scope.cas_only


def test_a_delta_list_names_its_base_and_may_remove():
    index = made(Entry(5, START, "removeFromCRL"), base=6)
    assert (index.base, index.revoked[5].reason) == (6, "removeFromCRL")


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        ("bad-delta", {"base": 7}),
        ("bad-delta", {"base": -1}),
        ("bad-delta", {"base": 3, "freshest": "http://ca.example/d.crl"}),
        ("bad-number", {"number": -1}),
        ("bad-number", {"number": 2**159}),
        ("bad-scope", {"shard": Shard("http://ca.example", users_only=True, cas_only=True)}),
        ("bad-scope", {"shard": Shard("")}),
    ],
)
def test_lists_that_are_not_written(rule, more):
    with pytest.raises(Misuse, match=rule):
        made(Entry(5, START), **more)


def test_a_complete_list_removes_nothing_and_an_instant_goes_forward():
    with pytest.raises(Misuse, match="bad-reason"):
        made(Entry(5, START, "removeFromCRL"))
    with pytest.raises(Misuse, match="bad-instant"):
        write_list([], CA, number=1, at=START, until=START)


@pytest.mark.parametrize(
    ("rule", "entry"),
    [
        ("bad-serial", Entry(0, START)),
        ("bad-serial", Entry(-5, START)),
        ("bad-serial", Entry(2**159, START)),
        ("bad-reason", Entry(5, START, "bad luck")),
    ],
)
def test_entries_that_are_not_written(rule, entry):
    with pytest.raises(Misuse, match=rule):
        encode(entry)


@given(st.binary(max_size=60))
def test_garbage_is_no_entry(octets):
    with pytest.raises(Refusal):
        decode(octets)


def test_an_entry_with_more_than_is_written_here():
    more = der.sequence(der.sequence(der.oid("1.2.3"), der.octet_string(b"")))
    with pytest.raises(Refusal, match="bad-entry"):
        decode(der.sequence(der.integer(5), der.time(START), more))
