"""Envelopes to every kind of key: chosen suites, mixed recipients, and failures that tell nothing apart."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mlkem, padding, rsa, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import cms, der, oids, suites
from e2s.crypto.cms import opening
from e2s.crypto.cms.usual import read_usual
from e2s.crypto.openers import KeyOpener
from tests.worlds.crypto import Party, new_party, parse, party, unparse

CONTENT = b"the card's number is nobody's business"
KEYS: dict[str, Any] = {
    "x25519": x25519.X25519PrivateKey,
    "x448": x448.X448PrivateKey,
    "ml-kem-768": mlkem.MLKEM768PrivateKey,
    "ml-kem-1024": mlkem.MLKEM1024PrivateKey,
}
PARTIES: dict[str, Party] = {kind: new_party(kind, key.generate()) for kind, key in KEYS.items()}
PARTIES |= {kind: party(kind) for kind in ("p256", "p384", "rsa")}
PARTIES["p521"] = new_party("p521", ec.generate_private_key(ec.SECP521R1()))
SUITES = {
    "ml-kem-1024": "ml-kem-1024-aes256gcm",
    "ml-kem-768": "ml-kem-768-aes256gcm",
    "p521": "ecdh-p521-aes256gcm",
    "x448": "x448-aes256gcm",
    "p384": "ecdh-p384-aes256gcm",
    "x25519": "x25519-aes256gcm",
    "p256": "ecdh-p256-aes256gcm",
    "rsa": "rsa-oaep-aes256gcm",
}
RSA = PARTIES["rsa"]
RSA_KEY: Any = RSA.certificate.public_key


def sealed(*kinds: str, content_type: str = oids.ACT, content: bytes = CONTENT, **more) -> bytes:
    recipients = [PARTIES[kind].certificate for kind in kinds]
    return cms.seal(content, content_type, recipients, secrets.token_bytes, **more)


def refusal(octets: bytes, opener: KeyOpener, **more) -> Refusal:
    with pytest.raises(Refusal) as caught:
        cms.open_sealed(octets, opener, **more)
    return caught.value


class Tree:
    """An envelope's parts as lists, to alter and write again."""

    def __init__(self, octets: bytes) -> None:
        self.root = parse(octets)
        self.data = self.root[0][1][1][1][0][1]
        self.infos = self.data[1][1]
        self.content = self.data[2][1]

    @property
    def octets(self) -> bytes:
        self.infos.sort(key=lambda one: unparse([one]))
        return unparse(self.root)


# Suites


def test_each_kind_of_key_has_its_suite():
    assert tuple(SUITES.values()) == tuple(suites.SEALINGS)
    for kind, name in SUITES.items():
        for key in (PARTIES[kind].key, PARTIES[kind].certificate.public_key):
            assert suites.sealing_suite_of(key) is suites.sealing_suite(name)
            assert suites.sealing_suites_of(key)[0].name == name
    assert [one.name for one in suites.sealing_suites_of(RSA.key)] == [
        "rsa-oaep-aes256gcm",
        "rsa-oaep-aes256cbc",
        "rsa-pkcs1-aes256cbc",
    ]


def test_keys_that_only_sign_are_not_sealed_to():
    signer = new_party("signer", ed25519.Ed25519PrivateKey.generate())
    assert suites.sealing_suites_of(signer.key) == ()
    with pytest.raises(Refusal, match="suite-unknown"):
        cms.seal(CONTENT, oids.DATA, [signer.certificate], secrets.token_bytes)
    octets = sealed("p256")
    assert refusal(octets, KeyOpener(signer.certificate, signer.key)).rule == "not-for-me"


def test_unknown_suites():
    with pytest.raises(Misuse, match="suite-unknown"):
        suites.sealing_suite("rot13")
    with pytest.raises(Misuse, match="suite-unknown"):
        sealed("p256", suites=("rot13",))


@pytest.mark.parametrize("kind", ["x25519", "x448", "ml-kem-768", "ml-kem-1024"])
def test_no_old_suite_for_new_keys(kind):
    with pytest.raises(Refusal, match="suite-unknown"):
        suites.sealing_suite_of(PARTIES[kind].key, old=True)
    with pytest.raises(Refusal, match="suite-unknown"):
        cms.seal_legacy(CONTENT, oids.DATA, [PARTIES[kind].certificate], secrets.token_bytes)


@pytest.mark.parametrize("name", suites.OLD_SEALINGS)
def test_old_suites_by_name(name):
    kind = name.split("-")[1] if name.startswith("ecdh") else "rsa"
    octets = sealed(kind, suites=(name,))
    assert not cms.is_authenticated(octets)
    opened = cms.open_sealed(octets, PARTIES[kind].opener, allow_legacy=True)
    assert opened == (oids.ACT, CONTENT)
    assert refusal(octets, PARTIES[kind].opener).rule == "cms-content-info"


def test_each_recipient_gets_the_first_suite_that_fits():
    wanted = ("rsa-pkcs1-aes256cbc", "ecdh-p384-aes256cbc", "ecdh-p256-aes256cbc", "rsa-oaep-aes256cbc")
    octets = sealed("rsa", "p256", "p384", suites=wanted)
    for kind in ("rsa", "p256", "p384"):
        assert cms.open_sealed(octets, PARTIES[kind].opener, allow_legacy=True)[1] == CONTENT
    assert octets.count(suites.PKCS1_ALGORITHM) == 1
    with pytest.raises(Refusal, match="suite-unknown"):
        sealed("rsa", "p521", suites=wanted)


def test_old_and_new_suites_do_not_mix():
    with pytest.raises(Misuse, match="mixed-suites"):
        sealed("rsa", "p256", suites=("rsa-oaep-aes256cbc", "ecdh-p256-aes256gcm"))


def test_the_page_names_every_suite():
    page = (Path(__file__).parents[2] / "docs" / "envelopes.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z0-9-]+)`", page, re.MULTILINE) == [*suites.SEALINGS, *suites.OLD_SEALINGS]


# Recipients of every kind


@pytest.mark.parametrize("content_type", [oids.ACT, oids.DATA])
@pytest.mark.parametrize("kind", SUITES)
def test_every_kind_opens(kind, content_type):
    octets = sealed(*SUITES, content_type=content_type)
    with meter.measured() as spent:
        assert cms.open_sealed(octets, PARTIES[kind].opener) == (content_type, CONTENT)
    assert spent == {"agree": 1}
    der.check(octets)


@given(
    kinds=st.lists(st.sampled_from(sorted(SUITES)), min_size=1, unique=True), content=st.binary(max_size=500)
)
@settings(max_examples=40)
def test_any_mixture(kinds, content):
    octets = sealed(*kinds, content=content)
    for kind in kinds:
        assert cms.open_sealed(octets, PARTIES[kind].opener) == (oids.ACT, content)
    for kind in set(SUITES) - set(kinds):
        assert refusal(octets, PARTIES[kind].opener).rule == "not-for-me"


def test_many_recipients_of_mixed_kinds():
    with meter.measured() as spent:
        more = [new_party(f"r{n}", KEYS[kind].generate()) for n in range(5) for kind in KEYS]
        octets = cms.seal(CONTENT, oids.ACT, [one.certificate for one in more], secrets.token_bytes)
    assert spent == {"agree": 20}
    for one in more:
        assert cms.open_sealed(octets, one.opener)[1] == CONTENT
    # one RecipientInfo per curve, one per encapsulation
    assert len(Tree(octets).infos) == 2 + 10


@pytest.mark.parametrize("kind", KEYS)
def test_without_key_identifier(kind):
    one = new_party("plain", KEYS[kind].generate(), key_id=False)
    octets = cms.seal(CONTENT, oids.ACT, [one.certificate], secrets.token_bytes)
    assert one.certificate.issuer_and_serial in octets
    assert cms.open_sealed(octets, one.opener) == (oids.ACT, CONTENT)


def test_randomness_is_the_callers_where_it_can_be():
    def steady(size: int) -> bytes:
        return bytes(range(1, size + 1))

    recipients = [PARTIES[kind].certificate for kind in ("x25519", "x448", "p521")]
    first, second = (cms.seal(CONTENT, oids.ACT, recipients, steady) for _ in range(2))
    assert first == second


# RFC 9936, appendix C: the secret is given, as nothing here decapsulates ML-KEM-512


def test_key_of_rfc_9936():
    secret = bytes.fromhex("7df12d412ae299a24fde6d7c3bb8e3194c80ad3c733dcf2775e09fe8bedb86d8")
    kdf = suites.identifiers.algorithm(oids.HKDF_SHA256)
    derivation = suites.ENCAPSULATIONS[kdf, 16]
    key = derivation.key(secret, derivation.encapsulation_info, b"")
    assert key.hex() == "cf453a3e2bae0a78701b8206c185a008"
    wrapped = bytes.fromhex("c050e4392f9c14dd0ac2220203f317d701f94f9dd92778f5")
    assert aes_key_unwrap(key, wrapped).hex() == "c5153005588269a0a59f3c01943fdd56"


# Attacks


@pytest.mark.parametrize("kind", KEYS)
def test_altered_key_or_content(kind):
    octets = sealed(kind)
    for at in range(1, len(octets), 7):
        altered = octets[:-at] + bytes((octets[-at] ^ 0x10,)) + octets[len(octets) - at + 1 :]
        for foreign in (False, True):
            with pytest.raises(Refusal):
                cms.open_sealed(altered, PARTIES[kind].opener, allow_legacy=foreign)


@pytest.mark.parametrize("kind", ["ml-kem-768", "ml-kem-1024"])
def test_altered_encapsulation(kind):
    """Implicit rejection (FIPS 203, 6.3): any ciphertext of the right size gives a secret, a wrong one."""
    tree = Tree(sealed(kind))
    kem = tree.infos[0][1][1][1]
    ciphertext = kem[3]
    good = ciphertext[1]
    for wrong in (bytes(len(good)), good[:-1] + bytes((good[-1] ^ 1,)), good[:-1], b"", good + b"\0"):
        ciphertext[1] = wrong
        assert str(refusal(tree.octets, PARTIES[kind].opener)) == "bad-envelope: the envelope does not open"


def test_encapsulation_to_another_kind_of_key():
    tree = Tree(sealed("ml-kem-768"))
    for kind in ("p256", "rsa", "x25519", "ml-kem-1024"):
        tree.infos[0][1][1][1][1] = parse(PARTIES[kind].certificate.issuer_and_serial)[0]
        for foreign in (False, True):
            assert refusal(tree.octets, PARTIES[kind].opener, allow_legacy=foreign).rule == "bad-envelope"


def test_encapsulations_fields():
    tree = Tree(sealed("ml-kem-768"))
    kem = tree.infos[0][1][1][1]
    opener = PARTIES["ml-kem-768"].opener
    wrap128 = parse(suites.WRAPS[16])[0]
    changes = {
        0: ([der.INTEGER, b"\x01"], "cms-version"),
        2: (parse(der.sequence(der.oid(oids.ML_KEM_1024)))[0], "bad-envelope"),
        4: (parse(der.sequence(der.oid(oids.SHA256)))[0], "suite-unknown"),
        5: ([der.INTEGER, b"\x10"], "suite-unknown"),
        6: (wrap128, "suite-unknown"),
    }
    for place, (instead, rule) in changes.items():
        good, kem[place] = kem[place], instead
        assert refusal(tree.octets, opener, allow_legacy=True).rule == rule
        kem[place] = good
    kem[5], kem[6] = [der.INTEGER, b"\x10"], wrap128
    assert refusal(tree.octets, opener).rule == "suite-unknown"
    assert refusal(tree.octets, opener, allow_legacy=True).rule == "bad-envelope"
    kem[5] = [der.INTEGER, b"\x00\xff\xff"]
    assert refusal(tree.octets, opener, allow_legacy=True).rule == "suite-unknown"


@pytest.mark.parametrize("kind", ["ml-kem-768", "x25519", "p256"])
def test_senders_octets(kind):
    tree = Tree(sealed(kind))
    info = tree.infos[0]
    fields, place, tag = (info[1][1][1], 6, 0xA0) if kind == "ml-kem-768" else (info[1], 2, 0xA1)
    fields.insert(place, [tag, [[der.OCTET_STRING, b"more"]]])
    opener = PARTIES[kind].opener
    assert refusal(tree.octets, opener).rule == "cms-recipient"
    assert refusal(tree.octets, opener, allow_legacy=True).rule == "bad-envelope"
    fields[place][1][0][1] = bytes(65)
    assert refusal(tree.octets, opener, allow_legacy=True).rule == "cms-recipient"


def test_others_kinds_of_recipients():
    """Other types of OtherRecipientInfo are others' where foreign forms are read, and nowhere else."""
    tree = Tree(sealed("p256"))
    tree.infos.append(parse(der.tlv(0xA4, der.oid("1.2.3") + der.sequence()))[0])
    assert refusal(tree.octets, PARTIES["p256"].opener).rule == "cms-recipient"
    assert cms.open_sealed(tree.octets, PARTIES["p256"].opener, allow_legacy=True)[1] == CONTENT


def test_originators_certificates_or_lasting_keys():
    tree = Tree(sealed("p256"))
    tree.data.insert(1, [0xA0, parse(der.tlv(0xA0, PARTIES["p256"].certificate.der))])
    assert refusal(unparse(tree.root), PARTIES["p256"].opener, allow_legacy=True).rule == "cms-originator"
    for instead in (parse(PARTIES["p256"].certificate.issuer_and_serial)[0], [0x80, bytes(20)]):
        tree = Tree(sealed("p256"))
        tree.infos[0][1][1][1][0] = instead
        assert refusal(tree.octets, PARTIES["p256"].opener, allow_legacy=True).rule == "cms-originator"


def test_points_of_small_order():
    """A secret that everyone knows is no secret (RFC 7748, 6)."""
    for kind, size in (("x25519", 32), ("x448", 56)):
        tree = Tree(sealed(kind))
        point = tree.infos[0][1][1][1][0][1][1]
        for low in (bytes(size), b"\x01" + bytes(size - 1)):
            point[1] = b"\0" + low
            assert refusal(tree.octets, PARTIES[kind].opener).rule == "bad-envelope"
        for wrong in (b"\0" + bytes(size - 1), b"\x01" + bytes(size), b""):
            point[1] = wrong
            assert refusal(tree.octets, PARTIES[kind].opener).rule == "bad-envelope"


# The usual form is read by comparing, and as every other is


def outcome(octets: bytes, opener: KeyOpener) -> tuple[str, bytes] | str:
    try:
        return cms.open_sealed(octets, opener)
    except Refusal as refused:
        return str(refused)


def both_outcomes(octets: bytes, opener: KeyOpener) -> tuple[object, object]:
    """With the reader of the usual form, and without it."""
    usual = outcome(octets, opener)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "read_usual", lambda *_: None)
        return usual, outcome(octets, opener)


@pytest.mark.parametrize("content_type", [oids.ACT, oids.DATA, "1.2.840.113549.1.9.16.1.2"])
@pytest.mark.parametrize("kind", SUITES)
def test_the_usual_form_is_recognised(kind, content_type):
    for size in (300, 9_000, 50_000):
        octets = sealed(kind, content_type=content_type, content=bytes(size))
        assert read_usual(octets, PARTIES[kind].certificate) is not None
        assert both_outcomes(octets, PARTIES[kind].opener) == ((content_type, bytes(size)),) * 2
        assert read_usual(octets, new_party("other", PARTIES["p256"].key).certificate) is None
        assert read_usual(octets + b"\0", PARTIES[kind].certificate) is None


@given(
    kind=st.sampled_from(sorted(SUITES)),
    size=st.one_of(st.integers(0, 700), st.integers(64_000, 66_000)),
    content_type=st.sampled_from([oids.ACT, oids.DATA]),
)
@settings(max_examples=60)
def test_the_usual_form_of_any_size(kind, size, content_type):
    octets = sealed(kind, content_type=content_type, content=bytes(size))
    assert both_outcomes(octets, PARTIES[kind].opener) == ((content_type, bytes(size)),) * 2


@given(
    kind=st.sampled_from(sorted(SUITES)),
    place=st.integers(0, 2**16),
    change=st.binary(min_size=1, max_size=3),
    cut=st.integers(0, 3),
)
@settings(max_examples=200)
def test_altered_usual_forms_are_refused_alike(kind, place, change, cut):
    octets = sealed(kind, content=bytes(300))
    place %= min(len(octets), 400) if place % 2 else len(octets)
    altered = octets[:place] + change + octets[place + cut :]
    if altered != octets:
        usual, other = both_outcomes(altered, PARTIES[kind].opener)
        assert usual == other
        assert isinstance(usual, str)


# Old RSA transport: no answer, and no work left undone, tells a good padding from a bad one


def raw(number: int) -> bytes:
    """A ciphertext of exactly this padded number."""
    numbers = RSA_KEY.public_numbers()
    return pow(number, numbers.e, numbers.n).to_bytes(384, "big")


def padded(message: bytes, *, start: bytes = b"\x00\x02", separator: bytes = b"\x00") -> bytes:
    filling = b"\xaa" * (384 - len(start) - len(separator) - len(message))
    return raw(int.from_bytes(start + filling + separator + message, "big"))


#: Bleichenbacher's questions: conforming or not, of the right size or not (and sizes that are no size).
QUESTIONS = {
    "not a padding": raw(12345),
    "first octet": padded(bytes(32), start=b"\x01\x02"),
    "second octet": padded(bytes(32), start=b"\x00\x01"),
    "no separator": padded(b"", separator=b""),
    "short filling": raw(int.from_bytes(b"\x00\x02" + b"\xaa\x00" + b"\xaa" * 380, "big")),
    "another key": padded(secrets.token_bytes(32)),
    "a short key": padded(secrets.token_bytes(31)),
    "a key of another cipher": padded(secrets.token_bytes(16)),
    "no key": padded(b""),
    "a long key": padded(secrets.token_bytes(300)),
    "zero": bytes(384),
    "too large": b"\xff" * 384,
    "too short": bytes(12),
    "nothing": b"",
}


def old_envelope(wrapped: bytes, *, mode: str) -> bytes:
    """An envelope of the old transport, its key replaced by ``wrapped``."""
    if mode == "cbc":
        octets = sealed("rsa", suites=("rsa-pkcs1-aes256cbc",), content=bytes(1600))
    else:
        octets = sealed("rsa", content_type=oids.DATA)
    tree = Tree(octets)
    tree.infos[0][1][2] = parse(suites.PKCS1_ALGORITHM)[0]
    tree.infos[0][1][3][1] = wrapped
    return tree.octets


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_the_same_answer(question, monkeypatch):
    """The same words; the content decrypted once, neither less nor more often; the same answer when repeated."""
    done: list[str] = []
    monkeypatch.setattr(opening, "AESGCM", watched(AESGCM, done))
    octets = old_envelope(QUESTIONS[question], mode="gcm")
    for _ in range(2):
        done.clear()
        with meter.measured() as spent:
            told = refusal(octets, RSA.opener, allow_legacy=True)
        assert str(told) == "bad-envelope: the envelope does not open"
        assert not told.facts
        assert done == ["AESGCM"]
        assert spent == {"agree": 1}


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_with_unauthenticated_content(question, monkeypatch):
    """Where nothing is authenticated, a wrong key opens one in 256: as often for each question, ever the same."""
    done: list[str] = []
    monkeypatch.setattr(opening, "Cipher", watched(Cipher, done))
    octets = old_envelope(QUESTIONS[question], mode="cbc")
    answers: set[bytes | str] = set()
    for _ in range(3):
        try:
            kind, content = cms.open_sealed(octets, RSA.opener, allow_legacy=True)
            assert (kind, content) != (oids.ACT, bytes(1600))
            answers.add(content)
        except Refusal as told:
            answers.add(str(told))
            assert str(told) == "bad-envelope: the envelope does not open"
    assert len(answers) == 1
    assert done == ["Cipher"] * 3


def test_a_good_old_key_opens():
    tree = Tree(sealed("rsa", suites=("rsa-pkcs1-aes256cbc",)))
    assert cms.open_sealed(tree.octets, RSA.opener, allow_legacy=True)[1] == CONTENT
    assert tree.infos[0][1][2] == parse(suites.PKCS1_ALGORITHM)[0]


def test_manger():
    """OAEP: whether the number begins with a zero octet is not told (Manger, Crypto 2001)."""
    done: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "AESGCM", watched(AESGCM, done))
        told = set()
        for number in (1, 2**3071 - 1, 2**3064, 2**3056 - 1, 2**3040):
            tree = Tree(sealed("rsa", content_type=oids.DATA))
            tree.infos[0][1][3][1] = raw(number)
            for foreign in (False, True):
                told.add(str(refusal(tree.octets, RSA.opener, allow_legacy=foreign)))
        assert told == {"bad-envelope: the envelope does not open"}
        assert done == ["AESGCM"] * 10


@pytest.mark.parametrize("kind", SUITES)
def test_content_is_decrypted_whatever_failed(kind, monkeypatch):
    """So that no one learns from the time whether a key was found."""
    done: list[str] = []
    monkeypatch.setattr(opening, "AESGCM", watched(AESGCM, done))
    tree = Tree(sealed(kind, content_type=oids.DATA))
    info = tree.infos[0][1]
    if kind == "rsa":
        wrapped = info[3]
    elif kind.startswith("ml-kem"):
        wrapped = info[1][1][-1]
    else:
        wrapped = info[-1][1][0][1][1]
    good = wrapped[1]
    for wrong in (bytes(len(good)), good[:-8], good[:-1] + bytes((good[-1] ^ 1,)), b""):
        done.clear()
        wrapped[1] = wrong
        assert str(refusal(tree.octets, PARTIES[kind].opener)) == "bad-envelope: the envelope does not open"
        assert done == ["AESGCM"]


def test_no_key_opens_nothing():
    """What a failed key leaves in its place is no key that a forger could seal with."""
    other = new_party("mallory")
    tree = Tree(cms.seal(CONTENT, oids.DATA, [other.certificate], lambda size: bytes(size - 1) + b"\1"))
    zeros = AESGCM(bytes(32)).encrypt(tree.content[1][1][1][1][0][1], CONTENT, None)
    tree.content[2][1], tree.data[3][1] = zeros[:-16], zeros[-16:]
    tree.infos[0][1][-1][1][0][1][0][1][0][1] = PARTIES["p256"].certificate.key_id
    assert refusal(tree.octets, PARTIES["p256"].opener).rule == "bad-envelope"


def watched(real, done: list[str]):
    """``real``, noting each use."""

    def made(*arguments):
        done.append(real.__name__)
        return real(*arguments)

    return made


def test_bad_sizes_of_rsa_keys():
    small = new_party("small", rsa.generate_private_key(65537, 2048))
    with pytest.raises(Refusal, match="suite-unknown"):
        cms.seal(CONTENT, oids.DATA, [small.certificate], secrets.token_bytes)


def test_encrypted_key_of_other_size():
    """A content key of 16 octets in an envelope for 32 does not open, whoever wrapped it."""
    tree = Tree(sealed("rsa"))
    form = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    tree.infos[0][1][3][1] = RSA_KEY.encrypt(bytes(16), form)
    assert refusal(tree.octets, RSA.opener).rule == "bad-envelope"


@given(place=st.integers(0, 2**16), change=st.integers(1, 255), kind=st.sampled_from(sorted(SUITES)))
@settings(max_examples=150)
def test_mutations_do_not_open(place, change, kind):
    octets = bytearray(sealed(kind))
    octets[place % len(octets)] ^= change
    for foreign in (False, True):
        with pytest.raises(Refusal):
            cms.open_sealed(bytes(octets), PARTIES[kind].opener, allow_legacy=foreign)


@given(junk=st.binary(max_size=200), cut=st.integers(0, 1500), kind=st.sampled_from(sorted(KEYS)))
def test_garbage_is_refused(junk, cut, kind):
    whole = sealed(kind)
    for candidate in (whole[:cut] + junk, junk + whole[cut:]):
        if candidate != whole:
            with pytest.raises(Refusal):
                cms.open_sealed(candidate, PARTIES[kind].opener, allow_legacy=True)
