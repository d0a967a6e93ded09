"""A PSE on a card: signs and opens as one in a file does, asks for its PIN, and is dead once the card is drawn."""

from __future__ import annotations

import secrets
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from e2s.base.errors import Refusal, Unreachable
from e2s.crypto import cms, oids
from e2s.crypto.keys import spki_of
from e2s.security.keys.phrase import Phrase
from e2s.security.smartcard import attesting, folder, piv, ways
from e2s.security.smartcard.card_pse import CardPse
from e2s.security.smartcard.directory import Directory
from e2s.security.smartcard.host import CardHost
from e2s.security.smartcard.running import Card
from e2s.security.smartcard.ways import HereWay, SocketWay
from tests.worlds.card import MANAGEMENT, PIN, PUK, Host
from tests.worlds.card_process import start
from tests.worlds.pki import START, make_pki

PKI = make_pki()
NAME = "urn:e2s:market:acme:ada"
#: Where each key is, what it is certified for, and when it asks for the PIN.
KEYS = {
    "session": (0x9A, "buyer-session", None),
    "buyer": (0x9C, "buyer", None),
    "agreement": (0x9D, "buyer-agreement", None),
    "manager": (0x82, "manager", piv.Need.ALWAYS),
}


def pin(digits=PIN):
    return Phrase(digits)


def personalise(way, algorithm=piv.P256):
    """Keys made on the card, certified, and a directory."""
    host = CardHost(way)
    host.manage(MANAGEMENT, piv.AES256, secrets.token_bytes)
    for slot, kind, need in KEYS.values():
        key = host.generate(slot, algorithm, need)
        certificate, chain = PKI.certify(kind, NAME, key)
        host.put(piv.SLOTS[slot].certificate, attesting.object_of(certificate.der))
    slots = {label: slot for label, (slot, _kind, _need) in KEYS.items()}
    host.put(piv.DIRECTORY, Directory(slots=slots, chain=chain).encoded())
    host.close()


@pytest.fixture
def card():
    return Card(Host().kept, secrets.token_bytes)


@pytest.fixture
def way(card):
    personalise(HereWay(card.applet()))
    return HereWay(card.applet())


@pytest.fixture
def pse(way):
    made = CardPse.open(way, pin())
    yield made
    made.close()


def test_signs_and_opens_as_one_in_a_file(pse):
    assert pse.labels() == tuple(KEYS)
    assert pse.chain("session") == (PKI.operating,)
    message = cms.sign(b"an order", oids.DATA, pse.signer("session"), START)
    signed = cms.read_signed(message)
    cms.check_signature(signed)
    assert signed.signer_certificate.name == NAME
    sealed = cms.seal(b"hello", oids.DATA, [pse.certificate("agreement")], secrets.token_bytes)
    assert cms.open_sealed(sealed, pse.opener("agreement"))[1] == b"hello"


def test_on_the_larger_curve(card):
    personalise(HereWay(card.applet()), piv.P384)
    pse = CardPse.open(HereWay(card.applet()), pin())
    cms.check_signature(cms.read_signed(cms.sign(b"x", oids.DATA, pse.signer("session"), START)))
    sealed = cms.seal(b"hello", oids.DATA, [pse.certificate("agreement")], secrets.token_bytes)
    assert cms.open_sealed(sealed, pse.opener("agreement"))[1] == b"hello"


@pytest.mark.parametrize("label", ["buyer", "manager"])
def test_a_fresh_key_asks_each_time(pse, label):
    with pytest.raises(Refusal, match="pass-phrase-needed"):
        pse.signer(label)
    signer = pse.signer(label, pin())
    signer.sign(b"one order")
    with pytest.raises(Refusal, match="pass-phrase-needed"):
        signer.sign(b"another")
    with pytest.raises(Refusal, match="wrong-pin") as refused:
        pse.signer(label, pin(b"000000")).sign(b"an order")
    assert refused.value.facts["left"] == 2
    with pytest.raises(Refusal, match="wrong-key-use"):
        pse.opener(label)


def test_each_failing_says_what_it_is(way, card):
    closed = CardPse.open(HereWay(card.applet()))
    assert closed.certificate("session").name == NAME
    with pytest.raises(Refusal, match="pin-needed"):
        closed.signer("session").sign(b"x")
    with pytest.raises(Refusal, match="no-such-key"):
        closed.signer("nobody")
    with pytest.raises(Refusal, match="bad-pin"):
        CardPse.open(HereWay(card.applet()), pin(b"1234"))
    for left in (2, 1):
        with pytest.raises(Refusal, match="wrong-pin") as refused:
            CardPse.open(HereWay(card.applet()), pin(b"000000"))
        assert refused.value.facts["left"] == left
    for _ in range(2):
        with pytest.raises(Refusal, match="card-blocked"):
            CardPse.open(HereWay(card.applet()), pin(b"000000"))
    host = CardHost(way)
    assert host.tries() == 0
    host.unblock(Phrase(PUK), pin(b"222222"))
    host.change_pin(pin(b"222222"), pin())
    CardPse.open(HereWay(card.applet()), pin()).signer("session").sign(b"x")


def test_a_foreign_card_is_not_personalised(card):
    host = CardHost(HereWay(card.applet()))
    with pytest.raises(Refusal, match="foreign-card"):
        host.manage(bytes(32), piv.AES256, secrets.token_bytes)
    with pytest.raises(Refusal, match="pin-needed"):
        host.generate(0x9A, piv.P256)


def test_a_card_that_does_not_prove_itself_is_foreign():
    """A false card may ask for the key's use on what it likes; it can't answer the challenge."""
    real = Host()

    class Lying:
        selected = False

        def transmit(self, octets):
            answer = real.applet.transmit(octets)
            return (
                answer[:4] + bytes((answer[4] ^ 1,)) + answer[5:]
                if octets[1] == 0x87 and len(octets) > 20
                else answer
            )

        def close(self):
            pass

    with pytest.raises(Refusal, match="foreign-card"):
        CardHost(Lying()).manage(MANAGEMENT, piv.AES256, secrets.token_bytes)


def test_a_card_of_others_without_a_directory(card):
    host = CardHost(HereWay(card.applet()))
    host.manage(MANAGEMENT, piv.AES256, secrets.token_bytes)
    certificate, _chain = PKI.certify("person", NAME, host.generate(0x9A, piv.P256))
    host.put(piv.SLOTS[0x9A].certificate, attesting.object_of(certificate.der))
    pse = CardPse.open(HereWay(card.applet()), pin())
    assert pse.labels() == ("authentication",)
    assert pse.chain("authentication") == ()
    pse.signer("authentication").sign(b"x")
    assert len(pse.serial) == 16


def test_keys_are_brought_and_told_from_those_made_there(card):
    host = CardHost(HereWay(card.applet()))
    host.manage(MANAGEMENT, piv.AES256, secrets.token_bytes)
    key = ec.generate_private_key(ec.SECP256R1())
    host.bring(0x9D, piv.P256, key)
    certificate, _chain = PKI.certify("buyer-agreement", NAME, key.public_key())
    host.put(piv.SLOTS[0x9D].certificate, attesting.object_of(certificate.der))
    assert spki_of(key.public_key()) == certificate.spki
    pse = CardPse.open(HereWay(card.applet()), pin())
    sealed = cms.seal(b"from before", oids.DATA, [certificate], secrets.token_bytes)
    assert cms.open_sealed(sealed, pse.opener("agreement"))[1] == b"from before"
    with pytest.raises(Refusal, match="card-refuses"):
        host.attest(0x9D)


def test_drawn_card_ends_the_session(pse, way):
    signer = pse.signer("session")
    signer.sign(b"x")
    way.close()
    for _ in range(2):
        with pytest.raises(Refusal, match="card-removed"):
            signer.sign(b"x")


def test_closed_pse_is_refused(pse):
    pse.close()
    with pytest.raises(Refusal, match="pse-closed"):
        pse.signer("session")


def test_many_threads_share_one_card(pse):
    """The PIN is given and used without anybody between."""
    failed = []

    def sign(label):
        try:
            for _ in range(10):
                pse.signer(label, pin()).sign(b"x")
        except Refusal as refusal:
            failed.append(refusal)

    threads = [
        threading.Thread(target=sign, args=(label,)) for label in ("session", "buyer", "manager", "buyer")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


@pytest.mark.processes
def test_over_the_socket_until_the_process_ends(tmp_path):
    started = start(tmp_path)
    try:
        personalise(SocketWay(tmp_path / folder.SOCKET))
        pse = CardPse.open(SocketWay(tmp_path / folder.SOCKET), pin())
        signer = pse.signer("session")
        cms.check_signature(cms.read_signed(cms.sign(b"x", oids.DATA, signer, START)))
    finally:
        started.kill()
        started.communicate()
    with pytest.raises(Refusal, match="card-removed"):
        signer.sign(b"x")
    pse.close()
    with pytest.raises(Unreachable, match="no-card"):
        ways.SocketWay(tmp_path / folder.SOCKET)
