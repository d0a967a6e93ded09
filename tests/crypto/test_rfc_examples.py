"""The examples that RFCs print: read by E2S as the RFC says, or refused by the rule that excludes them.

The judge from npm reads the same octets, so that neither stands alone.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from e2s.base.errors import Refusal
from e2s.crypto import cms, der, oids, suites
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import read_private_key, spki_of
from e2s.crypto.kinds import kind_of
from e2s.crypto.openers import KeyOpener
from e2s.security.verification import signatures
from tests.judges.examples import example, pem
from tests.judges.npm import Refused, judge
from tests.worlds.crypto import parse, party, unparse

LATTICE = {
    "rfc9881-c1-ml-dsa-44": "rfc9881-c3-ml-dsa-44-certificate",
    "rfc9881-c1-ml-dsa-65": "rfc9881-c3-ml-dsa-65-certificate",
    "rfc9881-c1-ml-dsa-87": "rfc9881-c3-ml-dsa-87-certificate",
    "rfc9935-c1-ml-kem-768": "rfc9935-c3-ml-kem-768-certificate",
    "rfc9935-c1-ml-kem-1024": "rfc9935-c3-ml-kem-1024-certificate",
}
ISSUERS = {
    "rfc9881-c3-ml-dsa-44": "rfc9881-c3-ml-dsa-44",
    "rfc9881-c3-ml-dsa-65": "rfc9881-c3-ml-dsa-65",
    "rfc9881-c3-ml-dsa-87": "rfc9881-c3-ml-dsa-87",
    "rfc9935-c3-ml-kem-768": "rfc9881-c3-ml-dsa-65",
    "rfc9935-c3-ml-kem-1024": "rfc9881-c3-ml-dsa-87",
}


def is_signed_by(certificate: Certificate, key) -> bool:
    """Whether the verifier of paths finds the signature good."""
    _, _, _, _, signed, algorithm, signature = certificate.slices
    assert signature is not None
    return signatures.good(key, algorithm, signature, signed)


# RFC 8410: Ed25519, Ed448, X25519 and X448 keys and certificates


def test_rfc_8410_keys():
    """10.1 and 10.3: the halves of a pair, with and without the public key inside."""
    key = read_private_key(pem("rfc8410-10.3-private"))
    assert kind_of(key.__class__) == "ed25519"
    assert spki_of(key.public_key()) == example("rfc8410-10.1-public")
    for form in ("rfc8410-10.3-private", "rfc8410-10.3-private-attributes"):
        found = judge().ask("public", key=example(form))["octets"]
        assert example("rfc8410-10.1-public").endswith(found)


def test_rfc_8410_key_with_attributes():
    """10.3: the public key beside it is its own, and attributes say nothing that is needed."""
    key = read_private_key(pem("rfc8410-10.3-private-attributes"))
    assert spki_of(key.public_key()) == example("rfc8410-10.1-public")


def test_rfc_8410_certificate():
    """10.2: a certificate for X25519, signed with Ed25519.

    Its extensions write what is FALSE by default, which is no DER (errata 6936, 7070): well
    signed, and refused.  The same without them is read, and its key can be sealed to, but never signs.
    """
    octets = example("rfc8410-10.2-certificate")
    order = {"octets": octets, "spki": example("rfc8410-10.1-public")}
    assert judge().ask("signedBy", **order)["good"]
    altered = octets[:-1] + bytes((octets[-1] ^ 1,))
    assert not judge().ask("signedBy", **{**order, "octets": altered})["good"]
    with pytest.raises(Refusal, match="bad-certificate"):
        Certificate.read(octets)

    tree = parse(octets)
    constraints, *others = (extension[1] for extension in tree[0][1][0][1][7][1][0][1])
    constraints[2][1] = der.sequence()
    for extension in others:
        assert extension.pop(1) == [0x01, b"\x00"]
    certificate = Certificate.read(unparse(tree))
    assert kind_of(certificate.public_key.__class__) == "x25519"
    assert not is_signed_by(certificate, load_der_public_key(example("rfc8410-10.1-public")))
    sealed = cms.seal(b"Curdle", oids.DATA, [certificate], lambda size: b"\x2a" * size)
    assert b"Curdle" not in sealed
    with pytest.raises(Refusal, match="suite-unknown"):
        suites.signature_suite_of(certificate.public_key)


# RFC 9881 and RFC 9935: ML-DSA and ML-KEM keys and certificates


@pytest.mark.parametrize("name", LATTICE)
def test_lattice_keys_and_certificates(name):
    """Appendices C.1 to C.3: the seed gives the key that the certificate has."""
    certificate = Certificate.read(pem(LATTICE[name]))
    kind = name.split("-c1-")[1]
    key = load_der_private_key(example(f"{name}-seed"), None)
    assert kind_of(key.__class__) == kind_of(certificate.public_key.__class__) == kind
    assert key.public_key() == certificate.public_key
    public = judge().ask("public", key=example(f"{name}-seed"))["octets"]
    assert spki_of(certificate.public_key).endswith(public)


@pytest.mark.parametrize(
    "name", ["rfc9881-c1-ml-dsa-44-seed", "rfc9881-c1-ml-dsa-65-seed", "rfc9881-c1-ml-dsa-87-seed"]
)
def test_rfc_9881_signing_keys(name):
    """C.1: the form of 32 octets of seed, which RFC 9881, 6 recommends."""
    key = read_private_key(pem(name))
    certificate = Certificate.read(pem(name.replace("-c1-", "-c3-").replace("seed", "certificate")))
    assert key.public_key() == certificate.public_key


@pytest.mark.parametrize("name", ISSUERS)
def test_lattice_certificates_are_signed(name):
    """C.3: those of RFC 9881 by themselves, those of RFC 9935 by those of RFC 9881."""
    certificate, issuer = (Certificate.read(pem(f"{one}-certificate")) for one in (name, ISSUERS[name]))
    assert is_signed_by(certificate, issuer.public_key)
    assert judge().ask("issuedBy", octets=certificate.der, issuer=issuer.der)["good"]
    altered = certificate.der[:-1] + bytes((certificate.der[-1] ^ 1,))
    assert not judge().ask("issuedBy", octets=altered, issuer=issuer.der)["good"]
    assert not is_signed_by(Certificate.read(altered), issuer.public_key)


def test_rfc_9935_smallest_kem():
    """C.3 for ML-KEM-512, which the library does not have: refused, though well signed."""
    octets = example("rfc9935-c3-ml-kem-512-certificate")
    assert judge().ask("issuedBy", octets=octets, issuer=example("rfc9881-c3-ml-dsa-44-certificate"))["good"]
    with pytest.raises(Refusal, match="bad-certificate"):
        Certificate.read(octets)


@pytest.mark.parametrize("name", ["rfc9881-c1-ml-dsa-44", "rfc9935-c1-ml-kem-768"])
def test_expanded_keys(name):
    """C.1: the expanded key beside its seed is read; alone it proves nothing."""
    key = read_private_key(pem(f"{name}-both"))
    assert key.public_key() == Certificate.read(pem(LATTICE[name])).public_key
    with pytest.raises(Refusal, match="without its seed"):
        read_private_key(pem(f"{name}-expanded"))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("rfc9881-c4-ml-dsa-44-inconsistent-1", "do not belong together"),
        ("rfc9881-c4-ml-dsa-44-inconsistent-2", "without its seed"),
        ("rfc9881-c4-ml-dsa-44-inconsistent-3", "without its seed"),
        ("rfc9935-c4-ml-kem-512-inconsistent-1", "bad-key"),
    ],
)
def test_inconsistent_keys(name, rule):
    """C.4: seed and expansion that do not agree."""
    with pytest.raises(Refusal, match=rule):
        read_private_key(pem(name))


# RFC 9882 and RFC 9936: ML-DSA and ML-KEM in CMS


def with_certificate(octets: bytes, certificate: bytes) -> bytes:
    """A SignedData that had no certificates, with one: certificates are not signed."""
    tree = parse(octets)
    tree[0][1][1][1][0][1].insert(3, [0xA0, parse(certificate)])
    return unparse(tree)


def test_rfc_9882_signed():
    """Appendix B: ML-DSA-44 with signed attributes, the fewest there may be."""
    certificate = example("rfc9881-c3-ml-dsa-44-certificate")
    octets = with_certificate(example("rfc9882-ml-dsa-44-signed"), certificate)
    signed = cms.read_signed(octets, cms.FOREIGN)
    cms.check_signature(signed)
    assert signed.content == b"ML-DSA-44 signed-data example with signed attributes"
    assert signed.signer_certificate == Certificate.read(certificate)
    found = judge().ask("verify", cms=octets)
    assert (found["signers"][0]["good"], found["complaints"]) == (True, [])

    altered = cms.read_signed(octets.replace(b"example", b"exbmple"), cms.FOREIGN)
    with pytest.raises(Refusal, match="altered-content"):
        cms.check_signature(altered)
    with pytest.raises(Refusal):  # not what E2S writes in its own acts
        cms.read_signed(octets)


def test_rfc_9882_without_certificate():
    with pytest.raises(Refusal, match="cms-signer-certificate"):
        cms.read_signed(example("rfc9882-ml-dsa-44-signed"), cms.FOREIGN)


def test_rfc_9936_sealed():
    """Appendix C is to ML-KEM-512: opened by the judge, and for us an envelope to someone else."""
    octets = example("rfc9936-ml-kem-512-sealed")
    found = judge().ask("open", cms=octets, key=example("rfc9935-c1-ml-kem-512-seed"), certificate=None)
    assert (found["content"], found["complaints"], found["recipients"]) == (
        b"Hello, world!",
        [],
        ["ml-kem-512"],
    )
    for allowed in (False, True):
        with pytest.raises(Refusal, match=r"not-for-me|cms-content-encryption"):
            cms.open_sealed(octets, opener("ml-kem-768"), allow_legacy=allowed)


def opener(kind: str) -> KeyOpener:
    """The holder of a key of RFC 9935."""
    certificate = Certificate.read(pem(f"rfc9935-c3-{kind}-certificate"))
    key = load_der_private_key(example(f"rfc9935-c1-{kind}-seed"), None)
    return KeyOpener(certificate, key)  # type: ignore[arg-type]  # the kind says so


@pytest.mark.parametrize("kind", ["ml-kem-768", "ml-kem-1024"])
def test_rfc_9935_certificates_are_sealed_to(kind):
    """Both ways with the certificates of RFC 9935, by their published keys."""
    own = opener(kind)
    order = {"certificate": own.certificate.der, "key": example(f"rfc9935-c1-{kind}-seed")}
    ours = cms.seal(b"Hello, world!", oids.DATA, [own.certificate], lambda size: b"\x2a" * size)
    assert judge().ask("open", cms=ours, **order)["content"] == b"Hello, world!"
    sent = {"content": b"Hello, world!", "contentType": oids.DATA, "recipients": [order]}
    assert cms.open_sealed(judge().ask("seal", **sent)["cms"], own) == (oids.DATA, b"Hello, world!")


# What is excluded by rule


def test_rfc_9690_rsa_kem():
    """RSA-KEM comes by the same KEMRecipientInfo as ML-KEM, but no suite has it: not ours, nor the judge's."""
    octets = example("rfc9690-rsa-kem-sealed")
    with pytest.raises(Refusal, match=r"not-for-me|cms-content-encryption|suite-unknown"):
        cms.open_sealed(octets, party("rsa").opener, allow_legacy=True)
    with pytest.raises(Refused):
        judge().ask("open", cms=octets, key=example("rfc9935-c1-ml-kem-768-seed"), certificate=None)


def test_rfc_5753_sealed():
    """P-384 with user keying material, AES-128-CBC: read in full, and not to us."""
    octets = example("rfc5753-ecdh-sealed")
    with pytest.raises(Refusal, match="not-for-me"):
        cms.open_sealed(octets, party("p384").opener, allow_legacy=True)
    with pytest.raises(Refusal, match="cms-content-info"):
        cms.open_sealed(octets, party("p384").opener)


def test_rfc_5752_two_signers():
    """One of the two signs by DSA, which no suite has; the other alone is not what was signed."""
    octets = example("rfc5752-two-signers")
    for limits in (cms.EXACT, cms.FOREIGN):
        with pytest.raises(Refusal):
            cms.check_signature(cms.read_signed(octets, limits))
    with pytest.raises(Refused):
        judge().ask("verify", cms=octets)


def test_rfc_3274_compressed_is_no_other_kind():
    octets = example("rfc3274-compressed")
    with pytest.raises(Refusal, match="cms-content-info"):
        cms.read_signed(octets, cms.FOREIGN)
    with pytest.raises(Refusal, match="cms-content-info"):
        cms.open_sealed(octets, party("p256").opener, allow_legacy=True)


@pytest.mark.parametrize(
    "name",
    [
        "rfc9882-ml-dsa-44-signed",
        "rfc9936-ml-kem-512-sealed",
        "rfc9690-rsa-kem-sealed",
        "rfc5752-two-signers",
    ],
)
def test_examples_are_der(name):
    """All of them are one value in DER, so none is refused for its encoding alone."""
    assert unparse(parse(example(name))) == example(name)
    der.check(example(name))
