"""Each primitive as E2S wraps it against Project Wycheproof: what must fail is refused, by a rule, never by a crash.

A test goes through all cases of a primitive and names those that came out otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x448, x25519

from e2s.base.errors import Refusal
from e2s.crypto import der, suites
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.openers import KeyOpener
from e2s.security.certificates.certify import read_request, request
from e2s.security.verification import signatures
from tests.judges.examples import described, wycheproof
from tests.judges.parties import peer
from tests.worlds.crypto import parse, party, unparse

CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
MONTGOMERY: dict[str, tuple[Any, str]] = {
    "x25519": (x25519.X25519PrivateKey, "1.3.101.110"),
    "x448": (x448.X448PrivateKey, "1.3.101.111"),
}
KEMS: dict[str, tuple[Any, str]] = {
    "ml-kem-768": (mlkem.MLKEM768PrivateKey, "2.16.840.1.101.3.4.4.2"),
    "ml-kem-1024": (mlkem.MLKEM1024PrivateKey, "2.16.840.1.101.3.4.4.3"),
}
SIGNATURES = (
    "p256-sha256",
    "p384-sha384",
    "p521-sha512",
    "rsa3072-pss-sha256",
    "rsa3072-pkcs1-sha256",
    "ed25519",
    "ed448",
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
)


@cache
def certificate_of(spki: bytes) -> Certificate:
    """A certificate for a key; nobody checks its signature here."""
    forged = parse(party("p256").certificate.der)
    forged[0][1][0][1][6] = parse(spki)[0]
    return Certificate.read(unparse(forged))


def spki(oid: str, octets: bytes) -> bytes:
    return der.sequence(der.sequence(der.oid(oid)), der.tlv(der.BIT_STRING, b"\x00" + octets))


def agree(key: Any, peer_spki: bytes) -> bytes:
    """The secret as the holder of ``key`` finds it."""
    return KeyOpener(certificate_of(spki_of(key.public_key())), key).agree(peer_spki)


def otherwise(name: str, expected: Callable[[dict[str, Any]], bool]) -> list[str]:
    """The cases that did not come out as expected; any exception but a refusal ends the test."""
    found = wycheproof(name)
    assert found
    return [described(case) for case in found if not expected(case)]


def outcome(act: Callable[..., bytes], *arguments: Any) -> bytes | str:
    """What the act gives, or the rule by which it is refused."""
    try:
        return act(*arguments)
    except Refusal as refusal:
        return refusal.rule


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name):
    suite = suites.signature_suite(name)

    def expected(case: dict[str, Any]) -> bool:
        try:
            key = certificate_of(case["key"]).public_key
        except Refusal:
            return case["flags"] == ["IncorrectPublicKeyLength"]
        good = suite.verified(key, case["signature"], case["message"])
        return case["result"] == "acceptable" or good is (case["result"] == "valid")

    assert otherwise(name, expected) == []


def test_a_signature_is_of_its_own_suite():
    """A good signature of one suite is none of another, not even by the same key."""
    case = next(one for one in wycheproof("rsa3072-pss-sha256") if one["result"] == "valid")
    key = certificate_of(case["key"]).public_key
    assert not suites.signature_suite("rsa3072-pkcs1-sha256").verified(
        key, case["signature"], case["message"]
    )


@pytest.mark.parametrize("name", MONTGOMERY)
def test_agreement_on_montgomery_curves(name):
    """A point of small order gives zero, which every onlooker knows too: refused (RFC 7748, 6; RFC 8418, 5)."""
    kind, oid = MONTGOMERY[name]

    def expected(case: dict[str, Any]) -> bool:
        found = outcome(agree, kind.from_private_bytes(case["private"]), spki(oid, case["public"]))
        refused = case["result"] == "invalid" or "ZeroSharedSecret" in case["flags"]
        return found == ("invalid-point" if refused else case["shared"])

    assert otherwise(name, expected) == []


def test_keys_for_montgomery_curves():
    """A key in a wrong form: with parameters, under another curve's identifier, of another size."""

    def expected(case: dict[str, Any]) -> bool:
        if case["flags"] == ["MissingOctetString"]:  # that one's fault is in the private key
            return True
        key = x25519.X25519PrivateKey.from_private_bytes(case["private"][-32:])
        found = outcome(agree, key, case["public"])
        return (
            found == case["shared"] if case["result"] == "valid" else found in {"invalid-point", "wrong-key"}
        )

    assert otherwise("x25519-spki", expected) == []


@pytest.mark.parametrize("name", CURVES)
def test_agreement_on_nist_curves(name):
    def expected(case: dict[str, Any]) -> bool:
        key = ec.derive_private_key(int.from_bytes(case["private"], "big"), CURVES[name])
        found = outcome(agree, key, case["public"])
        return (
            found == case["shared"] if case["result"] == "valid" else found in {"invalid-point", "wrong-key"}
        )

    assert otherwise(name, expected) == []


@pytest.mark.parametrize("name", KEMS)
def test_decapsulation(name):
    """A foreign ciphertext of the right size gives some secret, one of another size is refused (FIPS 203, 7.3)."""
    kind, _ = KEMS[name]

    def expected(case: dict[str, Any]) -> bool:
        if len(case["seed"]) != 64:
            return case["result"] == "invalid"
        key = kind.from_seed_bytes(case["seed"])
        opener = KeyOpener(certificate_of(spki_of(key.public_key())), key)
        whole = case["ciphertext"]
        assert case["result"] == "valid"
        sizes = {
            outcome(opener.decapsulate, (whole + b"!")[:size]) for size in (0, len(whole) - 1, len(whole) + 1)
        }
        return outcome(opener.decapsulate, whole) == case["secret"] and sizes == {"bad-envelope"}

    assert otherwise(name, expected) == []


@pytest.mark.parametrize("name", KEMS)
def test_encapsulation_keys(name):
    """A key of another size, or with a coefficient that is not reduced, is none (FIPS 203, 7.2)."""
    _, oid = KEMS[name]

    def expected(case: dict[str, Any]) -> bool:
        return outcome(lambda: certificate_of(spki(oid, case["public"])).der) == "bad-certificate"

    assert otherwise(f"{name}-keys", expected) == []


# Keys of small order: RFC 8032 verifies under them whatever anyone makes up

IDENTITY = {"ed25519": (b"\x01" + bytes(31), 32), "ed448": (b"\x01" + bytes(56), 57)}
EDWARDS = {"ed25519": "1.3.101.112", "ed448": "1.3.101.113"}


def test_keys_of_small_order_sign_nothing():
    cases = [one for one in wycheproof("ed25519") if "SmallOrderPublicKey" in one["flags"]]
    assert len(cases) >= 6
    for case in cases:
        with pytest.raises(Refusal, match="suite-unknown"):
            suites.signature_suite_of(certificate_of(case["key"]).public_key)


@pytest.mark.parametrize("kind", EDWARDS)
def test_the_neutral_element_in_each_form(kind):
    neutral, size = IDENTITY[kind]
    prime = 2**255 - 19 if kind == "ed25519" else 2**448 - 2**224 - 1
    for y in (0, 1, prime - 1, prime, prime + 1):
        for sign in (0, 1 << (8 * size - 1)):
            try:
                key = certificate_of(spki(EDWARDS[kind], (y | sign).to_bytes(size, "little"))).public_key
            except Refusal:
                continue  # the library knows some of them for no point
            assert suites.signature_suites_of(key) == ()
    key = certificate_of(spki(EDWARDS[kind], neutral)).public_key
    assert not signatures.strong(key)


@pytest.mark.parametrize("kind", EDWARDS)
def test_a_request_that_anyone_can_sign(kind):
    """Possession of such a key proves nothing: its signature needs no secret."""
    neutral, size = IDENTITY[kind]
    forged = parse(request(peer(kind).key, ("urn:e2s:market:shop",)))
    forged[0][1][0][1][2][1][1] = [der.BIT_STRING, b"\x00" + neutral]
    forged[0][1][2] = [der.BIT_STRING, b"\x00" + neutral + bytes(size)]
    with pytest.raises(Refusal, match=r"suite-unknown|bad-request|no-possession"):
        read_request(unparse(forged))
