"""OCSP queries are read strictly: every hostile one is refused, and says by which rule."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.security.status.answers import cert_id
from e2s.security.status.queries import (
    MAX_ASKED,
    MAX_QUERY_BYTES,
    NONCE,
    UsualQueries,
    read_query,
    write_query,
)
from tests.worlds.pki import make_pki

PKI = make_pki()
CA = PKI.operating
LEAF = PKI.issue("merchant", "urn:e2s:market:volt")[0]
SHA1 = der.sequence(der.oid(oids.SHA1), b"\x05\x00")
HASH = der.octet_string(bytes(20))
ONE = der.sequence(SHA1, HASH, HASH, der.integer(5))


def extension(oid, value, *, critical=False):
    return der.sequence(der.oid(oid), b"\x01\x01\xff" if critical else b"", der.octet_string(value))


def query(*requests, before=b"", extensions=None, after=b"", single=b""):
    listed = der.sequence(*(der.sequence(one, single) for one in requests))
    more = b"" if extensions is None else der.tlv(0xA2, der.sequence(*extensions))
    return der.sequence(der.sequence(before, listed, more), after)


@pytest.mark.parametrize("hashing", [hashes.SHA1(), hashes.SHA256()], ids=["sha1", "sha256"])
def test_the_librarys_query_is_read_and_ours_is_the_same(hashing):
    built = ocsp.OCSPRequestBuilder().add_certificate(LEAF.x509, CA.x509, hashing).build()
    octets = built.public_bytes(Encoding.DER)
    found = read_query(octets)
    assert found.plain
    (one,) = found.asked
    assert one.serial == LEAF.serial
    assert one.issuer == read_query(write_query((one.der,))).asked[0].issuer
    if hashing.name == "sha1":
        assert write_query((cert_id(CA, LEAF.serial),)) == octets


def test_a_nonce_makes_it_less_plain():
    builder = ocsp.OCSPRequestBuilder().add_certificate(LEAF.x509, CA.x509, hashes.SHA1())
    built = builder.add_extension(x509.OCSPNonce(b"n" * 32), critical=False).build()
    found = read_query(built.public_bytes(Encoding.DER))
    assert (found.plain, found.nonce) == (False, b"n" * 32)
    assert write_query((cert_id(CA, LEAF.serial),), b"n" * 32) == built.public_bytes(Encoding.DER)


@given(
    st.lists(st.integers(1, 2**159 - 1), min_size=1, max_size=8),
    st.none() | st.binary(min_size=1, max_size=128),
)
def test_what_is_written_is_read(serials, nonce):
    asked = tuple(cert_id(CA, serial, "sha256") for serial in serials)
    found = read_query(write_query(asked, nonce))
    assert [one.serial for one in found.asked] == serials
    assert [one.der for one in found.asked] == list(asked)
    assert found.nonce == nonce
    assert found.plain == (nonce is None and len(serials) == 1)


@given(st.binary(max_size=300))
def test_garbage(octets):
    with pytest.raises(Refusal):
        read_query(octets)


@given(st.data())
def test_an_octet_changed_is_another_query_or_none(data):
    good = write_query((cert_id(CA, 7), cert_id(CA, 8)), b"n" * 16)
    octets = bytearray(good)
    octets[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_query(bytes(octets))
    except Refusal as refusal:
        assert refusal.rule.partition("-")[0] in {"bad", "query"}


@given(
    st.integers(2**118, 2**132),
    st.sampled_from(["sha1", "sha256", "sha384", "sha512"]),
    st.sampled_from([0, 1, 16, 31, 32, 33]),
    st.data(),
)
def test_usual_queries_known_by_their_octets_are_read_as_by_the_reader(serial, hashing, nonce_size, data):
    known = UsualQueries()
    told = data.draw(st.binary(min_size=nonce_size, max_size=nonce_size)) or None
    octets = write_query((cert_id(CA, serial, hashing),), told)
    assert known.read(octets) is None
    known.add(read_query(octets).asked[0].issuer)
    size = len(der.integer(serial)) - 2
    usual = size in {16, 17} and nonce_size in {0, 16, 32}
    assert known.read(octets) == (read_query(octets) if usual else None)
    bent = bytearray(octets)
    bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    found = known.read(bytes(bent))
    assert found is None or found == read_query(bytes(bent))


def test_what_may_stand_beside_is_passed_over():
    wishes = [extension(f"1.3.6.1.5.5.7.48.1.{n}", b"\x30\x00") for n in (4, 8)]
    signed = der.tlv(0xA0, der.sequence(b"\x30\x00", b"\x03\x01\x00"))
    for octets in (
        query(ONE, extensions=wishes),
        query(ONE, extensions=[extension("1.3.6.1.5.5.7.48.1.4", b"\x30\x00", critical=True)]),
        query(ONE, before=der.tlv(0xA1, der.tlv(0x86, b"http://asker.example"))),
        query(ONE, single=der.tlv(0xA0, der.sequence(extension("1.2.3", b"")))),
        query(ONE, after=signed),
    ):
        found = read_query(octets)
        assert found.asked[0].serial == 5
        assert found.plain == (octets == query(ONE, after=signed))


def nonce(value):
    return [extension(NONCE, value)]


HOSTILE = {
    "nothing": ("bad-query", b""),
    "no certificate": ("bad-query", query()),
    "a version that is the default": ("bad-query", query(ONE, before=der.tlv(0xA0, der.integer(0)))),
    "another version": ("bad-query", query(ONE, before=der.tlv(0xA0, der.integer(1)))),
    "octets after it": ("bad-query", query(ONE) + b"\x00"),
    "an element after the signature": ("bad-query", query(ONE, after=der.tlv(0xA0, b"") + b"\x05\x00")),
    "an element after the extensions": ("bad-query", query(ONE, extensions=nonce(der.octet_string(b"n"))).replace(b"\xa2", b"\xa3")),
    "extensions that are empty": ("bad-query", query(ONE, extensions=[])),
    "single extensions that are empty": ("bad-query", query(ONE, single=der.tlv(0xA0, der.sequence()))),
    "an extension twice": ("bad-query", query(ONE, extensions=nonce(der.octet_string(b"n")) * 2)),
    "a length in another form": ("bad-query", b"\x30\x81" + query(ONE)[1:]),
    "an indefinite length": ("bad-query", b"\x30\x80" + query(ONE)[2:] + b"\x00\x00"),
    "a negative serial": ("bad-query", query(der.sequence(SHA1, HASH, HASH, der.integer(-5)))),
    "no serial": ("bad-query", query(der.sequence(SHA1, HASH, HASH, der.integer(0)))),
    "a serial of 21 octets": ("bad-query", query(der.sequence(SHA1, HASH, HASH, der.integer(1 << 160)))),
    "an empty digest": ("bad-query", query(der.sequence(SHA1, der.octet_string(b""), HASH, der.integer(5)))),
    "a digest of 65 octets": ("bad-query", query(der.sequence(SHA1, HASH, der.octet_string(bytes(65)), der.integer(5)))),
    "more in a CertID": ("bad-query", query(der.sequence(SHA1, HASH, HASH, der.integer(5), b"\x05\x00"))),
    "a critical extension": ("query-critical", query(ONE, extensions=[extension("1.2.3", b"", critical=True)])),
    "a critical single extension": ("query-critical", query(ONE, single=der.tlv(0xA0, der.sequence(extension("1.2.3", b"", critical=True))))),
    "a critical nonce in the wrong place": ("query-critical", query(ONE, single=der.tlv(0xA0, der.sequence(extension(NONCE, der.octet_string(b"n"), critical=True))))),
    "an empty nonce": ("query-nonce", query(ONE, extensions=nonce(der.octet_string(b"")))),
    "a nonce of 129 octets": ("query-nonce", query(ONE, extensions=nonce(der.octet_string(bytes(129))))),
    "a nonce that is no string": ("query-nonce", query(ONE, extensions=nonce(b"bare"))),
    "a nonce and more": ("query-nonce", query(ONE, extensions=nonce(der.octet_string(b"n") + b"\x05\x00"))),
    "too many certificates": ("query-too-many", query(*(ONE,) * (MAX_ASKED + 1))),
    "too large": ("query-too-large", bytes(MAX_QUERY_BYTES + 1)),
    "nested deep": ("bad-query", b"\x30\x80" * 4000),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_query_is_refused_by_its_rule(name):
    rule, octets = HOSTILE[name]
    with pytest.raises(Refusal) as refused:
        read_query(octets)
    assert refused.value.rule == rule


def test_as_many_as_may_be():
    assert len(read_query(query(*(ONE,) * MAX_ASKED)).asked) == MAX_ASKED
    with pytest.raises(Refusal, match="query-too-many"):
        read_query(query(ONE, ONE), most=1)
