"""Malformed messages that public advisories describe, rebuilt: each is refused by name, soon, and in bounds.

What was wrong elsewhere is said beside each; the octets are our own.  A message is brought to DER first, as another's
is, and read both as E2S's own and as another's.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
import time
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from e2s.base.errors import Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.suites import signature_suite_of
from tests.worlds.crypto import AT, Party, new_party, parse, party, unparse

CONTENT = b"an order of nine resistors"
NULL = [der.NULL, b""]
#: Seconds of the processor; a tracer of coverage makes everything ten times slower.
SOON = 5 if sys.gettrace() else 0.5


def spoken(oid: str, *parameters: list) -> list:
    """An AlgorithmIdentifier in a tree."""
    return [der.SEQUENCE, [parse(der.oid(oid))[0], *parameters]]


class Signed:
    """A signed message in parts, to alter; :meth:`resigned` signs what its attributes have become."""

    def __init__(self, kind: str = "p256", octets: bytes = b"") -> None:
        self.kind = kind
        self.root = parse(octets or cms.sign(CONTENT, oids.ACT, party(kind).signer, AT))
        self.info = self.root[0][1]
        self.data = self.info[1][1][0][1]
        self.inner = self.data[2][1]
        self.certificates = self.data[3]
        self.infos = self.data[4]
        self.signer = self.infos[1][0][1]

    def value(self, oid: str) -> list:
        """The values of a signed attribute."""
        return next(a for a in self.signer[3][1] if unparse(a[1][:1]) == der.oid(oid))[1][1][1]

    def resigned(self) -> bytes:
        self.signer[3][1].sort(key=lambda a: unparse([a]))
        key = party(self.kind).key
        octets = der.tlv(der.SET, unparse(self.signer[3][1]))
        self.signer[5] = [der.OCTET_STRING, signature_suite_of(key).sign(key, octets)]
        return self.octets

    @property
    def octets(self) -> bytes:
        return unparse(self.root)


class Sealed:
    """An envelope in parts, to alter."""

    def __init__(self, kind: str = "p256", suites: tuple[str, ...] = ()) -> None:
        to = [party(kind).certificate]
        self.root = parse(cms.seal(CONTENT, oids.DATA, to, secrets.token_bytes, suites=suites))
        self.info = self.root[0][1]
        self.data = self.info[1][1][0][1]
        self.recipients = self.data[1]
        self.recipient = self.recipients[1][0][1]
        self.inner = self.data[2][1]

    @property
    def octets(self) -> bytes:
        return unparse(self.root)


def refused(octets: bytes, *rules: str) -> None:
    """Refused by one of these rules in each way of reading, in less than half a second together."""
    begin = time.process_time()
    found = set()
    for limits in (cms.EXACT, cms.FOREIGN):
        with pytest.raises(Refusal) as caught:
            cms.check_signature(cms.read_signed(cms.normalised(octets), limits))
        found.add(caught.value.rule)
    assert found <= set(rules)
    assert time.process_time() - begin < SOON


def unopened(
    octets: bytes, *rules: str, kind: str = "p256", legacy: tuple[bool, ...] = (False, True)
) -> None:
    """As :func:`refused`, of an envelope to the party of ``kind``."""
    begin = time.process_time()
    found = set()
    for allow_legacy in legacy:
        with pytest.raises(Refusal) as caught:
            cms.open_sealed(cms.normalised(octets), party(kind).opener, allow_legacy=allow_legacy)
        found.add(caught.value.rule)
    assert found <= set(rules)
    assert time.process_time() - begin < SOON


# What is absent, empty or of another type


@pytest.mark.parametrize("form", ["absent", "empty"])
def test_content_absent(form):
    """CVE-2015-0289, CVE-2024-0727 (OpenSSL), CVE-2023-49083 (cryptography): no content in the outer type."""
    for message, refusal in ((Signed(), refused), (Sealed(), unopened)):
        if form == "absent":
            message.info.pop()
        else:
            message.info[1][1] = []
        refusal(message.octets, "der-truncated")


def test_encrypted_content_absent():
    """CVE-2015-1790 (OpenSSL): EncryptedContentInfo without the optional encrypted content."""
    for kind, suites in (("p256", ()), ("rsa", ("rsa-pkcs1-aes256cbc",))):
        message = Sealed(kind, suites)
        message.inner.pop()
        unopened(message.octets, "der-truncated", "cms-content-info", kind=kind)


@pytest.mark.parametrize("wrong", [NULL, [der.OCTET_STRING, b"x"], [der.SET, []], [der.BOOLEAN, b"\xff"]])
def test_another_type_where_a_structure_is_expected(wrong):
    """CVE-2023-0216 (OpenSSL, d2i_PKCS7): a malformed PKCS #7 leaves a pointer to something else."""
    message = Signed()
    message.info[1][1] = [wrong]
    refused(message.octets, "der-tag")
    for place in range(5):
        message = Signed()
        message.data[place] = wrong
        refused(
            message.octets,
            "der-tag",
            "der-truncated",
            "cms-version",
            "cms-one-signer",
            "cms-digest-algorithms",
            "der-trailing",
        )


@pytest.mark.parametrize(
    "oid", [oids.MESSAGE_DIGEST, oids.CONTENT_TYPE, oids.SIGNING_TIME, oids.SIGNING_CERTIFICATE_V2]
)
@pytest.mark.parametrize("wrong", [NULL, [der.INTEGER, b"\1"], [der.BOOLEAN, b"\xff"], [der.SEQUENCE, []]])
def test_an_attribute_of_another_type(oid, wrong):
    """CVE-2026-22796 (OpenSSL): the digest's attribute is taken for an OCTET STRING whatever it is."""
    message = Signed()
    message.value(oid)[:] = [wrong]
    refused(message.resigned(), "der-tag", "der-truncated")


@pytest.mark.parametrize("oid", [oids.MESSAGE_DIGEST, oids.CONTENT_TYPE])
def test_an_attribute_without_a_value(oid):
    """CVE-2009-0591 (OpenSSL): a malformed signed attribute made verification fail in a way taken for success."""
    message = Signed()
    message.value(oid).clear()
    refused(message.resigned(), "cms-attribute-values")


def test_an_attribute_without_values():
    """CVE-2015-3195 (OpenSSL): a malformed X509_ATTRIBUTE."""
    message = Signed()
    message.signer[3][1][0][1].pop()
    refused(message.resigned(), "der-truncated")


def test_no_digest_algorithms():
    """CVE-2026-45447 (OpenSSL): an empty SET of digest algorithms ends in a use after free."""
    message = Signed()
    message.data[1][1] = []
    refused(message.octets, "cms-digest-algorithms")


def test_no_signers():
    """A message that only carries certificates (RFC 5652, 5.1) is signed by nobody."""
    message = Signed()
    message.infos[1] = []
    refused(message.octets, "cms-one-signer", "cms-no-signer")


@pytest.mark.parametrize("wrong", [NULL, [0xA0, []], [0xA1, []], [0x81, b"x"], [der.OCTET_STRING, b"x"]])
def test_a_choice_that_is_none_of_its_alternatives(wrong):
    """CVE-2016-7053 (OpenSSL): an invalid CHOICE is set to NULL and then used."""
    message = Signed()
    message.signer[1] = wrong
    refused(message.octets, "der-tag", "cms-signer-certificate", "cms-version")
    sealed = Sealed()
    sealed.recipients[1] = [wrong]
    unopened(sealed.octets, "cms-recipient", "der-tag", "der-truncated")
    sealed = Sealed()
    sealed.recipient[1][1] = [wrong]
    unopened(sealed.octets, "cms-originator", "der-tag", "der-truncated")


def test_an_element_read_as_its_neighbour():
    """CVE-2025-12816 (node-forge): optional parts repeated or out of order make two readers see two messages."""
    for at in range(6):
        message = Signed()
        message.signer.insert(at, message.signer[at])
        refused(
            message.octets,
            "der-tag", "der-integer", "cms-version", "cms-signed-attributes", "cms-unsigned-attributes",
            "cms-signer-certificate", "cms-digest-algorithms", "der-trailing",
        )  # fmt: skip
    for at in range(5):
        message = Signed()
        message.data.insert(at, message.data[at])
        refused(
            message.octets, "der-tag", "der-truncated", "der-trailing", "cms-content-type", "cms-one-signer"
        )


# Algorithms


@pytest.mark.parametrize(
    "oid",
    ["1.2.3.4.5", "1.2.840.113549.2.2", "1.2.643.7.1.1.2.2", "1.3.36.3.2.1"],
    ids=["unknown", "md2", "gost", "ripemd160"],
)
def test_a_digest_that_is_unknown_or_unavailable(oid):
    """CVE-2015-1792 (an endless loop), CVE-2023-0401 (a NULL digest), both OpenSSL."""
    message = Signed()
    message.data[1][1][0] = message.signer[2] = spoken(oid)
    refused(message.octets, "algorithm-substituted", "suite-unknown")


def test_an_identifier_of_enormous_size():
    """CVE-2023-2650 (OpenSSL): turning it into text takes time by the square of its size."""
    huge = [der.OID, b"\x2a" + b"\x81" * 200_000 + b"\x01"]
    for place in ("digest", "signature", "type", "attribute"):
        message = Signed()
        if place == "digest":
            message.data[1][1][0] = message.signer[2] = [der.SEQUENCE, [huge]]
        elif place == "signature":
            message.signer[4] = [der.SEQUENCE, [huge]]
        elif place == "type":
            message.inner[0] = huge
        else:
            message.signer[3][1][0][1][0] = huge
        refused(message.octets, "der-oid", "algorithm-substituted", "suite-unknown", "der-set-order")


@pytest.mark.parametrize("content", [b"", b"\x80\x01", b"\x2a\x80\x01", b"\x2a\x86"])
def test_an_identifier_that_is_none(content):
    """CVE-2014-9087 (libksba): an identifier cut short underflows a size."""
    message = Signed()
    message.inner[0] = [der.OID, content]
    refused(message.octets, "der-oid")


def test_pss_without_parameters():
    """CVE-2015-3194 (OpenSSL): RSASSA-PSS whose mask generation function is absent."""
    pss = "1.2.840.113549.1.1.10"
    for parameters in (
        [],
        [NULL],
        [[der.SEQUENCE, [[0xA1, [[der.SEQUENCE, [parse(der.oid(oids.MGF1))[0]]]]]]]],
    ):
        message = Signed("rsa")
        message.signer[4] = spoken(pss, *parameters)
        refused(message.octets, "algorithm-substituted", "suite-unknown")


def test_agreement_without_parameters():
    """CVE-2026-28389 (OpenSSL): the key wrap is looked for in absent parameters."""
    message = Sealed()
    algorithm = next(part for part in message.recipient if part[0] == der.SEQUENCE)
    del algorithm[1][1]
    unopened(message.octets, "suite-unknown")


def test_label_without_parameters():
    """CVE-2026-28390 (OpenSSL): OAEP's label is looked for in absent parameters."""
    message = Sealed("rsa")
    label = [0xA2, [[der.SEQUENCE, parse(der.oid(oids.P_SPECIFIED))]]]
    message.recipient[2] = spoken(oids.RSA_OAEP, [der.SEQUENCE, [label]])
    unopened(message.octets, "suite-unknown", kind="rsa")


@pytest.mark.parametrize("size", [0, 1, 8, 11, 13, 16, 17, 4096])
def test_a_nonce_of_any_size(size):
    """CVE-2025-15467 (OpenSSL): a nonce larger than a buffer on the stack overflows it."""
    message = Sealed()
    message.inner[1][1][1][1][0] = [der.OCTET_STRING, bytes(size)]
    unopened(message.octets, "cms-content-encryption")


@pytest.mark.parametrize("size", [1, 4, 8, 12, 15])
def test_a_shortened_tag(size):
    """A tag of few octets is soon guessed (NIST SP 800-38D, appendix C); RFC 5084, 3.2 lets 12 be the default."""
    message = Sealed()
    message.data[-1] = [der.OCTET_STRING, message.data[-1][1][:size]]
    unopened(message.octets, "cms-content-encryption")
    message.inner[1][1][1][1][1:] = [parse(der.integer(size))[0]]
    unopened(message.octets, "cms-content-encryption")


# Recipients


def test_information_about_the_originator():
    """CVE-2010-0742 (OpenSSL): OriginatorInfo writes to memory that is not its own."""
    for content in ([], [[0xA0, []]], [[0xA0, [NULL]], [0xA1, [NULL]]]):
        message = Sealed()
        message.data.insert(1, [0xA0, content])
        unopened(message.octets, "cms-originator")


@pytest.mark.parametrize("size", [0, 1, 7, 8, 15, 16, 17, 40, 4096])
def test_a_key_under_a_pass_phrase(size):
    """CVE-2025-9230 (OpenSSL): unwrapping what a pass phrase wraps reads and writes beyond its buffer."""
    wrap = spoken("1.2.840.113549.1.9.16.3.9", spoken(oids.AES256_CBC, [der.OCTET_STRING, bytes(16)]))
    message = Sealed()
    message.recipients[1] = [[0xA3, [[der.INTEGER, b"\0"], wrap, [der.OCTET_STRING, bytes(size)]]]]
    unopened(message.octets, "cms-recipient", "not-for-me")


@pytest.mark.parametrize("size", [0, 7, 8, 24, 4096])
def test_a_key_under_a_shared_key(size):
    """The same of a key that both have: nobody here has one."""
    identifier = [der.SEQUENCE, [[der.OCTET_STRING, b"k"]]]
    inside = [[der.INTEGER, b"\4"], identifier, spoken(oids.AES256_WRAP), [der.OCTET_STRING, bytes(size)]]
    message = Sealed()
    message.recipients[1] = [[0xA2, inside]]
    unopened(message.octets, "cms-recipient", "not-for-me")


@pytest.mark.parametrize("kind", ["p256", "rsa"])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 16, 24, 39, 41, 48, 4096])
def test_a_wrapped_key_of_any_size(kind, size):
    """Sizes that unwrapping underflows or overruns: one refusal, the same as for altered content."""
    message = Sealed(kind)
    if kind == "rsa":
        message.recipient[3] = [der.OCTET_STRING, bytes(size)]
    else:
        message.recipient[-1][1][0][1][1] = [der.OCTET_STRING, bytes(size)]
    unopened(message.octets, "bad-envelope", kind=kind)


@pytest.mark.parametrize(
    "point",
    [
        b"",
        b"\x00",
        b"\x00\x00",
        b"\x00\x04" + bytes(64),
        b"\x00\x04" + b"\xff" * 64,
        b"\x00\x04" + (1).to_bytes(32, "big") * 2,
        b"\x00\x02" + (1).to_bytes(32, "big"),
        b"\x01\x04" + bytes(64),
        b"\x00\x04" + bytes(4096),
    ],
)
def test_a_point_off_the_curve(point):
    """CVE-2015-7940 (Bouncy Castle): agreeing with points of other curves tells the private key bit by bit."""
    message = Sealed()
    message.recipient[1][1][0][1][1] = [der.BIT_STRING, point]
    unopened(message.octets, "bad-envelope", "ber-string")


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("chosen", ["zeros", "random", "padded"])
def test_a_second_way_for_the_same_recipient_tells_nothing(alone, chosen):
    """CVE-2012-0884, CVE-2019-1563 (OpenSSL): whether a second, chosen ciphertext has PKCS #1 v1.5's padding
    showed in whether the message opened.  Here the first way that names the recipient is the only one."""
    message = Sealed("rsa", ("rsa-pkcs1-aes256cbc",))
    public: Any = party("rsa").key.public_key()
    octets = {
        "zeros": bytes(384),
        "random": b"\0" + secrets.token_bytes(383),
        "padded": public.encrypt(bytes(32), padding.PKCS1v15()),
    }[chosen]
    good = message.recipient[3][1]
    other = [der.SEQUENCE, [*message.recipient[:3], [der.OCTET_STRING, octets]]]
    message.recipients[1] = [other] if alone else [*message.recipients[1], other]
    try:
        _kind, found = cms.open_sealed(cms.normalised(message.octets), party("rsa").opener, allow_legacy=True)
    except Refusal as refusal:
        assert refusal.rule == "bad-envelope"
        found = b""
    # beside a good one the order of the SET decides, whatever the other's padding
    assert (found == CONTENT) == (not alone and good < octets)


def test_more_recipients_than_anyone_has():
    """Without a bound, each of any number of recipients costs a parse and a comparison."""
    message = Sealed()
    one = message.recipient[-1][1][0]
    message.recipient[-1][1] = [one] * 5_000
    unopened(message.octets, "der-count")
    message = Sealed("rsa")
    message.recipients[1] = message.recipients[1] * 1_001
    unopened(message.octets, "der-count", "der-set-order", kind="rsa")


@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_an_envelope_relabelled_as_an_older_one(kind):
    """RFC 9709, 1 (Roth and Strenzke, 2024): GCM's ciphertext decrypts as CBC's under the same key, unauthenticated.

    Refused wherever older forms are not asked for.
    """
    message = Sealed(kind)
    nonce = message.inner[1][1][1][1][0][1]
    block = message.inner[2][1][:16]
    data = [[der.INTEGER, b"\2" if kind == "p256" else b"\0"], message.data[1]]
    cipher = spoken(oids.AES256_CBC, [der.OCTET_STRING, nonce + b"\0\0\0\2"])
    data.append([der.SEQUENCE, [message.inner[0], cipher, [0x80, block]]])
    old = unparse([[der.SEQUENCE, [parse(der.oid(oids.ENVELOPED_DATA))[0], [0xA0, [[der.SEQUENCE, data]]]]]])
    unopened(old, "cms-content-info", kind=kind, legacy=(False,))


def test_content_that_nothing_authenticates():
    """CVE-2017-17688 (EFAIL): blocks of CBC are cut and joined so that the plaintext sends itself away."""
    message = Sealed("rsa", ("rsa-pkcs1-aes256cbc",))
    message.inner[2][1] = message.inner[2][1][:16] * 3 + message.inner[2][1]
    unopened(message.octets, "cms-content-info", kind="rsa", legacy=(False,))


# Lengths, depth and number


@pytest.mark.parametrize(
    "length", ["8180", "847fffffff", "84ffffffff", "887fffffffffffffff", "88ffffffffffffffff"]
)
def test_a_length_beyond_what_is_there(length):
    """CVE-2012-2110, CVE-2016-2109 (OpenSSL), CVE-2022-3515 (libksba): a length is added to or allocated unread."""
    size = bytes.fromhex(length)
    for octets in (
        b"\x30" + size,
        b"\x30" + size + CONTENT,
        der.sequence(der.oid(oids.SIGNED_DATA), b"\xa0" + size),
        b"\x30\x80" + der.oid(oids.SIGNED_DATA) + b"\xa0\x80\x30" + size + b"\x00" * 6,
    ):
        refused(octets, "der-truncated", "der-length", "ber-length")
        unopened(octets, "der-truncated", "der-length", "ber-length")


@pytest.mark.parametrize(
    "tag", [b"\x1f\x82\x02\x01\x80", b"\x1f\x02\x01\x80", b"\x3f\x84\x80\x80\x80\x00\x00"]
)
def test_a_universal_tag_of_a_large_number(tag):
    """CVE-2016-2108 (OpenSSL): a large universal tag is taken for a negative zero, and written out of bounds."""
    message = der.sequence(der.oid(oids.SIGNED_DATA), der.tlv(0xA0, der.sequence(tag)))
    refused(message, "der-tag")


@pytest.mark.parametrize("level", [b"\x30\x80", b"\xa0\x80", b"\x24\x80", b"\x31\x80"])
def test_nesting_without_end(level):
    """CVE-2018-0739 (OpenSSL), CVE-2016-4353 (libksba), CVE-2025-66031 (node-forge): recursion takes the stack."""
    for count in (33, 100_000):
        for octets in (level * count, level * count + b"\0\0" * count):
            refused(octets, "der-depth", "ber-string")


def test_nesting_without_end_where_anything_may_stand():
    """The same inside an unsigned attribute, an algorithm's parameters and a certificate."""
    nest = [der.SEQUENCE, []]
    for _ in range(60):
        nest = [der.SEQUENCE, [nest]]
    for place in ("unsigned", "parameters", "certificate"):
        message = Signed()
        if place == "unsigned":
            message.signer.append([0xA1, [[der.SEQUENCE, [parse(der.oid("1.2.3"))[0], [der.SET, [nest]]]]]])
        elif place == "parameters":
            message.signer[4][1].append(nest)
        else:
            message.certificates[1].append(nest)
        octets = message.octets
        found = set()
        for limits in (cms.EXACT, cms.FOREIGN):
            for before in (cms.normalised, bytes):
                with pytest.raises(Refusal) as caught:
                    cms.check_signature(cms.read_signed(before(octets), limits))
                found.add(caught.value.rule)
        assert found <= {
            "der-depth", "bad-certificate", "algorithm-substituted", "suite-unknown", "cms-unsigned-attributes",
            "der-set-order",
        }  # fmt: skip


@pytest.mark.parametrize(
    "octets",
    [
        b"\x30\x80",
        b"\x30\x80\x00",
        b"\x30\x80\x24",
        b"\x30\x80\x24\x80\x04",
        b"\x30\x80\x24\x80\x04\x05a",
        b"\x24\x80\x04\x01a",
        b"\x24\x80\x04\x01a\x00",
        b"\x30\x82\x01",
        b"\x30\x84",
        b"\x3f",
        b"\x3f\xff\xff\xff",
        b"\x24\x03\x24\x80\x04",
        b"\x00\x00",
    ],
)
def test_ber_cut_short(octets):
    """mozilla-services/pkcs7 #94, smallstep/pkcs7 #62: turning BER into DER reads past the end."""
    refused(octets, "der-truncated", "ber-end", "ber-length", "der-tag")


# Signatures


def test_a_signature_larger_than_its_key():
    """CVE-2021-43527 (NSS, "BigSig"): a signature is copied to a buffer of the largest key's size."""
    for kind in ("p256", "rsa"):
        for size in (0, 1, 16_384, 2**20):
            message = Signed(kind)
            message.signer[5] = [der.OCTET_STRING, b"\x41" * size]
            refused(message.octets, "bad-signature")


def test_a_signature_of_zeros():
    """CVE-2022-21449 (Java): ECDSA's r and s of nought verify under every key, over anything."""
    for r, s in ((0, 0), (0, 1), (1, 0)):
        message = Signed()
        message.signer[5] = [der.OCTET_STRING, der.sequence(der.integer(r), der.integer(s))]
        refused(message.octets, "bad-signature")


def test_a_signature_in_another_encoding():
    """CVE-2020-13822, CVE-2024-42461 (elliptic): other octets for the same r and s are other messages to some."""
    whole = parse(Signed().signer[5][1])
    inside = unparse(whole[0][1])
    for octets in (
        b"\x30\x81" + bytes((len(inside),)) + inside,
        b"\x30\x80" + inside + b"\0\0",
        unparse(whole) + b"\0",
        der.sequence(b"\x02" + bytes((len(whole[0][1][0][1]) + 1,)) + b"\0" + inside[2:]),
    ):
        message = Signed()
        message.signer[5] = [der.OCTET_STRING, octets]
        refused(message.octets, "bad-signature")


#: Primes of a key whose exponent is three, which takes seconds to find.
P = int(
    "E8B722879B05A36720925F50EF19D1118A6B9330F586E4C38FBC2C5BC9CFB8B7BD802C60739B7A5D82EACB482362BF77"
    "371F4572E792A4B564501278313521A5854340DFFDA6F0D97BA859739C2DE8CE6136FB89549CCDD017F4A333831B40A4"
    "DD11E34D5A02C8F8CD0BA37BCCB1A2EA965D4C3A90769E3F29F13E28DA7AE9D3025F2E968FEDFC1633314E4C38136664"
    "780929A68778D61C7572243EC3A9673B5DACBDBE85B012D83E9BD0F36E2280B399BD9BA78587702282B678743DDED399",
    16,
)
Q = int(
    "DCEE7F77538AFFB9F853D5ECF0EE49B6EC6026F553F48586AE334EE652A59084A842924B454915967C60D5DBEFB53AE3"
    "F1A4D3273BB2975C40624106E0D48E56AF23BEB28683234B6D35F2734390D680FF87955774675BF65F908FE1E498F291"
    "FC8D9530EA594A9099904A7D968ECD7DBA0EF0FA2585B9724A731AB5D92A83D74B08C392515801C0120A0DCF994F862C"
    "30113D07E13C9C9B2CEB3F72E9DF1D9DD37A96BFBAA28363B983BEC6304BD0D8A7CC5556A6AB6F4DE4ED3B912EA35D87",
    16,
)


@cache
def cubed() -> Party:
    """A party whose key has the exponent three."""
    n, d = P * Q, pow(3, -1, (P - 1) * (Q - 1))
    own = rsa.RSAPrivateNumbers(P, Q, d, d % (P - 1), d % (Q - 1), pow(Q, -1, P), rsa.RSAPublicNumbers(3, n))
    return new_party("cubed", own.private_key())


def root(number: int) -> int:
    """The smallest number whose cube is not smaller."""
    low, high = 0, 1 << (number.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        if middle**3 < number:
            low = middle + 1
        else:
            high = middle
    return low


@pytest.mark.parametrize("form", ["behind the digest", "in the parameters", "in a long length"])
def test_a_signature_forged_without_the_key(form):
    """CVE-2006-4339 (OpenSSL), CVE-2014-1568 (NSS, "BERserk"), CVE-2018-16151 (strongSwan), CVE-2022-24771
    (node-forge): with the exponent three, octets that a lenient reader of the padding passes over are found by a
    cube root."""
    own = cubed().certificate
    message = Signed("rsa", cms.sign(CONTENT, oids.DATA, party("rsa").signer, AT))
    message.certificates[1] = parse(own.der)
    message.signer[1] = parse(own.issuer_and_serial)[0]
    message.signer[4] = spoken(oids.RSA_SHA256, NULL)
    kept = {der.oid(oid) for oid in (oids.CONTENT_TYPE, oids.MESSAGE_DIGEST, oids.SIGNING_TIME)}
    message.signer[3][1] = [a for a in message.signer[3][1] if unparse(a[1][:1]) in kept]
    over = hashlib.sha256(der.tlv(der.SET, unparse(message.signer[3][1]))).digest()
    sha256 = der.oid(oids.SHA256)
    info = {
        "behind the digest": der.sequence(der.sequence(sha256, b"\x05\x00"), der.octet_string(over)),
        "in the parameters": b"\x30\x82\x01\x5e" + b"\x30\x82\x01\x38" + sha256 + b"\x05\x82\x01\x2a",
        "in a long length": b"\x30\x21\x30\x0b" + sha256 + b"\x04\xff",
    }[form]
    start = b"\x00\x01" + b"\xff" * 8 + b"\x00" + info
    block = int.from_bytes(start.ljust(384, b"\0"), "big")
    found = root(block)
    # what a lenient reader looks at is there, and the rest is what it passes over
    assert (found**3).to_bytes(384, "big").startswith(start)
    message.signer[5] = [der.OCTET_STRING, found.to_bytes(384, "big")]
    signed = cms.read_signed(cms.normalised(message.octets), cms.FOREIGN)
    with pytest.raises(Refusal, match="bad-signature"):
        cms.check_signature(signed)
    # the refusal is of the forgery, not of the exponent: what the key signs is good
    octets = der.tlv(der.SET, unparse(message.signer[3][1]))
    key: Any = cubed().key
    message.signer[5] = [der.OCTET_STRING, key.sign(octets, padding.PKCS1v15(), hashes.SHA256())]
    cms.check_signature(cms.read_signed(message.octets, cms.FOREIGN))


@pytest.mark.parametrize("size", [0, 1, 16, 31])
def test_a_shortened_digest(size):
    """CycloneCRYPTO #11 (a digest of the right size passes uncompared), and readers that compare a prefix."""
    message = Signed()
    message.value(oids.MESSAGE_DIGEST)[0][1] = hashlib.sha256(CONTENT).digest()[:size]
    refused(message.resigned(), "altered-content")
    message = Signed()
    message.inner[1][1][0][1] = CONTENT.replace(b"nine", b"five")
    refused(message.octets, "altered-content")


def test_signed_attributes_passed_off_as_content():
    """draft-vangeest-lamps-cms-euf-cma-signeddata (MTG, 2023): a signature over attributes is one over content
    that consists of their octets, once the attributes are taken away."""
    message = Signed()
    message.inner[1][1][0][1] = der.tlv(der.SET, unparse(message.signer[3][1]))
    del message.signer[3]
    refused(message.octets, "cms-signed-attributes")


@pytest.mark.parametrize("first", [True, False])
def test_an_attribute_given_twice(first):
    """Readers differ in which of two they take ("Johnny, you are fired", 2019; RFC 5652, 11.2: only one)."""
    message = Signed()
    other = attribute(oids.MESSAGE_DIGEST, der.octet_string(hashlib.sha256(b"other").digest()))
    message.signer[3][1].insert(0 if first else 5, parse(other)[0])
    refused(message.resigned(), "cms-attribute-twice")


def test_two_signers_of_whom_one_is_the_forger():
    """CVE-2018-18509 (Thunderbird) and its kin: one is shown, another verified.  Exactly one signer is read."""
    message = Signed()
    other = parse(cms.sign(b"forged", oids.ACT, party("p384").signer, AT))
    message.infos[1].append(other[0][1][1][1][0][1][4][1][0])
    message.certificates[1].append(parse(party("p384").certificate.der)[0])
    refused(message.octets, "cms-one-signer", "der-set-order")


# Keys and certificates


def with_key(spki: bytes) -> bytes:
    """A certificate for whatever ``spki`` says."""
    tree = parse(party("p256").certificate.der)
    tree[0][1][0][1][6] = parse(spki)[0]
    return unparse(tree)


def explicit(prime: int, generator: bytes) -> bytes:
    """A key on a curve that the certificate itself defines."""
    a, b, order = prime - 3, 7, prime - 2
    size = (prime.bit_length() + 7) // 8
    field = der.sequence(der.oid("1.2.840.10045.1.1"), der.integer(prime))
    curve = der.sequence(der.octet_string(a.to_bytes(size, "big")), der.octet_string(b.to_bytes(size, "big")))
    domain = der.sequence(
        der.integer(1), field, curve, der.octet_string(generator), der.integer(order), der.integer(1)
    )
    algorithm = der.sequence(der.oid(oids.EC_PUBLIC_KEY), domain)
    return der.sequence(algorithm, der.tlv(der.BIT_STRING, b"\0" + generator))


P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1


@pytest.mark.parametrize(
    ("prime", "generator"),
    [
        (P256, b"\x04" + bytes(31) + b"\1" + bytes(31) + b"\2"),
        (2**256, b"\x03" + bytes(31) + b"\1"),
        (697, b"\x03\x00\x08"),
        (2**65536 - 1, b"\x04" + bytes(64)),
    ],
    ids=["own generator", "no prime, compressed", "small composite", "enormous"],
)
def test_a_curve_defined_by_its_certificate(prime, generator):
    """CVE-2020-0601 (Windows, any key fits a chosen generator), CVE-2022-0778 (OpenSSL, a root modulo a composite
    has no end), CVE-2024-29857 (Bouncy Castle, time by the size of the field)."""
    octets = with_key(explicit(prime, generator))
    message = Signed()
    message.certificates[1] = parse(octets)
    refused(message.octets, "bad-certificate")


@pytest.mark.parametrize("bits", [512, 1024, 2047, 16_384, 65_536])
def test_a_modulus_of_any_size(bits):
    """CVE-2023-6237, CVE-2023-3817 (OpenSSL): time by the size of a key that a stranger sends."""
    modulus = (1 << bits - 1) | 1
    inside = der.sequence(der.integer(modulus), der.integer(65537))
    algorithm = der.sequence(der.oid(oids.RSA), b"\x05\x00")
    message = Signed("rsa")
    message.certificates[1] = parse(
        with_key(der.sequence(algorithm, der.tlv(der.BIT_STRING, b"\0" + inside)))
    )
    message.signer[1] = parse(party("p256").certificate.issuer_and_serial)[0]
    refused(message.octets, "suite-unknown", "bad-certificate", "wrong-certificate", "algorithm-substituted")


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_an_exponent_that_hides_nothing(exponent):
    """CVE-2013-4435 (Salt): with the exponent one, a signature is its own message."""
    public: Any = party("rsa").key.public_key()
    modulus = public.public_numbers().n
    inside = der.sequence(der.integer(modulus), der.integer(exponent))
    algorithm = der.sequence(der.oid(oids.RSA), b"\x05\x00")
    message = Signed("rsa")
    message.certificates[1] = parse(
        with_key(der.sequence(algorithm, der.tlv(der.BIT_STRING, b"\0" + inside)))
    )
    message.signer[1] = parse(party("p256").certificate.issuer_and_serial)[0]
    refused(message.octets, "bad-certificate", "suite-unknown", "wrong-certificate", "bad-signature")


def test_a_certificate_in_other_octets():
    """CVE-2014-8275 (OpenSSL): unsigned octets of a certificate change its fingerprint; here the signer names it."""
    message = Signed()
    tree = parse(party("p256").certificate.der)
    tree[0][1][2][1] = b"\x07" + tree[0][1][2][1][1:-1] + bytes((tree[0][1][2][1][-1] & 0x80,))
    message.certificates[1] = tree
    refused(message.octets, "wrong-certificate", "bad-certificate")
