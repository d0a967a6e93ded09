"""Whatever octets come as certificate, list or record: a refusal that names its rule, or nothing changed."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.certify import read_request, request
from e2s.security.keys.generation import generate
from e2s.security.verification.crls import CrlIndex
from tests.worlds.pki import START, make_pki

# The library warns of a negative serial in an altered authorityKeyIdentifier, and reads on; so do we.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

PKI = make_pki()
HOLDER, CHAIN, _ = PKI.issue("card-holder", "urn:e2s:market:bank:h")
PURPOSE = oids.SIGNING["card-holder"]
REVOKED = PKI.issue("merchant", "urn:e2s:market:ohm")[0]
PKI.revoke(REVOKED)
CRLS = PKI.crls()
VERIFIER = PKI.verifier()
REQUEST = request(generate("p256-sha256", secrets.token_bytes), ("urn:e2s:market:volt",))


@st.composite
def bent(draw, *originals):
    """One of ``originals`` with a few octets changed, left out or put in."""
    octets = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(octets) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                octets[place] ^= 1 << draw(st.integers(0, 7))
            case 1:
                octets[place] = draw(st.integers(0, 255))
            case 2:
                del octets[place : place + draw(st.integers(1, 4))]
            case _:
                octets[place:place] = draw(st.binary(min_size=1, max_size=3))
    return bytes(octets)


def judge(certificate, untrusted, crls=CRLS):
    return VERIFIER.judge(certificate, untrusted, crls, at=START, purpose=PURPOSE, name=None)


def read(reader, octets):
    """What was read, or None after a refusal; any other error fails the test."""
    try:
        return reader(octets)
    except Refusal as refusal:
        assert refusal.rule
        return None


def test_the_originals_are_good():
    assert judge(HOLDER, CHAIN).accepted


@given(bent(HOLDER.der, PKI.operating.der, PKI.card_ca.der, PKI.root.der))
def test_altered_certificates(octets):
    certificate = read(Certificate.read, octets)
    if certificate is None or certificate in {HOLDER, *CHAIN, PKI.root}:
        return
    assert not judge(certificate, CHAIN).accepted
    assert not judge(HOLDER, [certificate]).accepted


def test_every_bit_of_a_certificate_counts():
    for place in range(len(HOLDER.der) * 8):
        octets = bytearray(HOLDER.der)
        octets[place // 8] ^= 1 << (place % 8)
        certificate = read(Certificate.read, bytes(octets))
        assert certificate is None or not judge(certificate, CHAIN).accepted


@given(bent(*CRLS))
def test_altered_lists(octets):
    index = read(CrlIndex.read, octets)
    if index is not None and octets not in CRLS:
        assert not any(index.signed_by(ca) for ca in (PKI.root, PKI.operating, PKI.card_ca))


def test_every_bit_of_a_list_counts():
    crl = CRLS[1]
    for place in range(len(crl) * 8):
        octets = bytearray(crl)
        octets[place // 8] ^= 1 << (place % 8)
        index = read(CrlIndex.read, bytes(octets))
        assert index is None or not index.signed_by(PKI.operating)


@given(bent(REQUEST))
def test_altered_requests(octets):
    if octets != REQUEST:
        read(read_request, octets)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=40).map(lambda b: b"\x30\x82\x01\x00" + b)))
def test_garbage(octets):
    for reader in (Certificate.read, CrlIndex.read, read_request):
        with pytest.raises(Refusal):
            reader(octets)
    assert judge(HOLDER, CHAIN, [octets]).rule == "revocation-unknown"


@pytest.mark.parametrize("octets", [b"\x30\x84\xff\xff\xff\xff", b"\x30\x80" * 5000, b"\x30" * 10_000])
def test_small_input_that_announces_much(octets):
    for reader in (Certificate.read, CrlIndex.read, read_request):
        with pytest.raises(Refusal):
            reader(octets)
