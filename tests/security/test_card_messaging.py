"""Secure messaging: what a reader between sees is nothing, and what it changes is found out, at either end."""

from __future__ import annotations

import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import cms, oids
from e2s.security.keys.phrase import Phrase
from e2s.security.smartcard import apdu, messaging, piv
from e2s.security.smartcard.apdu import Answer, Command
from e2s.security.smartcard.card_pse import CardPse
from e2s.security.smartcard.host import CardHost
from e2s.security.smartcard.messaging import SUITES, Channel, Keys, Offer, agreed
from e2s.security.smartcard.running import Card
from e2s.security.smartcard.verifiable import read_verifiable, write_verifiable
from e2s.security.smartcard.ways import HereWay, SecureWay
from tests.security.test_card_pse import personalise
from tests.worlds.card import MANAGEMENT, PIN, Host
from tests.worlds.pki import START

ISSUER = b"E2S-0001"
SIGNER = ec.generate_private_key(ec.SECP256R1())
KEYS = Keys(*(bytes((n,)) * 16 for n in range(4)))


class Reader:
    """A reader between, which notes what it carries and may alter it."""

    selected = False

    def __init__(self, way, alter=lambda octets: octets, alter_answer=lambda octets: octets):
        self.way, self.alter, self.alter_answer, self.seen = way, alter, alter_answer, b""

    def transmit(self, octets):
        answer = self.way.transmit(self.alter(octets))
        self.seen += octets + answer
        return self.alter_answer(answer)

    def close(self):
        self.way.close()


@pytest.fixture(params=[piv.CS2, piv.CS7], ids=["cs2", "cs7"])
def suite(request):
    return request.param


@pytest.fixture
def card(suite):
    made = Card(Host().kept, secrets.token_bytes)
    personalise(HereWay(made.applet()))
    host = CardHost(HereWay(made.applet()))
    host.manage(MANAGEMENT, piv.AES256, secrets.token_bytes)
    key = host.generate_messaging(suite)
    certificate = write_verifiable(key, issuer=ISSUER, subject=host.serial(), signer=SIGNER)
    host.put(piv.MESSAGING_CERTIFICATE, certificate)
    host.close()
    return made


def way(card, suite, signer=SIGNER, **more):
    reader = Reader(HereWay(card.applet()), **more)
    return reader, SecureWay(reader, suite, signer.public_key(), secrets.token_bytes)


def test_a_reader_sees_neither_pin_nor_secret(card, suite):
    reader, secure = way(card, suite)
    pse = CardPse.open(secure, Phrase(PIN))
    cms.check_signature(
        cms.read_signed(cms.sign(b"an order", oids.DATA, pse.signer("buyer", Phrase(PIN)), START))
    )
    sealed = cms.seal(b"hello", oids.DATA, [pse.certificate("agreement")], secrets.token_bytes)
    assert cms.open_sealed(sealed, pse.opener("agreement"))[1] == b"hello"
    assert pse.serial == secure.serial
    assert PIN not in reader.seen
    assert pse.certificate("buyer").der[100:140] not in reader.seen
    pse.close()


def test_long_commands_and_answers(card, suite):
    _, secure = way(card, suite)
    host = CardHost(secure)
    host.manage(MANAGEMENT, piv.AES256, secrets.token_bytes)
    value = secrets.token_bytes(3000)
    host.put(piv.SLOTS[0x95].certificate, value)
    assert host.object(piv.SLOTS[0x95].certificate) == value


def test_a_card_of_another_issuer_is_foreign(card, suite):
    with pytest.raises(Refusal, match="foreign-card"):
        way(card, suite, ec.generate_private_key(ec.SECP256R1()))
    other = piv.CS7 if suite == piv.CS2 else piv.CS2
    with pytest.raises(Refusal, match="no-secure-messaging"):
        way(card, other)
    with pytest.raises(Refusal, match="no-secure-messaging"):
        way(Card(Host().kept, secrets.token_bytes), suite)


def test_a_stolen_certificate_is_no_card(card, suite):
    """A false card may show a true card's certificate; it has not its key."""
    certificate = Card.applet(card)
    host = CardHost(HereWay(certificate))
    shown = host.object(piv.MESSAGING_CERTIFICATE) or b""
    offer = Offer(SUITES[suite], SIGNER.public_key(), secrets.token_bytes)
    own = ec.generate_private_key(SUITES[suite].curve)
    answer, _ = agreed(SUITES[suite], own, shown, offer.sent, bytes(SUITES[suite].nonce_bytes))
    with pytest.raises(Refusal, match="foreign-card"):
        offer.accepted(answer)


@pytest.mark.parametrize("place", [5, 7, 20, -3])
def test_an_altered_command_ends_the_session(card, suite, place):
    reader, secure = way(card, suite)
    host = CardHost(secure)
    host.verify(Phrase(PIN))

    def alter(octets):
        altered = bytearray(octets)
        altered[place] ^= 1
        return bytes(altered)

    reader.alter = alter
    with pytest.raises(Refusal, match=r"channel-broken"):
        host.sign(0x9A, piv.P256, bytes(32))
    with pytest.raises(Refusal, match="card-removed"):
        host.sign(0x9A, piv.P256, bytes(32))


def test_an_altered_answer_is_found(card, suite):
    reader, secure = way(card, suite)
    host = CardHost(secure)
    reader.alter_answer = lambda octets: octets[:10] + bytes((octets[10] ^ 1,)) + octets[11:]
    with pytest.raises(Refusal, match="channel-broken"):
        host.serial()


def test_a_repeated_command_is_refused_and_ends_what_was_allowed(card, suite):
    applet = card.applet()
    kept = []

    class Noting:
        selected = False

        def transmit(self, octets):
            kept.append(octets)
            return applet(octets)

        def close(self):
            pass

    secure = SecureWay(Noting(), suite, SIGNER.public_key(), secrets.token_bytes)
    host = CardHost(secure)
    host.verify(Phrase(PIN))
    again = apdu.read_answer(applet(kept[-1]))
    assert again.status == apdu.BAD_SM_OBJECTS
    plain = Command(ins=0x20, p2=piv.PIN).encoded()
    assert apdu.read_answer(applet(plain)).status == apdu.TRIES | 3


def test_without_a_session_nothing_is_secured(card):
    secured = Command(ins=0x20, p2=piv.PIN, cla=apdu.SECURED, data=bytes(10)).encoded()
    assert apdu.read_answer(card.applet()(secured)).status == apdu.NO_SM_OBJECTS


def test_a_wrong_pin_costs_its_try_and_says_so(card, suite):
    _, secure = way(card, suite)
    host = CardHost(secure)
    with pytest.raises(Refusal, match="wrong-pin") as refused:
        host.verify(Phrase(b"000000"))
    assert refused.value.facts["left"] == 2
    host.verify(Phrase(PIN))


@given(st.integers(0, 255), st.binary(max_size=300), st.none() | st.integers(1, 256), st.binary(max_size=600))
def test_what_is_sealed_opens_at_the_other_end_in_turn(ins, data, expected, answered):
    host, card = Channel(KEYS), Channel(KEYS)
    for _ in range(2):
        command = Command(ins=ins, p1=1, p2=2, data=data, expected=expected)
        opened = card.opened_command(host.sealed_command(command))
        assert (opened.ins, opened.p1, opened.p2, opened.data) == (ins, 1, 2, data)
        assert (opened.expected is None) == (expected is None)
        answer = Answer(data=answered, status=apdu.OK)
        assert host.opened_answer(card.sealed_answer(answer)) == answer


@given(st.binary(max_size=80))
def test_any_octets_break_a_channel_and_nothing_else(octets):
    for open_ in (
        lambda channel: channel.opened_answer(octets),
        lambda channel: channel.opened_command(Command(ins=0x20, data=octets)),
    ):
        channel = Channel(KEYS)
        for _ in range(2):
            with pytest.raises(Refusal, match="channel-broken"):
                open_(channel)


@given(st.binary(max_size=200))
def test_any_octets_are_no_cards_certificate(octets):
    with pytest.raises(Refusal, match="bad-card-certificate"):
        read_verifiable(octets)


def test_one_bit_of_a_cards_certificate_is_found():
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    made = write_verifiable(key, issuer=ISSUER, subject=bytes(16), signer=SIGNER)
    read_verifiable(made).check(SIGNER.public_key())
    for place in range(len(made)):
        altered = bytearray(made)
        altered[place] ^= 1
        with pytest.raises(Refusal, match=r"bad-card-certificate|foreign-card"):
            read_verifiable(bytes(altered)).check(SIGNER.public_key())


def test_the_keys_are_those_of_the_standards_derivation():
    """SP 800-56A's concatenation, written out once more: counter, secret, and each part with its size."""
    import hashlib

    suite = SUITES[piv.CS2]
    secret, host, card, nonce = bytes(32), b"H" * 8, b"C" * 8, b"N" * 16
    point = b"\x04" + bytes(range(64))
    info = b"\x04" + b"\x09" * 4 + b"\x08" + host + b"\x01\0" + b"\x10" + point[1:17] + b"\x08" + card
    info += b"\x10" + nonce + b"\x01\0"
    blocks = [hashlib.sha256(bytes((0, 0, 0, n)) + secret + info).digest() for n in (1, 2)]
    keys = messaging.derived(suite, secret, host, point, card, nonce)
    assert b"".join(keys) == b"".join(blocks)
