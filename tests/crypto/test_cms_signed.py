"""SignedData: what we sign verifies; every other form, and every alteration, is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.attributes import attribute, signing_certificate
from e2s.crypto.suites import protection_of, signature_suite_of
from tests.worlds.crypto import AT, KINDS, new_party, parse, party, unparse

CONTENT = b"an order of nine resistors"


def message(kind="p256", **more) -> bytes:
    return cms.sign(CONTENT, oids.ACT, party(kind).signer, AT, **more)


def verified(octets: bytes, content: bytes | None = None, limits=cms.EXACT) -> cms.Signed:
    signed = cms.read_signed(octets, limits)
    cms.check_signature(signed, content)
    return signed


def rule_of(octets: bytes, limits=cms.EXACT) -> str:
    with pytest.raises(Refusal) as caught:
        verified(octets, limits=limits)
    return caught.value.rule


class Tree:
    """A message's parts as lists, to alter and write again."""

    def __init__(self, octets: bytes) -> None:
        self.root = parse(octets)
        self.info = self.root[0][1]
        self.data = self.info[1][1][0][1]
        self.content = self.data[2][1]
        self.certificates = self.data[3]
        self.infos = self.data[4]
        self.signer = self.infos[1][0][1]
        self.attributes = self.signer[3]

    @property
    def octets(self) -> bytes:
        return unparse(self.root)

    def attribute(self, oid: str) -> list:
        return next(a for a in self.attributes[1] if unparse(a[1][:1]) == der.oid(oid))

    def resign(self, kind="p256") -> bytes:
        """The message with its attributes sorted and signed again by the same key."""
        self.attributes[1].sort(key=lambda a: unparse([a]))
        suite = signature_suite_of(party(kind).key)
        signature = suite.sign(party(kind).key, der.tlv(der.SET, unparse(self.attributes[1])))
        self.signer[5] = [der.OCTET_STRING, signature]
        return self.octets


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content_type", [oids.DATA, oids.ACT])
def test_what_is_signed_verifies(kind, content_type):
    octets = cms.sign(CONTENT, content_type, party(kind).signer, AT)
    with meter.measured() as spent:
        signed = verified(octets)
    assert (signed.content_type, signed.content, signed.at) == (content_type, CONTENT, AT)
    assert signed.signer_certificate == party(kind).certificate
    assert set(signed.certificates) == {party(kind).certificate, party(kind).issuer}
    assert spent == {"verify": 1}
    assert Tree(octets).octets == octets


def test_signing_counts_once():
    with meter.measured() as spent:
        message()
    assert spent == {"sign": 1}


@pytest.mark.parametrize("year", [1960, 2026, 2049, 2050, 2099])
def test_any_year_is_written_as_its_clause_says(year):
    at = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert verified(cms.sign(CONTENT, oids.ACT, party("p256").signer, at)).at == at


@given(content=st.binary(max_size=3000))
@settings(max_examples=30)
def test_any_content_round_trips(content):
    assert verified(cms.sign(content, oids.ACT, party("p256").signer, AT)).content == content


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 70_000])
def test_any_size_round_trips(size):
    assert verified(cms.sign(bytes(size), oids.DATA, party("p256").signer, AT)).content == bytes(size)


def test_detached_content_is_given_apart():
    octets = message(detached=True)
    signed = verified(octets, CONTENT)
    assert signed.content is None
    with pytest.raises(Refusal, match="altered-content"):
        cms.check_signature(signed, CONTENT + b"!")
    with pytest.raises(Misuse):
        cms.check_signature(signed)
    with pytest.raises(Misuse):
        cms.check_signature(cms.read_signed(message()), CONTENT)
    with pytest.raises(Refusal, match="cms-detached"):
        _ = signed.digest


def test_further_certificates_travel_along():
    other = party("p384").certificate
    octets = cms.sign(CONTENT, oids.ACT, party("p256").signer, AT, certificates=(other,))
    assert other in verified(octets).certificates


def test_altered_content():
    assert rule_of(message().replace(b"nine", b"five")) == "altered-content"


def test_altered_signature():
    octets = bytearray(message())
    octets[-1] ^= 1
    assert rule_of(bytes(octets)) == "bad-signature"


def test_altered_time():
    octets = message().replace(b"260504120000Z", b"260504120001Z")
    assert rule_of(octets) == "bad-signature"


def test_backdated_beyond_a_form():
    assert rule_of(message().replace(b"260504120000Z", b"269904120000Z")) == "der-time"


@pytest.mark.parametrize("at", range(5))
def test_missing_attribute(at):
    tree = Tree(message())
    del tree.attributes[1][at]
    assert rule_of(tree.resign()) == "cms-signed-attributes"


def test_missing_signed_attributes():
    tree = Tree(message())
    del tree.signer[3]
    # the signature over the bare content, as RFC 5652, 5.4 has it without attributes
    suite = signature_suite_of(party("p256").key)
    tree.signer[4] = [der.OCTET_STRING, suite.sign(party("p256").key, CONTENT)]
    assert rule_of(tree.octets) == "cms-signed-attributes"
    assert rule_of(tree.octets, cms.FOREIGN) == "cms-signed-attributes"


def test_content_that_is_a_set_of_attributes():
    """A signature over attributes must not pass as one over content that looks like them."""
    tree = Tree(message())
    tree.content[1][1][0][1] = der.tlv(der.SET, unparse(tree.attributes[1]))
    del tree.signer[3]
    assert rule_of(tree.octets, cms.FOREIGN) == "cms-signed-attributes"


@pytest.mark.parametrize("limits", [cms.EXACT, cms.FOREIGN])
def test_duplicate_attribute(limits):
    tree = Tree(message())
    tree.attributes[1].append(parse(attribute(oids.SIGNING_TIME, der.time(AT.replace(year=2027))))[0])
    assert rule_of(tree.resign(), limits) == "cms-attribute-twice"
    tree = Tree(message())
    tree.attributes[1].append(tree.attributes[1][0])
    assert rule_of(tree.resign(), limits) == "der-set-order"


@pytest.mark.parametrize("limits", [cms.EXACT, cms.FOREIGN])
def test_attribute_with_two_values(limits):
    tree = Tree(message())
    tree.attribute(oids.SIGNING_TIME)[1][1][1] *= 2
    assert rule_of(tree.resign(), limits) == "cms-attribute-values"


@pytest.mark.parametrize("limits", [cms.EXACT, cms.FOREIGN])
def test_unsorted_attributes(limits):
    tree = Tree(message())
    tree.attributes[1].reverse()
    assert rule_of(tree.octets, limits) == "der-set-order"


def test_further_attribute():
    tree = Tree(message())
    tree.attributes[1].append(parse(attribute("1.2.3.4", der.integer(1)))[0])
    octets = tree.resign()
    assert rule_of(octets) == "cms-signed-attributes"
    assert verified(octets, limits=cms.FOREIGN).content == CONTENT


def test_unsigned_attributes():
    tree = Tree(message())
    tree.signer.append([0xA1, parse(attribute("1.2.3.4", der.integer(1)))])
    assert rule_of(tree.octets) == "cms-unsigned-attributes"
    assert verified(tree.octets, limits=cms.FOREIGN).content == CONTENT


@pytest.mark.parametrize("limits", [cms.EXACT, cms.FOREIGN])
def test_wrong_content_type(limits):
    """The signed content type is what stops an act from passing as a time stamp."""
    tree = Tree(message())
    tree.content[0] = parse(der.oid(oids.TST_INFO))[0]
    assert rule_of(tree.octets, limits) == "cms-content-type"


@pytest.mark.parametrize("limits", [cms.EXACT, cms.FOREIGN])
def test_wrong_signing_certificate(limits):
    tree = Tree(message())
    other = signing_certificate(party("p384").certificate.digest)
    tree.attribute(oids.SIGNING_CERTIFICATE_V2)[1][1][1] = parse(other)
    assert rule_of(tree.resign(), limits) == "wrong-certificate"


@pytest.mark.parametrize("limits", [cms.EXACT, cms.FOREIGN])
def test_certificate_swapped(limits):
    """Another certificate for the same key, with the same issuer and serial number, does not take over."""
    own = party("p256")
    tree = Tree(message())
    forged = parse(own.certificate.der)
    forged[0][1][0][1][5] = parse(new_party("thief", own.key).certificate.der)[0][1][0][1][5]
    twin = unparse(forged)
    assert Certificate.read(twin).issuer_and_serial == own.certificate.issuer_and_serial
    members = sorted([twin, own.issuer.der])
    tree.certificates[1] = [parse(one)[0] for one in members]
    assert rule_of(tree.octets, limits) == "wrong-certificate"


@pytest.mark.parametrize(
    "value",
    [
        der.sequence(der.sequence(*[der.sequence(der.octet_string(bytes(32)))] * 2)),
        der.sequence(
            der.sequence(der.sequence(der.sequence(der.oid(oids.SHA256)), der.octet_string(bytes(32))))
        ),
        der.sequence(der.sequence(der.sequence(der.octet_string(bytes(32)))), der.sequence()),
        der.sequence(der.sequence(der.sequence(der.octet_string(bytes(32)), der.sequence()))),
    ],
    ids=["two", "default-written", "policies", "issuer"],
)
def test_signing_certificate_in_another_form(value):
    tree = Tree(message())
    tree.attribute(oids.SIGNING_CERTIFICATE_V2)[1][1][1] = parse(value)
    assert rule_of(tree.resign()) == "cms-signing-certificate"


@pytest.mark.parametrize("limits", [cms.EXACT, cms.FOREIGN])
def test_algorithm_substituted(limits):
    """The names of algorithms are signed: naming others, even with the same effect, is refused."""
    tree = Tree(message("rsa"))
    null = [der.NULL, b""]
    tree.signer[4] = [der.SEQUENCE, [parse(der.oid(oids.RSA))[0], null]]
    assert rule_of(tree.octets, limits) == "algorithm-substituted"
    tree = Tree(message())
    for algorithm in (tree.data[1][1][0], tree.signer[2]):
        algorithm[1].append(null)
    assert rule_of(tree.octets, limits) == "algorithm-substituted"


def test_algorithms_not_of_the_key():
    """SHA-512 with P-256, honestly named and protected: good elsewhere, but not E2S's suite."""
    tree = Tree(message())
    sha512, ecdsa = der.sequence(der.oid(oids.SHA512)), der.sequence(der.oid(oids.ECDSA_SHA512))
    for place in (tree.data[1][1],):
        place[0] = parse(sha512)[0]
    tree.signer[2], tree.signer[4] = parse(sha512)[0], parse(ecdsa)[0]
    protection = protection_of(sha512, ecdsa)
    tree.attribute(oids.ALGORITHM_PROTECTION)[1][1][1] = parse(protection)
    assert rule_of(tree.octets) == "algorithm-substituted"
    # the reader for others accepts the algorithm and so finds the digest wrong
    assert rule_of(tree.octets, cms.FOREIGN) == "altered-content"


@pytest.mark.parametrize("oid", ["1.3.14.3.2.26", "1.2.840.113549.2.5"], ids=["sha1", "md5"])
def test_weak_digest(oid):
    tree = Tree(message())
    weak = parse(der.sequence(der.oid(oid)))[0]
    tree.data[1][1][0] = tree.signer[2] = weak
    del tree.attributes[1][
        [unparse([a]) for a in tree.attributes[1]].index(unparse([tree.attribute(oids.ALGORITHM_PROTECTION)]))
    ]
    assert rule_of(tree.resign(), cms.FOREIGN) == "suite-unknown"


def test_two_signers():
    tree = Tree(message())
    other = Tree(cms.sign(CONTENT, oids.ACT, party("p256", "bert").signer, AT)).infos[1][0]
    tree.infos[1].append(other)
    tree.infos[1].sort(key=lambda i: unparse([i]))
    assert rule_of(tree.octets) == "cms-one-signer"
    tree.infos[1] = []
    assert rule_of(tree.octets) == "cms-one-signer"


def test_two_digest_algorithms():
    tree = Tree(message())
    tree.data[1][1].append(parse(der.sequence(der.oid(oids.SHA384)))[0])
    assert rule_of(tree.octets) == "cms-digest-algorithms"


@pytest.mark.parametrize("version", [0, 1, 2, 4, 5])
def test_wrong_version(version):
    tree = Tree(message())
    tree.data[0] = parse(der.integer(version))[0]
    assert rule_of(tree.octets) == "cms-version"
    tree = Tree(message())
    tree.signer[0] = parse(der.integer(version or 3))[0]
    if version != 1:
        assert rule_of(tree.octets) == "cms-version"


def test_signer_certificate_missing():
    tree = Tree(message())
    tree.certificates[1] = parse(party("p256").issuer.der)
    assert rule_of(tree.octets) == "cms-signer-certificate"
    del tree.data[3]
    assert rule_of(tree.octets) == "cms-signer-certificate"


def test_certificates_unsorted_or_twice():
    tree = Tree(message())
    tree.certificates[1].reverse()
    assert rule_of(tree.octets) == "der-set-order"
    tree.certificates[1] = [tree.certificates[1][0]] * 2
    assert rule_of(tree.octets) == "der-set-order"


def test_too_many_certificates():
    tree = Tree(message())
    tree.certificates[1] *= 50
    assert rule_of(tree.octets) == "der-count"
    assert rule_of(tree.octets, cms.FOREIGN) == "der-count"


def test_certificate_that_is_none():
    tree = Tree(message())
    tree.certificates[1].insert(0, [der.SEQUENCE, b""])
    assert rule_of(tree.octets) == "bad-certificate"


def test_crls_inside():
    tree = Tree(message())
    tree.data.insert(4, [0xA1, [[der.SEQUENCE, b""]]])
    assert rule_of(tree.octets) == "cms-crls"
    assert verified(tree.octets, limits=cms.FOREIGN).crls == (b"\x30\x00",)


def test_envelope_is_no_signature():
    sealed = cms.seal(b"x", oids.DATA, [party("p256").certificate], bytes)
    assert rule_of(sealed) == "cms-content-info"


def test_too_large():
    assert rule_of(bytes(5 * 1024 * 1024)) == "too-large"


@pytest.mark.parametrize("tail", [b"\x00", b"\x05\x00"])
def test_trailing_octets(tail):
    assert rule_of(message() + tail) == "der-trailing"


def test_trailing_inside_each_part():
    """An element too many, anywhere in the structure, is refused."""
    whole = message()
    count = 0

    def visit(elements: list, root: list) -> None:
        nonlocal count
        for _tag, content in elements:
            if isinstance(content, list):
                content.append([der.NULL, b""])
                with pytest.raises(Refusal):
                    verified(unparse(root))
                count += 1
                content.pop()
                visit(content, root)

    root = parse(whole)
    visit(root, root)
    assert count > 30


def ber_variants(octets: bytes) -> list[bytes]:
    """The same value with one length in a longer form, for each of its first forty elements."""
    found = []

    def rewrite(elements: list, target: int, seen: list[int]) -> bytes:
        parts = []
        for tag, content in elements:
            me = len(seen)
            seen.append(me)
            body = rewrite(content, target, seen) if isinstance(content, list) else content
            if me == target:
                parts.append(bytes((tag, 0x84)) + len(body).to_bytes(4, "big") + body)
            elif me == -target - 1 and tag & 0x20:
                parts.append(bytes((tag, 0x80)) + body + b"\x00\x00")
            else:
                parts.append(der.tlv(tag, body))
        return b"".join(parts)

    for target in (*range(40), *range(-40, 0)):
        made = rewrite(parse(octets), target, [])
        if made != octets:
            found.append(made)
    return found


def test_ber_lengths_and_indefinite_lengths():
    variants = ber_variants(message())
    assert len(variants) > 50
    for variant in variants:
        with pytest.raises(Refusal):
            verified(variant)


@given(place=st.integers(0, 2**16), change=st.integers(1, 255))
@settings(max_examples=200)
def test_mutations_are_refused(place, change):
    """Any changed octet is refused: no octet of a message is without meaning or outside the signature."""
    octets = bytearray(message())
    octets[place % len(octets)] ^= change
    try:
        signed = verified(bytes(octets))
    except Refusal:
        return
    # only a certificate that travels along is not covered: the verifier checks its signature
    assert signed.signer_certificate == party("p256").certificate
    assert (signed.content, signed.at) == (CONTENT, AT)
    assert set(signed.certificates) != {party("p256").certificate, party("p256").issuer}


@given(octets=st.binary(max_size=400), cut=st.integers(0, 900), exact=st.booleans())
def test_garbage_is_refused(octets, cut, exact):
    limits = cms.EXACT if exact else cms.FOREIGN
    whole = message()
    for candidate in (octets, whole[:cut] + octets, octets + whole[cut:]):
        if candidate != whole:
            with pytest.raises(Refusal):
                verified(candidate, limits=limits)


def test_unknown_keys_have_no_suite():
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    for key in (ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 2048)):
        with pytest.raises(Refusal, match="suite-unknown"):
            signature_suite_of(key)
