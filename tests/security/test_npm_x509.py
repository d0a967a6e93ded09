"""Certificates, revocation lists and requests by keys of every kind, judged by a peer that shares no code with E2S."""

from __future__ import annotations

from datetime import timedelta

import pytest

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner, spki_of
from e2s.security.certificates.certify import (
    Wish,
    certify,
    certify_root,
    read_request,
    request,
)
from e2s.security.certificates.profiles import profile
from e2s.security.status.lists import revocation_list
from tests.judges.npm import judge
from tests.judges.parties import KEYS, SIGNING, peer
from tests.worlds.pki import START

NAME = "urn:e2s:market:shop"
SERIAL = 1 << 127


def root(kind: str) -> KeySigner:
    key = peer(kind, "root").key
    wish = Wish(profile=profile("root"), names=(NAME,), public_key=key.public_key())
    return KeySigner(certify_root(wish, key, serial=SERIAL, at=START), (), key)


def altered(octets: bytes) -> bytes:
    return octets[:-1] + bytes((octets[-1] ^ 1,))


def judged(octets: bytes, issuer: Certificate) -> list[bool]:
    """What the judge says of the octets, and of them with another signature."""
    return [
        judge().ask("issuedBy", octets=one, issuer=issuer.der)["good"] for one in (octets, altered(octets))
    ]


@pytest.mark.parametrize("kind", SIGNING)
def test_a_root_and_what_it_certifies(kind):
    issuer = root(kind)
    assert judged(issuer.certificate.der, issuer.certificate) == [True, False]
    for subject in KEYS if kind == "ed25519" else (kind, "ml-kem-768"):
        use = profile("merchant" if subject in SIGNING else "merchant-agreement")
        wish = Wish(profile=use, names=(NAME,), public_key=peer(subject).key.public_key())
        made = certify(wish, issuer, serial=SERIAL + 1, at=START)
        assert judged(made.der, issuer.certificate)[0]


@pytest.mark.parametrize("kind", SIGNING)
def test_revocation_lists(kind):
    issuer = root(kind)
    revoked = [(7, START, "keyCompromise"), (9, START, "superseded")]
    octets = revocation_list(revoked, issuer, number=3, at=START, lifetime=timedelta(days=1))
    assert judged(octets, issuer.certificate) == [True, False]
    assert judge().ask("list", octets=octets)["revoked"] == 2


@pytest.mark.parametrize("kind", SIGNING)
def test_requests(kind):
    key = peer(kind).key
    octets = request(key, (NAME,))
    assert judge().ask("signedBy", octets=octets, spki=spki_of(key.public_key()))["good"]
    assert read_request(octets) == key.public_key()
    assert not judge().ask("signedBy", octets=altered(octets), spki=spki_of(key.public_key()))["good"]
    with pytest.raises(Refusal, match="no-possession"):
        read_request(altered(octets))
