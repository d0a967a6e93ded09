"""Signatures between E2S and a peer that shares no code with it, both ways, by every kind of key."""

from __future__ import annotations

import contextlib

import pytest

from e2s.base.errors import Refusal
from e2s.crypto import cms, der, oids, suites
from tests.judges.npm import Refused, judge
from tests.judges.parties import SIGNING, peer, pkcs8
from tests.worlds.crypto import AT, parse, unparse

CONTENT = b"an order of nine resistors"
ISO = AT.strftime("%Y-%m-%dT%H:%M:%S")
FIVE = {
    oids.CONTENT_TYPE,
    oids.MESSAGE_DIGEST,
    oids.SIGNING_TIME,
    oids.SIGNING_CERTIFICATE_V2,
    oids.ALGORITHM_PROTECTION,
}
#: The digest that each kind of key is written with, and the name of its signature.
WRITTEN = {
    "p256": ("sha256", "ec"),
    "p384": ("sha384", "ec"),
    "p521": ("sha512", "ec"),
    "rsa": ("sha256", "rsa-pss"),
    "ed25519": ("sha512", "ed25519"),
    "ed448": ("shake256-len", "ed448"),
    "ml-dsa-44": ("sha512", "ml-dsa-44"),
    "ml-dsa-65": ("sha512", "ml-dsa-65"),
    "ml-dsa-87": ("sha512", "ml-dsa-87"),
}


def ours(kind: str, content_type: str = oids.ACT, **more) -> bytes:
    return cms.sign(CONTENT, content_type, peer(kind).signer, AT, **more)


def signer(kind: str, name: str = "anna", **more) -> dict:
    own = peer(kind, name)
    salt = {"salt": 32} if kind == "rsa" else {}
    return {"certificate": own.certificate.der, "key": pkcs8(own), **salt, **more}


def theirs(*signers: dict, content_type: str = oids.ACT, **more) -> bytes:
    order = {"content": CONTENT, "contentType": content_type, "at": ISO, "signers": signers, **more}
    return judge().ask("sign", **order)["cms"]


def judged(octets: bytes, **more) -> dict:
    return judge().ask("verify", cms=octets, **more)


def verified(octets: bytes, content: bytes | None = None, limits=cms.FOREIGN) -> cms.Signed:
    signed = cms.read_signed(octets, limits)
    cms.check_signature(signed, content)
    return signed


@pytest.mark.parametrize("content_type", [oids.DATA, oids.ACT])
@pytest.mark.parametrize("kind", SIGNING)
def test_the_peer_verifies_ours(kind, content_type):
    found = judged(ours(kind, content_type))
    assert (found["contentType"], found["content"], found["complaints"]) == (content_type, CONTENT, [])
    (one,) = found["signers"]
    assert one["good"]
    assert one["certificate"] == peer(kind).certificate.der
    assert (one["digest"], one["signature"]) == WRITTEN[kind]
    assert set(one["attributes"]) == FIVE
    assert one["time"] == "260504120000Z"


@pytest.mark.parametrize("kind", SIGNING)
def test_the_peer_verifies_our_detached_signature(kind):
    octets = ours(kind, detached=True)
    found = judged(octets, content=CONTENT)
    assert (found["signers"][0]["good"], found["complaints"], found["content"]) == (True, [], None)
    assert not judged(octets, content=CONTENT + b"!")["signers"][0]["good"]


@pytest.mark.parametrize("content_type", [oids.DATA, oids.ACT])
@pytest.mark.parametrize("form", [{}, {"keyId": True}, {"protection": True}, {"ess": True}], ids=repr)
@pytest.mark.parametrize("kind", SIGNING)
def test_we_verify_the_peers(kind, form, content_type):
    signed = verified(theirs(signer(kind, **form), content_type=content_type))
    assert (signed.content_type, signed.content, signed.at) == (content_type, CONTENT, AT)
    assert signed.signer_certificate == peer(kind).certificate


@pytest.mark.parametrize("kind", SIGNING)
def test_what_the_peer_writes_in_our_form_is_read_exactly(kind):
    """Attributes, algorithms and order are the same octets, whoever writes them."""
    octets = theirs(signer(kind, protection=True, ess=True), chain=[peer(kind).issuer.der])
    signed = verified(octets, limits=cms.EXACT)
    assert signed.signer_certificate == peer(kind).certificate
    if kind in {"ed25519", "ed448"}:  # nothing in these signatures is random
        assert octets == ours(kind)


@pytest.mark.parametrize("kind", SIGNING)
def test_neither_takes_a_signature_without_signed_attributes_for_an_act(kind):
    octets = theirs(signer(kind, bare=True), content_type=oids.DATA)
    assert judged(octets)["signers"][0]["good"]
    for limits in (cms.EXACT, cms.FOREIGN):
        with pytest.raises(Refusal, match="cms-signed-attributes"):
            verified(octets, limits=limits)


@pytest.mark.parametrize("kind", SIGNING)
def test_neither_takes_an_altered_message(kind):
    for octets in (ours(kind), theirs(signer(kind))):
        for altered in (octets.replace(b"nine", b"five"), octets[:-1] + bytes((octets[-1] ^ 1,))):
            assert altered != octets
            with pytest.raises(Refusal, match=r"altered-content|bad-signature"):
                verified(altered)
            with contextlib.suppress(Refused):
                assert not judged(altered)["signers"][0]["good"]


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        ("ed25519", "sha256"),
        ("ed25519", "sha384"),
        ("ed448", "sha256"),
        ("ed448", "sha384"),
        ("ml-dsa-65", "sha256"),
        ("ml-dsa-87", "sha256"),
        ("ml-dsa-87", "sha384"),
        ("ml-dsa-65", "shake128"),
    ],
)
def test_a_digest_weaker_than_the_signature(kind, digest):
    """RFC 8419, 3.1 and RFC 9882, 3.3: the digest of signed attributes may not weaken the signature."""
    octets = theirs(signer(kind, digest=digest))
    assert judged(octets)["complaints"] != []
    with pytest.raises(Refusal, match="suite-unknown"):
        verified(octets)


@pytest.mark.parametrize(("digest", "salt"), [("sha256", 32), ("sha384", 48), ("sha512", 64)])
def test_rsa_pss_of_others(digest, salt):
    octets = theirs(signer("rsa", digest=digest, salt=salt))
    assert verified(octets).content == CONTENT


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa"])
def test_pkijs_verifies_ours(kind):
    found = judge().ask("pkijsVerify", cms=ours(kind, oids.DATA), issuer=peer(kind).issuer.der)
    assert found["good"] == [True]


def test_an_answer_is_of_the_judge():
    """The judge's own refusals are told apart from faults of its program."""
    with pytest.raises(Refused, match="no SignedData"):
        judged(judge().ask("seal", content=b"", contentType=oids.DATA, recipients=[])["cms"])


PSS_ALONE = der.sequence(der.oid(oids.RSA_PSS))


def for_pss(identifier: bytes) -> dict:
    """A signer whose certificate and key say that the key is for RSASSA-PSS alone (RFC 4055, 1.2)."""
    own = peer("rsa")
    tree = parse(own.certificate.der)
    tree[0][1][0][1][6][1][0] = parse(identifier)[0]
    key = parse(pkcs8(own))
    key[0][1][1] = parse(identifier)[0]
    return {"certificate": unparse(tree), "key": unparse(key)}


def test_a_key_for_pss_alone():
    octets = theirs({**for_pss(PSS_ALONE), "salt": 32})
    assert verified(octets).content == CONTENT
    # the same key under PKCS #1 v1.5, which its certificate does not allow
    loose = theirs({**for_pss(PSS_ALONE), "key": pkcs8(peer("rsa"))})
    with pytest.raises(Refusal, match="suite-unknown"):
        verified(loose)
    with pytest.raises(Refused):
        judged(loose)


def test_a_key_for_pss_with_one_digest():
    """RFC 4055, 3.3: a signature's parameters are those of the key, its salt no shorter."""
    narrow = suites.signature_suite("rsa3072-pss-sha256").signature_algorithm
    assert verified(theirs({**for_pss(narrow), "salt": 32})).content == CONTENT
    with pytest.raises(Refusal, match="suite-unknown"):
        verified(
            theirs(
                {
                    **for_pss(PSS_ALONE),
                    "certificate": for_pss(narrow)["certificate"],
                    "digest": "sha512",
                    "salt": 64,
                }
            )
        )


@pytest.mark.parametrize(("kind", "size"), [("ed25519", 32), ("ed448", 57)])
def test_a_message_that_nobody_signed(kind, size):
    """Under a key of small order a signature is made without any secret: R the neutral element, S zero."""
    neutral = b"\x01" + bytes(size - 1)
    certificate = parse(peer(kind).certificate.der)
    certificate[0][1][0][1][6][1][1] = [der.BIT_STRING, b"\x00" + neutral]
    own = {**signer(kind, ess=True, protection=True), "certificate": unparse(certificate)}
    message = parse(theirs(own))
    message[0][1][1][1][0][1][-1][1][0][1][-1] = [der.OCTET_STRING, neutral + bytes(size)]
    for limits in (cms.EXACT, cms.FOREIGN):
        with pytest.raises(Refusal, match="suite-unknown"):
            verified(unparse(message), limits=limits)
    with contextlib.suppress(Refused):
        assert not judged(unparse(message))["signers"][0]["good"]
