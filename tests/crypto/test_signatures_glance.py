"""A glance at a known signer's message says what reading it in full says, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.cms import glance as glancing
from e2s.crypto.cms.signed import _signed_data, _signer_info
from tests.judges.parties import SIGNING, peer
from tests.worlds.crypto import AT, party

CONTENT = b"an order of nine resistors"


def message(kind: str, content_type: str = oids.ACT, at: datetime = AT, **more) -> bytes:
    return cms.sign(CONTENT, content_type, peer(kind).signer, at, **more)


@pytest.fixture(autouse=True)
def _nobody_is_known(monkeypatch):
    """Each test begins and ends with the signers that it makes known itself."""
    for name in ("_KNOWN", "_SEEN"):
        monkeypatch.setattr(glancing, name, dict(getattr(glancing, name)))


def known(kind: str) -> bytes:
    """A message of a signer who was seen before."""
    octets = message(kind)
    for _ in range(2):
        glancing.remember(cms.read_signed(octets).certificates, peer(kind).certificate)
    return octets


def facts(signed: cms.Signed) -> tuple:
    return (
        signed.content_type,
        signed.content,
        signed.certificates,
        signed.crls,
        signed.signer_certificate,
        signed.signature,
        signed.said,
        signed.digest_algorithm,
        signed.signature_algorithm,
        signed.attributes,
        signed.unsigned,
        signed.by_key_id,
        signed.exact,
    )


def in_full(octets: bytes, limits=cms.EXACT) -> cms.Signed:
    outer, infos = _signed_data(octets, limits)
    return _signer_info(infos.enter(), outer)[1]


@pytest.mark.parametrize("kind", SIGNING)
def test_each_kind_is_recognised(kind):
    known(kind)
    for octets in (message(kind), message(kind, oids.DATA), message(kind, detached=True)):
        assert glancing.glance(octets) is not None
        for limits in (cms.EXACT, cms.FOREIGN):
            assert facts(cms.read_signed(octets, limits)) == facts(in_full(octets, limits))


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65_535, 65_536, 3_000_000])
def test_any_size(size):
    known("p256")
    octets = cms.sign(bytes(size), oids.DATA, peer("p256").signer, AT)
    assert glancing.glance(octets) is not None
    assert cms.read_signed(octets).content == bytes(size)


def test_what_is_not_usual_is_read_in_full():
    known("p256")
    late = datetime(2060, 1, 1, tzinfo=UTC)
    further = cms.sign(CONTENT, oids.ACT, peer("p256").signer, AT, certificates=(party("p384").certificate,))
    for octets in (message("p256", at=late), further):
        assert glancing.glance(octets) is None
        assert cms.read_signed(octets).content == CONTENT
    assert glancing.glance(cms.sign(CONTENT, oids.ACT, peer("p384", "unseen").signer, AT)) is None


def test_fewer_certificates_than_are_known():
    known("p256")
    with pytest.raises(Refusal, match="der-count"):
        cms.read_signed(message("p256"), cms.Limits(max_certificates=1))
    with pytest.raises(Refusal, match="too-large"):
        cms.read_signed(message("p256"), cms.Limits(max_bytes=100))


WHOLE = known("ed25519")


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.integers(0, 3))
def test_an_altered_message_reads_as_it_does_in_full(place, change, cut):
    octets = bytearray(WHOLE)
    octets[place] ^= change
    del octets[place + 1 : place + 1 + cut]
    try:
        full = facts(in_full(bytes(octets)))
    except Refusal:
        assert glancing.glance(bytes(octets)) is None
        return
    seen = glancing.glance(bytes(octets))
    if seen is not None:
        assert facts(cms.read_signed(bytes(octets))) == full


@given(st.binary(max_size=80), st.integers(0, len(WHOLE)))
def test_garbage_is_not_recognised(octets, cut):
    for candidate in (octets, WHOLE[:cut] + octets, octets + WHOLE[cut:]):
        if candidate != WHOLE:
            seen = glancing.glance(candidate)
            assert seen is None or facts(cms.read_signed(candidate)) == facts(in_full(candidate))


def test_lengths_in_a_longer_form_are_not_recognised():
    known("p256")
    octets = message("p256")
    body = octets[len(der.header(der.SEQUENCE, len(octets) - 4)) :]
    long = b"\x30\x84" + len(body).to_bytes(4, "big") + body
    assert glancing.glance(long) is None
    with pytest.raises(Refusal, match="der-length"):
        cms.read_signed(long)


def test_few_signers_are_remembered(monkeypatch):
    monkeypatch.setattr(glancing, "_MOST", 3)
    for name in "abcdefgh":
        one = peer("p521", name)
        for _ in range(2):
            glancing.remember((one.certificate, one.issuer), one.certificate)
        assert len(glancing._SEEN) <= 3
    assert len(glancing._KNOWN) <= 3


def test_large_certificates_are_not_remembered(monkeypatch):
    monkeypatch.setattr(glancing, "_MAX_SET", 100)
    one = peer("p521", "large")
    for _ in range(2):
        glancing.remember((one.certificate, one.issuer), one.certificate)
    assert glancing._VERSION + one.certificate.issuer_and_serial not in glancing._KNOWN
