"""Envelopes between E2S and a peer that shares no code with it, both ways, to every kind of key."""

from __future__ import annotations

import pytest

from e2s.base.errors import Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.certificates import Certificate
from tests.judges.npm import Refused, judge
from tests.judges.parties import OPENING, peer, pkcs8, random
from tests.worlds.crypto import parse, unparse

CONTENT = b"a crate of nine thousand resistors"
MIXED = (*OPENING, *OPENING)

#: What the peer does unlike E2S: read where others' forms are allowed, refused where not.
OTHER_FORMS = [
    ("p256", {"scheme": ["x963", "sha512"]}),
    ("p256", {"scheme": ["hkdf", "sha256"]}),
    ("p384", {"wrap": 16}),
    ("p384", {"scheme": ["x963", "sha384"], "ukm": b"RFC5753"}),
    ("p521", {"scheme": ["x963", "sha256"], "wrap": 24}),
    ("x25519", {"scheme": ["hkdf", "sha512"]}),
    ("x25519", {"scheme": ["hkdf", "sha384"], "wrap": 16}),
    ("x25519", {"scheme": ["x963", "sha256"]}),
    ("x25519", {"ukm": b"salt and part of the info"}),
    ("x448", {"scheme": ["hkdf", "sha256"], "ukm": b"*" * 64}),
    ("ml-kem-768", {"derivation": "sha512"}),
    ("ml-kem-768", {"wrap": 16}),
    ("ml-kem-1024", {"derivation": "sha384", "ukm": b"RFC 9629"}),
    ("rsa", {"oaep": "sha512"}),
    ("rsa", {"pkcs1": True}),
]


def opened_by_peer(octets: bytes, kind: str, name: str = "anna") -> dict:
    own = peer(kind, name)
    return judge().ask("open", cms=octets, certificate=own.certificate.der, key=pkcs8(own))


def sealed_by_peer(
    *recipients: dict, content_type: str = oids.DATA, cipher: tuple[str, int] = ("gcm", 32)
) -> bytes:
    order = {"content": CONTENT, "contentType": content_type, "recipients": recipients, "cipher": cipher}
    return judge().ask("seal", **order)["cms"]


def to(kind: str, name: str = "anna", **more: object) -> dict:
    return {"certificate": peer(kind, name).certificate.der, **more}


@pytest.mark.parametrize("content_type", [oids.DATA, oids.ACT])
@pytest.mark.parametrize("kind", OPENING)
def test_the_peer_opens_ours(kind, content_type):
    octets = cms.seal(CONTENT, content_type, [peer(kind).certificate], random)
    found = opened_by_peer(octets, kind)
    assert (found["contentType"], found["content"], found["complaints"]) == (content_type, CONTENT, [])
    assert found["cipher"] == ["gcm", 32]


@pytest.mark.parametrize("kind", OPENING)
def test_the_peer_opens_ours_without_key_identifier(kind):
    own = peer(kind, "nobody", key_id=False)
    octets = cms.seal(CONTENT, oids.DATA, [own.certificate], random)
    found = judge().ask("open", cms=octets, certificate=own.certificate.der, key=pkcs8(own))
    assert (found["content"], found["complaints"]) == (CONTENT, [])


@pytest.mark.parametrize("content_type", [oids.DATA, oids.ACT])
@pytest.mark.parametrize("named", [{}, {"keyId": True}], ids=["issuer", "key-id"])
@pytest.mark.parametrize("kind", OPENING)
def test_we_open_the_peers(kind, named, content_type):
    octets = sealed_by_peer(to(kind, **named), content_type=content_type)
    assert cms.open_sealed(octets, peer(kind).opener) == (content_type, CONTENT)


def test_many_recipients_of_all_kinds_both_ways():
    names = ("anna", "bert", "cleo")
    recipients = [(kind, name) for kind in OPENING for name in names]
    ours = cms.seal(CONTENT, oids.ACT, [peer(*one).certificate for one in recipients], random)
    theirs = sealed_by_peer(*(to(*one) for one in recipients), content_type=oids.ACT)
    for kind, name in recipients:
        found = opened_by_peer(ours, kind, name)
        assert (found["content"], found["complaints"]) == (CONTENT, [])
        assert cms.open_sealed(theirs, peer(kind, name).opener) == (oids.ACT, CONTENT)
    with pytest.raises(Refused):
        opened_by_peer(ours, "x25519", "dora")
    with pytest.raises(Refusal, match="not-for-me"):
        cms.open_sealed(theirs, peer("x25519", "dora").opener)


@pytest.mark.parametrize(("kind", "form"), OTHER_FORMS, ids=map(str, range(len(OTHER_FORMS))))
def test_other_forms_are_read_where_allowed(kind, form):
    octets = sealed_by_peer(to(kind, **form))
    assert cms.open_sealed(octets, peer(kind).opener, allow_legacy=True) == (oids.DATA, CONTENT)
    with pytest.raises(Refusal, match=r"suite-unknown|cms-recipient"):
        cms.open_sealed(octets, peer(kind).opener)


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("mode", ["gcm", "cbc"])
@pytest.mark.parametrize("kind", OPENING)
def test_other_ciphers_are_read_where_allowed(kind, mode, size):
    octets = sealed_by_peer(to(kind), cipher=(mode, size))
    assert cms.open_sealed(octets, peer(kind).opener, allow_legacy=True) == (oids.DATA, CONTENT)
    if (mode, size) != ("gcm", 32):
        with pytest.raises(Refusal, match=r"cms-content-encryption|cms-content-info"):
            cms.open_sealed(octets, peer(kind).opener)


@pytest.mark.parametrize(
    "suite", ["ecdh-p521-aes256cbc", "ecdh-p384-aes256cbc", "ecdh-p256-aes256cbc", "rsa-oaep-aes256cbc"]
)
def test_the_peer_opens_what_we_seal_for_old_peers(suite):
    kind = "rsa" if suite.startswith("rsa") else suite.split("-")[1]
    octets = cms.seal(CONTENT, oids.DATA, [peer(kind).certificate], random, suites=[suite])
    found = opened_by_peer(octets, kind)
    assert (found["content"], found["complaints"], found["cipher"]) == (CONTENT, [], ["cbc", 32])


def test_pkijs_opens_what_we_seal_for_old_peers():
    """By RSA only: for agreement PKI.js derives its key with NULL parameters of the wrap (RFC 3565 has none)."""
    own = peer("rsa", "karl", key_id=False)
    octets = cms.seal_legacy(CONTENT, oids.DATA, [own.certificate], random)
    found = judge().ask("pkijsOpen", cms=octets, certificate=own.certificate.der, key=pkcs8(own))
    assert found["content"] == CONTENT


@pytest.mark.parametrize("kind", OPENING)
def test_neither_opens_an_altered_envelope(kind):
    """One octet in each quarter, last of all in the tag."""
    ours = cms.seal(CONTENT, oids.ACT, [peer(kind).certificate], random)
    theirs = sealed_by_peer(to(kind), content_type=oids.ACT)
    for place in (-1, -40, -80, -120):
        altered = bytearray(ours)
        altered[place] ^= 1
        with pytest.raises(Refused):
            opened_by_peer(bytes(altered), kind)
        altered = bytearray(theirs)
        altered[place] ^= 1
        with pytest.raises(Refusal):
            cms.open_sealed(bytes(altered), peer(kind).opener)


@pytest.mark.parametrize(("kind", "size"), [("x25519", 32), ("x448", 56)])
def test_nothing_is_sealed_to_a_point_of_small_order(kind, size):
    """A certificate may bring any octets as a key: a secret of zero would be known to all (RFC 8418, 5)."""
    forged = parse(peer(kind).certificate.der)
    forged[0][1][0][1][6][1][1] = [der.BIT_STRING, bytes(1 + size)]
    with pytest.raises(Refusal, match="invalid-point"):
        cms.seal(CONTENT, oids.DATA, [Certificate.read(unparse(forged))], random)


@pytest.mark.parametrize(("kind", "size"), [("x25519", 32), ("x448", 56)])
def test_nothing_is_opened_from_a_point_of_small_order(kind, size):
    """The peer's ephemeral key in an envelope, likewise: refused as any envelope that does not open."""
    octets = sealed_by_peer(to(kind))
    tree = parse(octets)
    originator = tree[0][1][1][1][0][1][1][1][0][1][1]
    originator[1][0][1][1] = [der.BIT_STRING, bytes(1 + size)]
    with pytest.raises(Refusal, match="bad-envelope"):
        cms.open_sealed(unparse(tree), peer(kind).opener)
