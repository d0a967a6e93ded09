"""BER as a peer writes it on purpose, as loose as it may be, comes out as the DER that it was made from."""

from __future__ import annotations

import pytest

from e2s.base.errors import Refusal
from e2s.crypto import cms, oids
from tests.judges.examples import example
from tests.judges.npm import judge
from tests.judges.parties import OPENING, SIGNING, peer, pkcs8

CONTENT = b"nine thousand resistors " * 40
EXAMPLES = [
    "rfc3274-compressed",
    "rfc5752-two-signers",
    "rfc5753-ecdh-sealed",
    "rfc9690-rsa-kem-sealed",
    "rfc9882-ml-dsa-44-signed",
    "rfc9936-ml-kem-512-sealed",
]


def loosened(octets: bytes, size: int = 1000) -> bytes:
    found = judge().ask("loosen", cms=octets, size=size)["cms"]
    assert found != octets
    return found


def signed(*kinds: str, content: bytes = CONTENT, **more) -> bytes:
    signers = [
        {"certificate": peer(kind).certificate.der, "key": pkcs8(peer(kind)), "ess": True, "protection": True}
        for kind in kinds
    ]
    order = {"content": content, "contentType": oids.ACT, "at": "2026-05-04T12:00:00", "signers": signers}
    return judge().ask("sign", **order, **more)["cms"]


def sealed(*kinds: str) -> bytes:
    recipients = [{"certificate": peer(kind).certificate.der, "keyId": True} for kind in kinds]
    order = {"content": CONTENT, "contentType": oids.ACT, "recipients": recipients}
    return judge().ask("seal", **order)["cms"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_rfcs(name):
    assert cms.normalised(loosened(example(name))) == example(name)


@pytest.mark.parametrize("kind", SIGNING)
def test_signed(kind):
    octets = signed(kind)
    assert cms.normalised(loosened(octets)) == octets


def test_signed_in_parallel():
    octets = signed("p256", "ed448", "ml-dsa-65", parallel=True)
    assert cms.normalised(loosened(octets)) == octets


@pytest.mark.parametrize("kind", OPENING)
def test_sealed(kind):
    loose = loosened(sealed(kind))
    with pytest.raises(Refusal, match="der"):  # the readers themselves know DER only
        cms.open_sealed(loose, peer(kind).opener)
    assert cms.open_sealed(cms.normalised(loose), peer(kind).opener) == (oids.ACT, CONTENT)


def test_sealed_to_all_kinds():
    octets = sealed(*OPENING)
    assert cms.normalised(loosened(octets)) == octets


def test_pieces_smaller_than_anyone_sends_are_refused():
    """Each piece costs its reader more than its octets: so many are no message but an attack."""
    octets = signed("p256", content=bytes(50_000))
    assert cms.normalised(loosened(octets, size=512)) == octets
    with pytest.raises(Refusal, match="der-count"):
        cms.normalised(loosened(octets, size=1))


def test_cut_short():
    loose = loosened(sealed("p256"))
    for size in range(0, len(loose), 97):
        with pytest.raises(Refusal):
            cms.normalised(loose[:size])
