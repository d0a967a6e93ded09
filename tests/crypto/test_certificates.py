"""Certificates: read once and strictly, equal by their octets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.pem import armoured, unarmoured
from tests.worlds.crypto import KINDS, new_party, parse, party, unparse


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_reads_back(kind):
    one = party(kind).certificate
    for octets in (one.der, one.pem):
        again = Certificate.read(octets)
        assert again == one
        assert hash(again) == hash(one)
    assert (one.names, one.name) == (("urn:e2s:test:anna",), "urn:e2s:test:anna")
    assert one.ekus == {oids.EKU_EMAIL}
    assert one.subject == "CN=anna"
    assert one.issuer == "CN=issuer"
    assert one.not_before < one.not_after
    assert one.id.startswith("sha-256:")
    assert one != party("p256", "bert").certificate
    assert one != one.der
    assert one.id in repr(one)


def test_a_certificate_without_extensions():
    bare = party("p256").issuer
    assert (bare.names, bare.dns, bare.ips, bare.ekus, bare.key_id, bare.name) == (
        (),
        (),
        (),
        frozenset(),
        None,
        "",
    )


def test_files_of_several():
    pair = (party("p256").certificate, party("p256").issuer)
    both = b"".join(one.pem for one in pair)
    assert read_certificates(both) == pair
    assert read_certificates(pair[0].der) == pair[:1]
    with pytest.raises(Refusal, match="bad-certificate"):
        Certificate.read(both)
    with pytest.raises(Refusal, match="bad-certificate"):
        read_certificates(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(Refusal, match="bad-certificate"):
        read_certificates(b"-----BEGIN " + bytes(3_000_000))


def altered(change) -> bytes:
    tree = parse(party("p256").certificate.der)
    change(tree[0][1][0][1])
    return unparse(tree)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        bytes(40_000),
        party("p256").certificate.der + b"\x00",
        party("p256").certificate.der[:-1],
        altered(lambda t: t.__setitem__(0, [0xA0, parse(der.integer(7))])),
        altered(lambda t: t.__setitem__(1, parse(der.integer(0))[0])),
        altered(lambda t: t.__setitem__(1, parse(der.integer(-5))[0])),
        altered(lambda t: t.__setitem__(1, parse(der.integer(2**161))[0])),
        altered(lambda t: t[7][1][0][1].append(t[7][1][0][1][0])),
    ],
    ids=["empty", "large", "trailing", "short", "version", "zero", "negative", "long", "twice"],
)
def test_bad_certificates(octets):
    with pytest.raises(Refusal, match="bad-certificate"):
        Certificate.read(octets)


def test_unknown_key():
    tree = parse(party("p256").certificate.der)
    tree[0][1][0][1][6] = parse(
        der.sequence(
            der.sequence(der.oid("1.3.101.999")),  # no algorithm
            der.tlv(3, b"\x00" + bytes(32)),
        )
    )[0]
    with pytest.raises(Refusal, match="bad-certificate"):
        Certificate.read(unparse(tree))


@given(place=st.integers(0, 2**16), change=st.integers(1, 255))
@settings(max_examples=200)
def test_mutations_are_refused_or_another(place, change):
    octets = bytearray(party("p256").certificate.der)
    octets[place % len(octets)] ^= change
    try:
        assert Certificate.read(bytes(octets)) != party("p256").certificate
    except Refusal as refusal:
        assert refusal.rule == "bad-certificate"


@given(octets=st.binary(max_size=300), pem=st.booleans())
def test_garbage_is_refused(octets, pem):
    with pytest.raises(Refusal, match="bad-certificate"):
        Certificate.read(b"-----BEGIN CERTIFICATE-----\n" + octets if pem else octets)


def test_key_identifiers_of_odd_sizes_are_not_used():
    one = new_party("odd", key_id=False)
    assert one.certificate.key_id is None


@given(st.binary(max_size=300))
def test_messages_in_pem_read_back(octets):
    assert unarmoured(armoured(octets)) == octets
    assert unarmoured(b"\x30" + octets) == b"\x30" + octets


@pytest.mark.parametrize(
    "octets",
    [
        b"-----BEGIN CMS-----\nMAA=\n",
        b"-----BEGIN CMS-----\nMAA=\n-----END PKCS7-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CMS-----\nMA\n-----END CMS-----\n",
        b"-----BEGIN CMS-----\nM=A=\n-----END CMS-----\n",
        b"-----BEGIN CMS-----\nMAA=\n-----END CMS-----\nmore",
        b"-----BEGIN CMS-----\nM*A=\n-----END CMS-----\n",
    ],
)
def test_pem_has_one_form(octets):
    with pytest.raises(Refusal, match="bad-pem"):
        unarmoured(octets)
