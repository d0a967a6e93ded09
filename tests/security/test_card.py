"""The card by its commands: codes, keys, objects, attestation, certificates that it judges; SP 800-73-5, part 2."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from e2s.base.errors import Refusal
from e2s.security.smartcard import apdu, attesting, codes, memory, piv, raw, tlv
from e2s.security.smartcard.session import Kept
from tests.worlds.card import MANAGEMENT, PIN, PUK, Host

P256 = ec.SECP256R1()
DIGEST = hashlib.sha256(b"an order").digest()


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def ready():
    """A card with a key in each of the four slots."""
    made = Host()
    assert made.manage() == apdu.OK
    made.public = {slot: point(made.generate(slot).data) for slot in (0x9A, 0x9C, 0x9D, 0x9E)}
    made.applet.reset()
    return made


def point(answer, curve=P256):
    encoded = tlv.members(tlv.inside(answer, 0x7F49))[0x86]
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, encoded)


# Commands and objects as they cross


@given(
    st.integers(0, 255),
    st.binary(max_size=700),
    st.none() | st.integers(1, 65536),
    st.tuples(st.integers(0, 255), st.integers(0, 255)),
)
def test_commands_are_read_as_they_were_written(ins, data, expected, parameters):
    command = apdu.Command(ins=ins, p1=parameters[0], p2=parameters[1], data=data, expected=expected)
    assert apdu.read_command(command.encoded()) == command


@given(st.binary(max_size=300))
def test_any_octets_are_a_command_or_refused(octets):
    try:
        command = apdu.read_command(octets)
    except Refusal as refusal:
        assert refusal.rule == "bad-apdu"
    else:
        assert apdu.read_command(command.encoded()) == command


@given(
    st.lists(
        st.tuples(st.sampled_from([0x53, 0x7C, 0x5FC102, 0x7F49, 1]), st.binary(max_size=400)), max_size=5
    )
)
def test_objects_are_read_as_they_were_written(parts):
    octets = b"".join(tlv.write(tag, value) for tag, value in parts)
    assert list(tlv.objects(octets)) == parts


@given(st.binary(max_size=200))
def test_any_octets_are_objects_or_refused(octets):
    try:
        list(tlv.objects(octets))
    except Refusal as refusal:
        assert refusal.rule == "bad-tlv"


@given(st.binary(max_size=300))
def test_no_octets_upset_the_card(octets):
    host = Host()
    answer = apdu.read_answer(host.applet.transmit(octets))
    assert answer.status != apdu.UNKNOWN
    assert not host.saved or host.saved[-1].pin.left < 3


@given(
    st.sampled_from([0x20, 0x24, 0x2C, 0x87, 0xCB, 0xDB, 0x47, 0x84, 0x22, 0x2A, 0xF7, 0xF9, 0xFE, 0xFF]),
    st.data(),
)
def test_no_data_upsets_a_command(ins, data):
    host = Host()
    host.manage()
    parameters = st.sampled_from([0, 0x3F, 0x80, 0x81, 0x9A, 0x9B, 0xBE, 0xFF, 0x11, 0x07, 0x0C])
    answer = host.send(
        ins,
        data.draw(parameters),
        data.draw(parameters),
        data.draw(st.binary(max_size=64)),
        expected=data.draw(st.sampled_from([None, 8, 256])),
    )
    assert answer.status != apdu.UNKNOWN


# Codes


def test_the_pin_opens_and_is_forgotten(ready):
    assert ready.sign(0x9A, DIGEST)[0] == apdu.SECURITY_STATUS
    assert ready.tries() == apdu.TRIES | 3
    assert ready.verify() == apdu.OK
    assert ready.tries() == apdu.OK
    status, signature = ready.sign(0x9A, DIGEST)
    assert status == apdu.OK
    ready.public[0x9A].verify(signature, DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))
    assert ready.send(0x20, 0xFF, piv.PIN).good
    assert ready.sign(0x9A, DIGEST)[0] == apdu.SECURITY_STATUS
    ready.verify()
    ready.applet.reset()
    assert ready.sign(0x9A, DIGEST)[0] == apdu.SECURITY_STATUS
    ready.verify()
    assert ready.send(0xA4, 4, 0, piv.AID).good
    assert ready.sign(0x9A, DIGEST)[0] == apdu.SECURITY_STATUS


def test_what_one_was_given_the_pin_for_another_was_not(ready):
    other = ready.again()
    assert ready.verify() == apdu.OK
    assert other.sign(0x9A, DIGEST)[0] == apdu.SECURITY_STATUS
    assert ready.sign(0x9A, DIGEST)[0] == apdu.OK


def test_a_signature_asks_for_the_pin_right_before(ready):
    ready.verify()
    assert ready.sign(0x9C, DIGEST)[0] == apdu.OK
    assert ready.sign(0x9C, DIGEST)[0] == apdu.SECURITY_STATUS
    ready.verify()
    ready.get(piv.CHUID)
    assert ready.sign(0x9C, DIGEST)[0] == apdu.SECURITY_STATUS
    assert ready.sign(0x9E, DIGEST)[0] == apdu.OK  # never asks


def test_a_try_is_taken_before_anything_is_compared(host):
    before = len(host.saved)
    assert host.verify(b"000000") == apdu.TRIES | 2
    assert host.saved[before].pin.left == 2
    full = Kept(host.kept.memory, _full)
    host.kept._keep = full._keep
    assert host.verify(PIN) == apdu.MEMORY_FAILURE  # nothing is compared that cannot be counted
    assert host.tries() == apdu.TRIES | 2


def _full(_memory):
    raise OSError(28, "no room")


def test_three_wrong_pins_block_and_the_puk_unblocks(ready):
    ready.verify()
    assert [ready.verify(b"000000") for _ in range(4)] == [
        apdu.TRIES | 2,
        apdu.TRIES | 1,
        apdu.TRIES,
        apdu.BLOCKED,
    ]
    assert ready.verify() == apdu.BLOCKED
    assert ready.sign(0x9A, DIGEST)[0] == apdu.SECURITY_STATUS
    assert ready.send(0x2C, 0, piv.PIN, b"wrongpuk" + codes.padded(b"111111")).status == apdu.TRIES | 2
    assert ready.send(0x2C, 0, piv.PIN, PUK + codes.padded(b"111111")).good
    assert ready.verify(b"111111") == apdu.OK


def test_both_blocked_erases_the_keys(ready):
    for _ in range(3):
        ready.verify(b"000000")
        ready.send(0x2C, 0, piv.PIN, b"wrongpuk" + codes.padded(b"111111"))
    assert ready.saved[-1].keys == {}
    assert ready.sign(0x9E, DIGEST)[0] == apdu.NO_REFERENCE


def test_a_card_that_keeps_its_keys_when_blocked():
    host = Host(erase_when_blocked=False)
    host.manage()
    host.generate(0x9E)
    for _ in range(3):
        host.verify(b"000000")
        host.send(0x24, 0, piv.PUK, b"wrongpuk" + b"12345678")
    assert host.sign(0x9E, DIGEST)[0] == apdu.OK


def test_the_pin_and_the_puk_are_changed(host):
    assert host.send(0x24, 0, piv.PIN, codes.padded(PIN) + codes.padded(b"98765432")).good
    assert host.verify(PIN) == apdu.TRIES | 2
    assert host.verify(b"98765432") == apdu.OK
    assert host.send(0x24, 0, piv.PUK, PUK + b"another!").good
    assert host.send(0x2C, 0, piv.PIN, PUK + codes.padded(PIN)).status == apdu.TRIES | 2


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ((0x20, 0, piv.PIN, b"123456"), apdu.BAD_DATA),
        ((0x20, 0, piv.PIN, b"12345\xff\xff\xff"), apdu.BAD_DATA),
        ((0x20, 0, piv.PIN, b"12345a\xff\xff"), apdu.BAD_DATA),
        ((0x20, 1, piv.PIN, b"123456\xff\xff"), apdu.BAD_PARAMETERS),
        ((0x20, 0, 0, b"123456\xff\xff"), apdu.NO_REFERENCE),
        ((0x20, 0, piv.PUK, b"123456\xff\xff"), apdu.NO_REFERENCE),
        ((0x24, 0, piv.PIN, codes.padded(PIN) + b"abcdefgh"), apdu.BAD_DATA),
        ((0x24, 0, piv.PIN, codes.padded(PIN)), apdu.BAD_DATA),
        ((0x24, 0, 0x82, codes.padded(PIN) * 2), apdu.NO_REFERENCE),
        ((0x2C, 0, piv.PUK, PUK * 2), apdu.NO_REFERENCE),
        ((0x2C, 0, piv.PIN, PUK + b"abcdefgh"), apdu.BAD_DATA),
    ],
    ids=[
        "not padded",
        "too short",
        "not digits",
        "P1",
        "global",
        "PUK verified",
        "new PIN of letters",
        "no new PIN",
        "no such code",
        "PUK unblocked",
        "new PIN of letters, unblocked",
    ],
)
def test_a_wrong_form_costs_no_try(host, command, status):
    assert host.send(*command).status == status
    assert host.kept.memory == host.memory


class Codes(RuleBasedStateMachine):
    """Whatever is done to PIN and PUK: tries only grow by who was right, and a blocked code opens nothing."""

    @initialize()
    def begin(self):
        self.host = Host()
        self.pin, self.puk, self.left = PIN, PUK, {piv.PIN: 3, piv.PUK: 3}

    def told(self, reference, right, status):
        if not self.left[reference]:
            assert status == apdu.BLOCKED
            return False
        self.left[reference] = 3 if right else self.left[reference] - 1
        assert status == (apdu.OK if right else apdu.TRIES | self.left[reference])
        return right

    @rule(right=st.booleans())
    def verify(self, right):
        self.told(piv.PIN, right, self.host.verify(self.pin if right else b"000001"))

    @rule(right=st.booleans(), new=st.sampled_from([b"111111", b"22222222"]))
    def change(self, right, new):
        old = codes.padded(self.pin if right else b"000001")
        status = self.host.send(0x24, 0, piv.PIN, old + codes.padded(new)).status
        if self.told(piv.PIN, right, status):
            self.pin = new

    @rule(right=st.booleans())
    def unblock(self, right):
        puk = self.puk if right else b"notright"
        status = self.host.send(0x2C, 0, piv.PIN, puk + codes.padded(b"333333")).status
        if self.told(piv.PUK, right, status):
            self.pin, self.left[piv.PIN] = b"333333", 3

    @rule()
    def power(self):
        secret = secrets.token_bytes(32)
        sealed = memory.seal(self.host.kept.memory, secret, secrets.token_bytes)
        self.host = Host(memory.unseal(sealed, secret))

    @invariant()
    def counted(self):
        if hasattr(self, "host"):
            kept = self.host.kept.memory
            assert (kept.pin.left, kept.puk.left) == (self.left[piv.PIN], self.left[piv.PUK])


Codes.TestCase.settings = settings(max_examples=25, stateful_step_count=15)
test_codes = Codes.TestCase


# Keys


def test_nothing_is_put_without_the_management_key(host):
    assert host.generate(0x9A).status == apdu.SECURITY_STATUS
    assert host.put(0x5FC105, b"x") == apdu.SECURITY_STATUS
    assert host.send(0xFE, piv.P256, 0x9A, b"").status == apdu.SECURITY_STATUS
    assert host.send(0xFF, 0xFF, 0xFF, b"").status == apdu.SECURITY_STATUS
    assert host.manage(bytes(32)) == apdu.SECURITY_STATUS
    assert host.generate(0x9A).status == apdu.SECURITY_STATUS


def test_a_challenge_answers_once(host):
    challenge = tlv.members(tlv.inside(host.general(piv.AES256, piv.MANAGEMENT, {0x81: b""}).data, 0x7C))[
        0x81
    ]
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    response = Cipher(algorithms.AES(MANAGEMENT), modes.ECB()).encryptor().update(challenge)
    assert host.general(piv.AES256, piv.MANAGEMENT, {0x82: response}).good
    assert host.generate(0x9A).good
    assert host.general(piv.AES256, piv.MANAGEMENT, {0x82: response}).status == apdu.BAD_DATA
    assert host.generate(0x9A).status == apdu.SECURITY_STATUS


@pytest.mark.parametrize(("algorithm", "curve"), [(piv.P256, ec.SECP256R1()), (piv.P384, ec.SECP384R1())])
def test_agreement(host, algorithm, curve):
    host.manage()
    public = point(host.generate(0x9D, algorithm).data, curve)
    host.verify()
    mine = ec.generate_private_key(curve)
    encoded = mine.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    answer = host.general(algorithm, 0x9D, {0x82: b"", 0x85: encoded})
    assert tlv.members(tlv.inside(answer.data, 0x7C))[0x82] == mine.exchange(ec.ECDH(), public)
    off = encoded[:-1] + bytes((encoded[-1] ^ 1,))
    assert host.general(algorithm, 0x9D, {0x82: b"", 0x85: off}).status == apdu.BAD_DATA


@pytest.mark.parametrize("algorithm", [piv.RSA2048, piv.RSA3072])
def test_rsa_signs_and_deciphers(host, algorithm):
    host.manage()
    members = tlv.members(tlv.inside(host.generate(0x9D, algorithm).data, 0x7F49))
    public = rsa.RSAPublicNumbers(*(int.from_bytes(members[tag], "big") for tag in (0x82, 0x81))).public_key()
    size = piv.RSA[algorithm]
    host.verify()
    sealed = public.encrypt(b"a session key", padding.PKCS1v15())
    status, block = host.sign(0x9D, sealed, algorithm)
    assert status == apdu.OK
    assert block.startswith(b"\0\x02")
    assert block.endswith(b"\0a session key")
    info = bytes.fromhex("3031300d060960864801650304020105000420") + DIGEST
    status, signature = host.sign(0x9D, b"\0\1" + b"\xff" * (size - 3 - len(info)) + b"\0" + info, algorithm)
    public.verify(signature, DIGEST, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    assert host.sign(0x9D, bytes(size - 1), algorithm)[0] == apdu.BAD_DATA
    assert host.sign(0x9D, b"\xff" * size, algorithm)[0] == apdu.BAD_DATA


def test_a_key_that_is_brought_says_so_and_is_not_attested(host):
    host.manage()
    key = ec.generate_private_key(ec.SECP256R1())
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    assert host.send(0xFE, piv.P256, 0x82, tlv.write(6, scalar)).good
    assert tlv.members(host.send(0xF7, 0, 0x82, expected=256).data)[3] == b"\x02"
    assert host.send(0xF9, 0x82, 0, expected=256).status == apdu.NO_REFERENCE
    host.verify()
    key.public_key().verify(host.sign(0x82, DIGEST)[1], DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))
    assert host.send(0xFE, piv.P256, 0x82, tlv.write(6, bytes(32))).status == apdu.BAD_DATA


def test_rsa_that_is_brought(host):
    host.manage()
    key = rsa.generate_private_key(65537, 2048)
    numbers = key.private_numbers()
    parts = b"".join(
        tlv.write(tag, one.to_bytes(128, "big")) for tag, one in ((1, numbers.p), (2, numbers.q))
    )
    assert host.chained(0xFE, piv.RSA2048, 0x9D, parts).good
    kept = host.kept.memory.keys[0x9D].key.private_numbers()
    assert (kept.p, kept.q, kept.public_numbers) == (numbers.p, numbers.q, numbers.public_numbers)
    assert host.chained(0xFE, piv.RSA2048, 0x9D, tlv.write(1, bytes(128)) * 2).status == apdu.BAD_DATA


def test_a_fault_in_rsa_is_found(host, monkeypatch):
    key = rsa.generate_private_key(65537, 2048)
    honest = pow
    calls = []

    def faulty(base, exponent, modulus):
        calls.append(1)
        return honest(base, exponent, modulus) ^ (len(calls) == 2)

    monkeypatch.setattr(raw, "pow", faulty, raising=False)
    with pytest.raises(Refusal, match="card-fault"):
        raw.sign(key, bytes(255) + b"\2", secrets.token_bytes)


def test_a_key_asks_for_the_pin_as_it_was_made_to(host):
    host.manage()
    assert host.generate(0x9A, AA=b"\x03").good
    host.verify()
    assert host.sign(0x9A, DIGEST)[0] == apdu.OK
    assert host.sign(0x9A, DIGEST)[0] == apdu.SECURITY_STATUS
    assert host.generate(0x9A, AA=b"\x09").status == apdu.BAD_DATA
    assert host.generate(0x9A, AB=b"\x02").status == apdu.NOT_SUPPORTED
    assert host.generate(0x9B).status == apdu.BAD_PARAMETERS
    assert host.generate(0x9A, 0x03).status == apdu.BAD_DATA


# Objects and chains


def test_objects(host):
    assert host.get(piv.DISCOVERY)[1].startswith(b"\x7e")
    assert host.get(0x5FC105)[0] == apdu.NOT_FOUND
    assert host.get(piv.PRINTED)[0] == apdu.SECURITY_STATUS
    host.manage()
    value = secrets.token_bytes(3000)
    assert host.put(0x5FC105, value) == apdu.OK
    assert host.get(0x5FC105) == (apdu.OK, tlv.write(0x53, value))
    assert host.put(piv.PRINTED, b"Anna Berg") == apdu.OK
    host.verify()
    assert host.get(piv.PRINTED)[0] == apdu.OK
    assert host.put(0x5FC105, b"") == apdu.OK
    assert host.get(0x5FC105)[0] == apdu.NOT_FOUND
    assert host.put(0x5FABCD, b"x") == apdu.NOT_FOUND
    assert host.put(0x5FC105, bytes(9000)) == apdu.NO_MEMORY


def test_a_chain_that_another_command_breaks_is_lost(host):
    host.manage()
    start = host.send(0xDB, 0x3F, 0xFF, tlv.write(0x5C, b"\x5f\xc1\x05") + b"\x53\x03a", cla=apdu.CHAINED)
    assert start.good
    assert host.send(0xCB, 0x3F, 0xFF, tlv.write(0x5C, b"\x7e")).status == apdu.LAST_EXPECTED
    assert host.send(0xDB, 0x3F, 0xFF, b"bc").status == apdu.BAD_DATA
    for _ in range(100):
        answer = host.send(0xDB, 0x3F, 0xFF, bytes(255), cla=apdu.CHAINED)
    assert answer.status in {apdu.OK, apdu.WRONG_LENGTH}
    assert any(
        host.send(0xDB, 0x3F, 0xFF, bytes(255), cla=apdu.CHAINED).status != apdu.OK for _ in range(100)
    )


def test_random_octets(host):
    some = {host.send(0x84, expected=32).data for _ in range(10)}
    assert len(some) == 10
    assert {len(one) for one in some} == {32}
    assert host.send(0x84).status == apdu.WRONG_LENGTH


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ({"ins": 0xEE}, apdu.NO_INSTRUCTION),
        ({"ins": 0x20, "cla": 0x80}, apdu.NO_CLASS),
        ({"ins": 0x20, "cla": 0x0C}, apdu.NO_SM_OBJECTS),
        ({"ins": 0x20, "cla": 0x04}, apdu.NO_SECURE_MESSAGING),
        ({"ins": 0xA4, "p1": 4, "data": b"\xa0\0\0\0\x03"}, apdu.NOT_FOUND),
        ({"ins": 0xC0, "expected": 256}, apdu.CONDITIONS),
    ],
    ids=["command", "class", "secured", "secured otherwise", "application", "no more"],
)
def test_what_the_card_does_not_know(host, command, status):
    assert host.send(**command).status == status


# Attestation, and certificates that the card judges


def authority(name="maker", *, issuer=None, key=None, days=30, length=None, ca=True, begin=0):
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = issuer[0] if issuer else key
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=begin)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at)
        .not_valid_after(at + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=length if ca else None), critical=True)
        .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
    )
    return key, builder.sign(signer, hashes.SHA256())


def der(made):
    return made[1].public_bytes(Encoding.DER)


def test_attestation_leads_to_the_maker(host):
    maker = authority(length=None)
    host.manage()
    own = point(host.generate(piv.ATTESTING).data)
    at = datetime.now(UTC).replace(microsecond=0)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "card")])
    device = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(maker[1].subject)
        .public_key(own)
        .serial_number(5)
        .not_valid_before(at)
        .not_valid_after(at + timedelta(days=20))
        .sign(maker[0], hashes.SHA256())
    )
    assert host.put(piv.ATTESTATION, attesting.object_of(device.public_bytes(Encoding.DER))) == apdu.OK
    made = point(host.generate(0x9A).data)
    answer = host.send(0xF9, 0x9A, 0, expected=256)
    attested = x509.load_der_x509_certificate(answer.data)
    attested.verify_directly_issued_by(device)
    assert attested.public_key() == made
    policy = attested.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.4.1.41482.3.8"))
    assert policy.value.public_bytes() == bytes((piv.Need.ONCE.value, 1))
    with pytest.raises(InvalidSignature):
        attested.verify_directly_issued_by(authority("card")[1])


@pytest.fixture
def judge():
    made = Host()
    made.manage()
    made.root = authority("root", length=1)
    assert made.put(piv.ANCHORS[0], attesting.object_of(der(made.root))) == apdu.OK
    made.ask = lambda octets: made.chained(0x2A, 0, 0xBE, tlv.write(0x7F21, octets)).status
    return made


def test_the_card_judges_a_path_from_the_root_down(judge):
    ca = authority("ca", issuer=judge.root, length=0)
    person = authority("person", issuer=ca, ca=False)
    assert judge.ask(der(person)) == apdu.NOT_VERIFIED
    assert judge.ask(der(ca)) == apdu.OK
    assert judge.ask(der(person)) == apdu.OK
    assert judge.chained(0x2A, 0, 0xAE, der(person)).status == apdu.OK
    assert judge.send(0x22, 0xF3, 0).good
    assert judge.ask(der(person)) == apdu.NOT_VERIFIED


def test_what_no_root_vouches_for_is_not_good(judge):
    ca = authority("ca", issuer=judge.root, length=0)
    judge.ask(der(ca))
    octets = bytearray(der(ca))
    octets[-5] ^= 1
    for bad in (
        der(authority("root")),  # the same name, another key
        der(authority("below", issuer=ca)),  # no CA may stand below this one
        der(authority("other", issuer=authority("ca"))),
        bytes(octets),
    ):
        assert judge.ask(bad) == apdu.NOT_VERIFIED
    person = authority("person", issuer=ca, ca=False)
    assert judge.ask(der(authority("x", issuer=person, ca=False))) == apdu.NOT_VERIFIED
    assert judge.ask(b"garbage") == apdu.BAD_DATA


def test_the_cards_time_only_goes_on(judge):
    old = authority("old", issuer=judge.root, length=0, begin=-50, days=10)
    new = authority("new", issuer=judge.root, length=0, begin=-20)
    late = authority("person", issuer=judge.root, ca=False, begin=400)
    assert judge.ask(der(old)) == apdu.OK  # as far as it knows
    assert judge.ask(der(late)) == apdu.OK
    assert judge.ask(der(new)) == apdu.OK
    assert judge.ask(der(old)) == apdu.NOT_VERIFIED
    assert judge.saved[-1].effective == int(new[1].not_valid_before_utc.timestamp())


# What is kept


def test_the_memory_is_sealed_whole(ready):
    secret = secrets.token_bytes(32)
    sealed = memory.seal(ready.kept.memory, secret, secrets.token_bytes)
    again = memory.unseal(sealed, secret)
    assert again.pin == ready.kept.memory.pin
    assert {one: held.key.private_numbers() for one, held in again.keys.items()} == {
        one: held.key.private_numbers() for one, held in ready.kept.memory.keys.items()
    }
    assert PIN not in sealed
    for place in range(0, len(sealed), 97):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(Refusal, match=r"altered-card|bad-card"):
            memory.unseal(bytes(altered), secret)
    with pytest.raises(Refusal, match="altered-card"):
        memory.unseal(sealed, bytes(32))


def test_nothing_shows_a_code_or_a_key(ready):
    shown = repr(ready.kept.memory) + repr(ready.applet._session) + repr(ready.kept.memory.keys[0x9A])
    assert "471147" not in shown
    assert "unblock!" not in shown
    assert "private" not in shown.lower()
