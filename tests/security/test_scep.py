"""SCEP: what the door answers to whom, what it refuses and by which rule, and strongSwan's word for it."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Request
from e2s.base.instants import SystemClock
from e2s.crypto import cms, der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.keys import KeySigner, spki_of
from e2s.crypto.suites import UNNAMED_RSA
from e2s.security.enrolment.invitations import code_of
from e2s.security.scep.keys import FILE, KeyRing, read_keys
from e2s.security.scep.messages import (
    MAX_MESSAGE_BYTES,
    Fail,
    Kind,
    Status,
    fail_of,
    hear,
    issuer_and_serial,
    issuer_and_subject,
    read_message,
    written,
)
from e2s.security.scep.service import ScepDoor
from tests.security.test_est import anytime
from tests.worlds.enrolment import ANNA, World, key
from tests.worlds.pki import START, SetClock, make_pki
from tests.worlds.programs import openssl, run
from tests.worlds.scep import Device, request_of, rsa_key, self_made

BERT = "urn:e2s:market:alpha:bert"


@cache
def annas() -> rsa.RSAPrivateKey:
    """Keys of 3,072 bits take a while to make: each test takes the same two."""
    return rsa_key()


@cache
def others() -> rsa.RSAPrivateKey:
    return rsa_key()


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """One world and door: their keys of RSA are made once."""
    made = World(tmp_path_factory.mktemp("scep"), policy=anytime())
    door = ScepDoor(made.desk, made.setting())
    yield made, door
    door.close()
    made.close()


@pytest.fixture
def world(worlds):
    return worlds[0]


@pytest.fixture
def door(worlds):
    return worlds[1]


@pytest.fixture
def device(world, door):
    return Device(door, world.clock.now(), key=annas())


def code(world, profile="person", names=(ANNA,), **more) -> str:
    return code_of(*world.invite(profile, names, **more))


# ------------------------------------------------------------------ what it answers


def test_what_the_door_can_and_who_it_is(world, door):
    said = door(Request("GET", "/scep/pkiclient.exe?operation=GetCACaps"))
    assert said.headers["content-type"] == "text/plain"
    assert {b"AES", b"POSTPKIOperation", b"Renewal", b"SHA-256", b"SCEPStandard"} <= set(said.body.split())
    assert not {b"DES3", b"SHA-1", b"MD5"} & set(said.body.split())
    got = door(Request("GET", "/scep?operation=GetCACert&message=ca"))
    assert got.headers["content-type"] == "application/x-x509-ca-ra-cert"
    found = cms.unbundled(got.body).certificates
    assert {world.pki.operating, world.pki.root} < set(found)
    assert len(found) == 4


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_device_enrols_with_a_code_and_renews_with_its_certificate(world, device, method):
    answer = device.enrol(code(world), method=method, transaction=secrets.token_hex(8).encode())
    assert answer.status is Status.SUCCESS
    (made,) = answer.certificates
    assert made.names == (ANNA,)
    assert made.spki == spki_of(annas().public_key())
    device.certificate = made
    renewed = device.renew(others(), transaction=secrets.token_hex(8).encode())
    assert renewed.status is Status.SUCCESS
    assert renewed.certificates[0].names == (ANNA,)
    assert renewed.certificates[0].spki == spki_of(others().public_key())


def test_a_message_once_more_is_answered_with_the_same_certificate(world, device):
    message = device.message(Kind.REQUEST, request_of(annas(), ANNA, code(world)), transaction=b"again")
    first, second = device.send(message), device.send(message)
    assert first.certificates == second.certificates != ()
    # the device asks anew in the same transaction, its answer having been lost
    other = Device(device.door, device.at, key=annas())
    given = code(world)
    third = device.enrol(given, transaction=b"anew")
    assert other.enrol(given, transaction=b"anew").certificates == third.certificates


def test_who_has_to_wait_polls(world, device):
    names = ("urn:e2s:market:alpha",)
    device.name = names[0]
    device.certificate = None
    pending = device.enrol(code(world, "organisation", names), transaction=b"org")
    assert pending.status is Status.PENDING
    assert device.poll(transaction=b"org").status is Status.PENDING
    world.decide(world.requests("waiting")[-1].case)
    made = device.poll(transaction=b"org")
    assert made.status is Status.SUCCESS
    assert made.certificates[0].names == names


def test_what_was_declined_is_refused_with_that_word(world, device):
    names = ("urn:e2s:market:alpha",)
    device.name = names[0]
    assert device.enrol(code(world, "organisation", names), transaction=b"no").status is Status.PENDING
    world.decide(world.requests("waiting")[-1].case, "decline", why="who are you")
    answer = device.poll(transaction=b"no")
    assert (answer.status, answer.rule) == (Status.FAILURE, "declined")


def test_certificates_and_lists_are_looked_up(world, device):
    anna = world.enrolled().certificate
    found = device.look(Kind.CERTIFICATE, anna.serial)
    assert found.certificates == (anna,)
    lists = device.look(Kind.LIST, anna.serial)
    assert [x509.load_der_x509_crl(one).issuer for one in lists.crls] == [world.pki.operating.x509.subject]
    for answer in (
        device.look(Kind.CERTIFICATE, 12345),
        device.look(Kind.CERTIFICATE, anna.serial, make_pki().root),
        device.look(Kind.LIST, anna.serial, world.pki.root),
    ):
        assert (answer.fail, answer.rule) == (Fail.CERTIFICATE, "no-such-certificate")


def test_a_path_names_a_profile(world, door):
    given = code(world)
    named = Device(door, world.clock.now(), key=annas(), path="/scep/person/pkiclient.exe")
    assert named.enrol(given, transaction=b"named").status is Status.SUCCESS
    other = Device(door, world.clock.now(), key=annas(), path="/scep/merchant")
    assert other.enrol(given, transaction=b"other").rule == "wrong-profile"
    assert (
        door(Request("POST", "/scep/a/b?operation=PKIOperation", b"")).headers["e2s-rule"]
        == "no-such-operation"
    )


# ------------------------------------------------------------------ what it refuses


def test_a_wrong_code_is_refused_and_soon_no_more_are_heard(world, device):
    reference, _ = world.invite()
    wrong = code_of(reference, b"0000-0000-0000-0000-0000-0000-0000-0000")
    rules = [device.enrol(wrong, transaction=b"w%d" % n).rule for n in range(world.policy.tries + 1)]
    assert rules == ["wrong-code"] * world.policy.tries + ["too-many-tries"]
    assert device.enrol("", transaction=b"w").rule == "not-authenticated"
    assert device.enrol("nonsense", transaction=b"w").rule == "bad-code"


def test_another_key_than_that_which_asks_does_not_sign(world, device):
    request = request_of(others(), ANNA, code(world))
    answer = device.send(device.message(Kind.REQUEST, request))
    assert (answer.status, answer.fail, answer.rule) == (Status.FAILURE, Fail.MESSAGE, "other-signer")


def test_a_renewal_is_signed_by_a_certificate_of_this_ca(world, device):
    assert device.enrol(code(world), kind=Kind.RENEWAL).rule == "not-a-renewal"
    foreign, chain, private = make_pki(at=world.clock.now()).issue("person", ANNA, private_key=annas())
    device.certificate = foreign
    answer = device.renew(others(), signer=KeySigner(foreign, chain, private, suite=UNNAMED_RSA))
    assert answer.rule == "other-ca"


def test_a_revoked_certificate_renews_nothing(world, device):
    device.certificate = device.enrol(code(world), transaction=b"revoked").certificates[0]
    from e2s.security.enrolment.asking import Holder

    shown = Holder(certificate=device.certificate)
    world.desk.withdraw(device.certificate.serial, "keyCompromise", shown, door="scep")
    assert device.renew(others()).rule == "certificate-revoked"


def test_a_transaction_of_another_is_nobodys(world, door):
    names = ("urn:e2s:market:alpha",)
    mine = Device(door, world.clock.now(), key=annas(), name=names[0])
    assert mine.enrol(code(world, "organisation", names), transaction=b"mine").status is Status.PENDING
    eve = Device(door, world.clock.now(), key=others(), name=names[0])
    answer = eve.poll(transaction=b"mine")
    assert (answer.fail, answer.rule) == (Fail.CERTIFICATE, "no-such-request")
    world.decide(world.requests("waiting")[-1].case)
    assert eve.poll(transaction=b"mine").rule == "no-such-request"


def test_what_was_altered_is_refused(world, device):
    message = device.message(Kind.REQUEST, request_of(annas(), ANNA, code(world)))
    signed = cms.read_signed(message, replace(cms.FOREIGN))
    content = signed.octets
    altered = message.replace(content[-40:], bytes(40))
    answer = device.send(altered)
    assert (answer.fail, answer.rule) == (Fail.MESSAGE, "altered-content")
    broken = message.replace(signed.signature, bytes(len(signed.signature)))
    assert device.send(broken).rule == "bad-signature"


def test_an_envelope_that_does_not_open_is_refused_alike_whatever_is_wrong(world, device):
    """Whoever tries ciphertexts learns nothing from how they fail."""
    good = device.sealed(request_of(annas(), ANNA, "x"))
    at = good.index(der.oid(oids.AES256_CBC))
    rules = set()
    for _ in range(20):
        flipped = bytearray(good)
        flipped[secrets.randbelow(len(good) - at - 60) + at + 50] ^= 1 + secrets.randbelow(255)
        rules.add(device.send(device.message(Kind.REQUEST, b"", envelope=bytes(flipped))).rule)
    for content in (b"", b"no request", secrets.token_bytes(500), request_of(annas())[:-1]):
        rules.add(device.send(device.message(Kind.REQUEST, content)).rule)
    assert rules <= {"bad-envelope", "no-possession"}
    key_at = good.index(der.header(der.OCTET_STRING, 384)) + 100
    flipped = good[:key_at] + bytes(8) + good[key_at + 8 :]
    assert device.send(device.message(Kind.REQUEST, b"", envelope=flipped)).rule == "bad-envelope"


def test_an_envelope_to_another_is_refused(world, device):
    theirs = cms.seal(
        b"x",
        oids.DATA,
        [self_made(others(), device.at)],
        secrets.token_bytes,
        suites=("rsa-pkcs1-aes256cbc",),
    )
    assert device.send(device.message(Kind.REQUEST, b"", envelope=theirs)).rule == "not-for-me"


def test_old_ciphers_and_keys_are_refused_as_bad_algorithms(world, device, door, tmp_path):
    (tmp_path / "to.pem").write_bytes(device.ra_sealing.pem)
    for cipher in ("-des3", "-des-cbc"):
        legacy = ("-provider", "legacy", "-provider", "default") if cipher == "-des-cbc" else ()
        sealed = openssl(
            "cms",
            "-encrypt",
            "-outform",
            "DER",
            "-binary",
            cipher,
            *legacy,
            str(tmp_path / "to.pem"),
            given=b"x",
        )
        answer = device.send(device.message(Kind.REQUEST, b"", envelope=sealed))
        assert (answer.fail, answer.rule) == (Fail.ALGORITHM, "cms-content-encryption")
    private = key()
    made, chain, _ = world.pki.issue("person", ANNA, private_key=private)
    message = device.message(Kind.REQUEST, b"x", signer=KeySigner(made, chain, private))
    answer = device.send(message)
    assert (answer.fail, answer.rule) == (Fail.ALGORITHM, "not-rsa")


def test_a_signature_by_sha1_is_refused_as_a_bad_algorithm(device, tmp_path):
    message = device.message(Kind.REQUEST, b"x")
    sha256 = der.sequence(der.oid(oids.SHA256))
    assert sha256 in message
    sha1 = der.sequence(der.oid("2.16.840.1.101.3.4.2.4"))
    answer = device.send(message.replace(sha256, sha1))
    assert answer.fail in {Fail.ALGORITHM, Fail.MESSAGE}
    assert answer.rule in {"suite-unknown", "algorithm-substituted"}


def test_what_is_no_message_is_refused_by_http(world, door, device):
    post = "/scep?operation=PKIOperation"
    good = device.message(Kind.REQUEST, b"x")
    for request, status, rule in (
        (Request("POST", post, b"nonsense"), 400, "der-"),
        (Request("POST", post, bytes(MAX_MESSAGE_BYTES + 1)), 413, "too-large"),
        (Request("POST", post, good, {"content-type": "text/html"}), 415, "wrong-content-type"),
        (Request("GET", f"{post}&message=@@"), 400, "bad-base64"),
        (Request("PUT", post, good), 405, "wrong-method"),
        (Request("GET", "/scep?operation=GetNextCACert"), 404, "no-such-operation"),
        (Request("GET", "/scep?" + "a=b&" * 20), 400, "no-such-operation"),
    ):
        response = door(request)
        assert response.status == status
        assert response.headers["e2s-rule"].startswith(rule)


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"sender_nonce": b""}, "bad-message"),
        ({"sender_nonce": b"short"}, "bad-message"),
        ({"transaction": b"x" * 256}, "bad-message"),
        ({"transaction": b"\xc3\xa4"}, "bad-message"),
        ({"kind": Kind.ANSWER}, "bad-message"),
    ],
)
def test_what_a_message_lacks_is_named(device, more, rule):
    kind = more.pop("kind", Kind.REQUEST)
    assert device.send(device.message(kind, b"x", **more)).rule == rule


def test_a_message_without_a_nonce_is_refused(device):
    signer = KeySigner(device.own, (), annas(), suite=UNNAMED_RSA)
    attributes = [
        attribute(oids.SCEP_MESSAGE_TYPE, b"\x13\x0219"),
        attribute(oids.SCEP_TRANSACTION, b"\x13\x01t"),
    ]
    message = cms.sign(device.sealed(b"x"), oids.DATA, signer, device.at, signed_attributes=attributes)
    assert device.send(message).rule == "nonce-missing"


# ------------------------------------------------------------------ the door's keys


def test_the_doors_keys_are_the_same_when_it_is_opened_again_and_lie_sealed(world, door):
    first = cms.unbundled(door(Request("GET", "/scep?operation=GetCACert")).body)
    again = world.door("scep")
    assert cms.unbundled(again(Request("GET", "/scep?operation=GetCACert")).body) == first
    sealed = (world.folder / FILE).read_bytes()
    assert b"certificates" not in sealed
    assert (world.folder / FILE).stat().st_mode & 0o077 == 0
    other = world.door("scep", storage=bytes(32))
    assert other(Request("GET", "/scep?operation=GetCACert")).headers["e2s-rule"] == "altered-storage"


def test_a_door_without_keys_says_so(world, tmp_path):
    bare = world.door("scep", folder=tmp_path, certify=None)
    assert bare(Request("GET", "/scep?operation=GetCACert")).headers["e2s-rule"] == "no-door-keys"


def test_its_certificates_are_renewed_in_time_and_older_ones_still_open(tmp_path, worlds):
    clock = SetClock()
    world = World(tmp_path, clock=clock, policy=anytime())
    setting = world.setting()
    ring = KeyRing(setting)
    # the keys of the other world: to make them takes longest
    other = KeyRing(worlds[0].setting())
    pairs = other._read()
    assert pairs is not None
    for pair in pairs:
        pair.certificates = []
    ring._write(pairs)
    door = ScepDoor(world.desk, setting)
    device = Device(door, clock.now(), key=annas())
    door.tick(clock.forward(days=200))
    assert Device(door, clock.now(), key=annas()).ra_sealing == device.ra_sealing
    door.tick(clock.forward(days=60))
    newer = Device(door, clock.now(), key=annas())
    assert newer.ra_sealing != device.ra_sealing
    assert newer.ra_sealing.spki == device.ra_sealing.spki
    device.ra_signing = newer.ra_signing
    device.at = clock.now()
    assert device.enrol(code(world)).status is Status.SUCCESS
    door.close()
    world.close()


def test_keys_that_could_not_be_certified_yet_are_the_same_at_the_next_try(tmp_path, worlds):
    """Killed, or the CA away, after the keys were kept: no other keys are made."""
    world = worlds[0]
    pairs = KeyRing(world.setting())._read()
    assert pairs is not None
    for pair in pairs:
        pair.certificates = []
    certified: list[bytes] = []

    def away(*_arguments):
        raise Unreachable("ca-away")

    def certify(profile, names, public):
        certified.append(spki_of(public))
        return world.certify(profile, names, public)

    setting = world.setting(folder=tmp_path, certify=away)
    KeyRing(setting)._write(pairs)
    with pytest.raises(Unreachable):
        KeyRing(setting).keys()
    keys = KeyRing(replace(setting, certify=certify)).keys()
    assert [one.spki for one in keys.certificates] == certified
    again = KeyRing(replace(setting, certify=certify)).keys()
    assert again.certificates == keys.certificates
    assert len(certified) == 2


def test_its_keys_work_in_processes_of_their_own_where_they_may(world):
    door = ScepDoor(world.desk, world.setting(workers=1))
    device = Device(door, world.clock.now(), key=annas())
    assert device.enrol(code(world), transaction=b"apart").status is Status.SUCCESS
    workers = door._ring._workers
    assert workers is not None
    # one that died gives no answer, and another takes its place
    os.kill(workers[0].pids[0], signal.SIGKILL)
    with pytest.raises(Unreachable, match="worker-died"):
        device.enrol(code(world), transaction=b"died")
    assert device.enrol(code(world), transaction=b"alive").status is Status.SUCCESS
    pids = [*workers[0].pids, *workers[1].pids]
    door.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_whoever_asks_too_often_is_told_to_wait(world):
    hasty = world.door("scep")
    answers = [hasty(Request("GET", "/scep?operation=GetCACaps", client="192.0.2.7")) for _ in range(4001)]
    assert [one.status for one in answers[:4000]] == [200] * 4000
    assert answers[-1].status == 429
    assert answers[-1].headers["retry-after"] == "1"


@given(st.binary(max_size=200))
def test_garbage_is_no_keys(octets):
    with pytest.raises(Refusal, match="bad-door-keys"):
        read_keys(octets)


# ------------------------------------------------------------------ decoders


@cache
def signer() -> KeySigner:
    return KeySigner(self_made(annas(), START), (), annas(), suite=UNNAMED_RSA)


_PRINTABLE = st.text("ABCDEFabcdef0123456789 '()+,-./:=?", min_size=1, max_size=60).map(str.encode)


@given(
    st.sampled_from(Kind),
    _PRINTABLE,
    st.binary(max_size=200) | st.none(),
    st.sampled_from(Status),
    st.sampled_from(Fail),
)
def test_a_message_comes_back_as_it_was(kind, transaction, envelope, status, fail):
    nonce = bytes(range(16))
    octets = written(
        kind,
        transaction,
        signer(),
        START,
        sender_nonce=nonce,
        recipient_nonce=nonce[::-1],
        envelope=envelope,
        status=status,
        fail=fail,
        text="a-rule: why",
    )
    read = read_message(octets)
    assert (read.kind, read.transaction, read.envelope) == (kind, transaction, envelope or b"")
    assert (read.sender_nonce, read.recipient_nonce) == (nonce, nonce[::-1])
    assert (read.status, read.fail, read.text) == (status, fail, "a-rule: why")


@given(st.binary(max_size=300))
def test_garbage_is_no_message(octets):
    for read in (hear, issuer_and_serial, issuer_and_subject):
        with pytest.raises(Refusal):
            read(octets)


def test_every_word_of_scep_is_used_for_some_rule():
    assert {
        fail_of(rule)
        for rule in ("suite-unknown", "bad-signature", "names-differ", "expired", "no-such-request")
    } == set(Fail)


# ------------------------------------------------------------------ judged by others


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scep-real")
    world = World(folder, clock=SystemClock(), policy=anytime())
    (folder / "root.pem").write_bytes(world.pki.root.pem)
    (folder / "ca.pem").write_bytes(world.pki.operating.pem)
    with world.served("scep") as served:
        yield world, f"{served.origin}/scep"
    world.close()


def pki(world, *arguments) -> bytes:
    placed = [str(world.folder / one) if one.endswith(".pem") else one for one in arguments]
    return run("pki", *placed)


def enrolled(world, name: str, *arguments) -> Certificate:
    """What strongSwan was given, which it verified; and OpenSSL does."""
    made = pki(
        world, "--scep", "--dn", "O=market, OU=alpha, CN=anna", "--cacert-enc", "enc.pem", "--cacert-sig", "sig.pem",
        "--cacert", "root.pem", "--cacert", "ca.pem", "--outform", "pem", *arguments,
    )  # fmt: skip
    folder = world.folder
    (folder / name).write_bytes(made)
    openssl(
        "verify", "-x509_strict", "-CAfile", str(folder / "root.pem"), "-untrusted", str(folder / "ca.pem"),
        str(folder / name),
    )  # fmt: skip
    return Certificate.read(made)


@pytest.mark.tool
def test_strongswan_enrols_waits_and_renews(real):
    world, url = real
    folder = world.folder
    pki(world, "--scepca", "--url", url, "--caout", "got.pem", "--raout", "ra.pem", "--outform", "pem")
    assert Certificate.read((folder / "got.pem").read_bytes()) == world.pki.root
    for name in ("ra.pem", "ra-2.pem"):
        made = Certificate.read((folder / name).read_bytes())
        use = "enc.pem" if made.values[x509.KeyUsage].key_encipherment else "sig.pem"
        (folder / use).write_bytes(made.pem)
    for name, private in (("anna", annas()), ("newer", others())):
        plain = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        (folder / f"{name}.key.pem").write_bytes(plain)
    secret = ("--password", code(world))
    anna = enrolled(world, "anna.pem", "--url", url, "--in", "anna.key.pem", *secret)
    assert anna.names == (ANNA,)
    held = ("--cert", "anna.pem", "--key", "anna.key.pem")
    newer = enrolled(world, "newer.pem", "--url", url, "--in", "newer.key.pem", *held)
    assert newer.names == anna.names
    assert newer.spki != anna.spki

    def approve() -> None:
        while not world.requests("waiting"):
            threading.Event().wait(0.05)
        world.decide(world.requests("waiting")[0].case)

    deciding = threading.Thread(target=approve)
    deciding.start()
    waits = ("--password", code(world, "organisation", ("urn:e2s:market:alpha:anna",)), "--interval", "1")
    made = enrolled(world, "org.pem", "--url", url, "--in", "newer.key.pem", *waits, "--maxpolltime", "60")
    deciding.join()
    assert oids.EKU_DOCUMENT in made.ekus
