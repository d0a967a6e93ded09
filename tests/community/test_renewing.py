"""Components renew their own certificates in time, without a stop, whatever is killed (6.1.1)."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from importlib import import_module

import pytest

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import E2SError, Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import b64u
from e2s.community import assembly_enrolment, doctor
from e2s.community.authority import ROOT_LIST, open_component_ca
from e2s.community.making import Tools
from e2s.community.renewing import AGAIN
from e2s.crypto.certificates import read_certificates
from e2s.crypto.keys import KeySigner, read_private_key, spki_of
from e2s.security.ceremonies.ceremony import open_root
from e2s.security.ceremonies.folder import REGISTER
from e2s.security.certificates.certify import request
from e2s.security.cmp.client import CmpClient
from e2s.security.cmp.protection import Signed
from e2s.security.enrolment.policy import policy_in
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import phrase_from_file
from e2s.security.keys.software import SoftwarePse
from e2s.security.pki import holdings
from e2s.security.pki import store as pki_store
from e2s.security.pki.renewals import KNOWN, RECERTIFY
from e2s.security.pki.service import ISSUE
from e2s.security.registration.documents import sign_document, write_orders
from e2s.security.repository.files import Repository
from e2s.security.timestamping.client import StampClient
from tests.worlds.enrolment import csr, key
from tests.worlds.whole import CHEAP, Whole

STAMPS, ENROLMENT, SHOP, CA = "authority-stamps-1", "authority-enrolment", "volt-shop", "authority-ca"


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    whole = Whole(tmp_path_factory.mktemp("whole"))
    yield whole
    whole.close()


@pytest.fixture
def whole(tmp_path):
    """A community of one's own: time goes on in it."""
    whole = Whole(tmp_path)
    yield whole
    whole.close()


def pse(whole: Whole, name: str) -> SoftwarePse:
    home = whole.place(name).home
    return SoftwarePse.open(home.pse, phrase_from_file(home.phrase))


def later(whole: Whole, time: timedelta) -> None:
    """Time passes, and everybody does what is due."""
    passed(whole, time)
    whole.tick()


def passed(whole: Whole, time: timedelta) -> None:
    """Time passes, and a ceremony makes a new list of the root's before anybody looks."""
    whole.clock.at += time
    phrase = phrase_from_file(whole.home.root_offline.with_name("root-offline.phrase"))
    setting = Tools(clock=whole.clock, random=secrets.token_bytes, cost=CHEAP).setting
    root = open_root(whole.home.root_offline, phrase, setting=setting)
    octets = root.crl()
    repository = whole.place("authority-repository").home.path / "repository"
    Repository(repository).publish_crl(root.certificate, octets)
    for holder in (CA, "issuer-desk"):
        replace_file(whole.place(holder).home.path / "ca" / ROOT_LIST, octets, 0o644)
    root.close()
    for name in (CA, "authority-repository"):
        whole.running[name].tick()


def held(whole: Whole, name: str, label: str):
    return pse(whole, name).certificate(label)


def chain(whole: Whole):
    return read_certificates(whole.place(SHOP).home.tls_certificate.read_bytes())[1:]


def tls(whole: Whole):
    return read_certificates(whole.place(SHOP).home.tls_certificate.read_bytes())[0]


def test_each_renews_in_time_and_goes_on_serving(whole):
    before = held(whole, ENROLMENT, "component"), tls(whole), held(whole, STAMPS, "tsa")
    later(whole, timedelta(days=100))
    assert (held(whole, ENROLMENT, "component"), tls(whole), held(whole, STAMPS, "tsa")) == before
    later(whole, timedelta(days=150))
    now = held(whole, ENROLMENT, "component"), tls(whole), held(whole, STAMPS, "tsa")
    assert now[0].not_after > before[0].not_after + timedelta(days=200)
    assert now[1].not_after > before[1].not_after + timedelta(days=200)
    assert now[2] == before[2]
    for old, new in zip(before, now, strict=True):
        assert (new.spki, new.names, new.ips, new.ekus) == (old.spki, old.names, old.ips, old.ekus)
    assert whole.home.certificates(SHOP, "tls-server")[0] == now[1]
    assert stamper(whole).stamp(bytes(32))


def test_what_is_wrong_meanwhile_waits_and_is_tried_again(whole, caplog):
    """Enrolment is down, then it is back."""
    before = tls(whole)
    later(whole, timedelta(days=1))
    whole.kill(ENROLMENT)
    later(whole, timedelta(days=249))
    assert tls(whole) == before
    assert "tls-server of volt-shop waits" in caplog.text
    whole.start(ENROLMENT)
    whole.tick()
    assert tls(whole) == before  # it does not ask at every tick
    later(whole, AGAIN)
    assert tls(whole).not_after > before.not_after
    assert tls(whole).spki == before.spki


def test_a_stamping_authority_signs_under_the_newer_certificate_from_then_on(whole):
    """Its first one is as long as its CA's in the example: here it is given a shorter one."""
    before = shortened(whole, STAMPS, "tsa", timedelta(days=300))
    imprint = bytes(32)
    assert before.der in stamper(whole).stamp(imprint)
    later(whole, timedelta(days=190))
    assert before.der in stamper(whole).stamp(imprint)
    passed(whole, timedelta(days=30))
    whole.running[ENROLMENT].tick()
    stamps = stamped_while(whole, whole.running[STAMPS].tick)
    after = held(whole, STAMPS, "tsa")
    assert {before.der in one for one in stamps} == {True, False}
    assert all((before.der in one) != (after.der in one) for one in stamps)
    assert after.not_after > before.not_after
    assert (after.spki, after.names, after.ekus) == (before.spki, before.names, before.ekus)
    assert after.der in stamper(whole).stamp(imprint)
    assert whole.home.certificates(STAMPS, "tsa")[0] == after


def stamped_while(whole: Whole, act) -> list[bytes]:
    """Stamps asked for without a pause, each proven, before, while and after ``act``; none is refused."""
    enough, stamps, failed = threading.Event(), [], []
    client = stamper(whole)

    def ask() -> None:
        while not enough.is_set():
            try:
                stamps.append(client.stamp(secrets.token_bytes(32)))
            except E2SError as error:
                failed.append(error)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for one in asking:
        one.start()
    until(lambda: len(stamps) > 5)
    act()
    there = len(stamps)
    until(lambda: len(stamps) > there + 5)
    enough.set()
    for one in asking:
        one.join()
    assert failed == []
    return stamps


def until(holds) -> None:
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to hold")


def shortened(whole: Whole, name: str, label: str, life: timedelta):
    """The component with a certificate that ends sooner."""
    place, keys, ca = whole.place(name), pse(whole, name), whole.place(CA)
    whole.kill(CA)
    authority = open_component_ca(ca, kind="operating-ca")
    held = keys.certificate(label)
    made = authority.issue(
        label, held.public_key, held.names, officer=ca.party, not_after=whole.clock.now() + life
    )
    authority.close()
    keys.set_certificate(label, made, keys.chain(label), whole.phrase(name), random=secrets.token_bytes)
    replace_file(whole.home.public(name, label), b"".join(one.pem for one in (made, *keys.chain(label))))
    whole.start(CA)
    whole.kill(name)
    whole.start(name)
    assert place.certificates(name, label)[0] == made
    return made


def test_enrolment_goes_on_beyond_the_first_life_of_its_own_keys(whole):
    """Its officer key is certified again by the CA itself."""
    before = held(whole, ENROLMENT, "officer")
    while whole.clock.now() < before.not_after:
        later(whole, timedelta(days=115))
    after = held(whole, ENROLMENT, "officer")
    assert (after.spki, after.names) == (before.spki, before.names)
    assert tls(whole).not_after > whole.clock.now() + timedelta(days=100)


def stamper(whole: Whole) -> StampClient:
    return StampClient(
        exchange=whole.exchange,
        authorities=(whole.community.component(STAMPS).origin,),
        trust=whole.place("volt-purchasing").trust(),
        clock=whole.clock,
        random=secrets.token_bytes,
    )


def test_the_doctor_names_what_nobody_renews_by_itself(whole):
    def said() -> doctor.Symptom:
        found = doctor.examine(whole.folder, whole.clock, whole.community)
        return next(one for one in found if one.what == "certificates")

    assert said().state == doctor.FINE
    for _ in range(5):
        later(whole, timedelta(days=100))
    assert said().state == doctor.ADVICE
    assert "acquirer-gateway gateway" in said().detail
    assert "tls-server" not in said().detail
    assert "enrolment" not in said().detail
    passed(whole, timedelta(days=300))
    assert said().state == doctor.LACKS


class Killed(BaseException):
    """The process is gone."""


class Steps:
    """Counts the steps of one process, before and after each, and kills it at ``point``."""

    def __init__(self, point: int) -> None:
        self._left = point
        self._within = False

    def of(self, real):
        def stepped(*arguments, **more):
            if self._within:  # what another process does meanwhile
                return real(*arguments, **more)
            self._step()
            self._within = True
            try:
                result = real(*arguments, **more)
            finally:
                self._within = False
            self._step()
            return result

        return stepped

    def _step(self) -> None:
        self._left -= 1
        if not self._left:
            raise Killed


#: What the process does that is killed, where it leaves something behind or hears from another.
SHOPS = ("e2s.community.renewing.replace_file",)
ENROLMENTS = tuple(
    f"e2s.security.enrolment.linked.{name}" for name in ("sign_document", "write_orders", "read_issued")
)


@pytest.mark.parametrize(
    ("killed", "points"),
    [(SHOP, range(1, 7)), (ENROLMENT, range(1, 7))],
    ids=[SHOP, ENROLMENT],
)
def test_killed_at_any_point_it_has_the_old_certificate_or_the_new_one(whole, killed, points, monkeypatch):
    """Both are good, and the next start goes on: the same new certificate, not another one."""
    for point in points:
        with monkeypatch.context() as patched:
            kill_at(whole, killed, Steps(point), patched)


def kill_at(whole: Whole, killed: str, steps: Steps, patched) -> None:
    before = tls(whole)
    passed(whole, timedelta(days=250))
    whole.running[ENROLMENT].tick()
    for name in SHOPS if killed == SHOP else ENROLMENTS:
        module, _, function = name.rpartition(".")
        patched.setattr(name, steps.of(getattr(import_module(module), function)))
    if killed == SHOP:
        patched.setattr(whole.exchange, "send", steps.of(whole.exchange.send))
    with suppress(Killed):
        whole.running[SHOP].tick()
    patched.undo()
    whole.kill(killed)
    between = tls(whole)
    whole.start(killed)
    assert between.spki == before.spki
    trust, now = whole.place("volt-payment").trust(), whole.clock.now()
    trust.check_certificate(between, chain(whole), purpose=None, name=None, at=now)
    later(whole, AGAIN)
    later(whole, AGAIN)
    after = tls(whole)
    assert after.not_after > before.not_after
    assert between in {before, after}
    with whole_register(whole) as ends:
        assert ends.count(after.not_after) == 1


@contextmanager
def whole_register(whole: Whole):
    """When each certificate of the shop's key ends that its CA has on record."""
    database = Database.open(whole.place(CA).home.path / "ca" / REGISTER, pki_store.TABLES)
    try:
        with database.reading() as connection:
            yield [
                one.certificate.not_after
                for one in holdings.holdings(connection, whole.clock.now())
                if one.certificate.spki == tls(whole).spki
            ]
    finally:
        database.close()


# ------------------------------------------------------------------ attacks


def client(whole: Whole, signer) -> CmpClient:
    return CmpClient(
        exchange=whole.exchange,
        origin=whole.community.component(ENROLMENT).origin,
        protector=Signed(signer=signer),
        clock=whole.clock,
        random=secrets.token_bytes,
        judge=lambda *_: None,
    )


def test_enrolment_gives_no_further_name_no_new_key_and_no_other_profile(founded):
    whole = founded
    """Not even to who holds a good certificate."""
    home = whole.place(SHOP).home
    private = read_private_key(home.tls_key.read_bytes())
    certificate, *chain = read_certificates(home.tls_certificate.read_bytes())
    signer = KeySigner(certificate, tuple(chain), private)
    with pytest.raises(Refusal, match="names-differ"):
        client(whole, signer).by_pkcs10(request(private, ("127.0.0.1", "mallory.example")), certificate.spki)
    other = key()
    with pytest.raises(Refusal, match="not-a-renewal"):
        client(whole, signer).by_pkcs10(request(other, ("127.0.0.1",)), b"")
    asked = replace(client(whole, signer), profile="officer")
    with pytest.raises(Refusal, match="wrong-profile"):
        asked.by_pkcs10(request(private, ("127.0.0.1",)), certificate.spki)
    with pytest.raises(Refusal, match="not-pkcs10"):
        client(whole, signer).renew(other)


def test_nobody_is_invited_there(founded):
    office = founded.place(ENROLMENT)
    with pytest.raises(Refusal, match="not-enrolled"):
        policy_in(office.home.path).rule("person")


def test_whoever_took_enrolment_over_certifies_nothing_new(founded):
    whole = founded
    """The CA certifies again what it certified, whatever the component signs."""
    place = whole.place(ENROLMENT)
    link, signer = place.link(whole.community.component(CA)), pse(whole, ENROLMENT).signer("officer")
    officer = assembly_enrolment.officer_of(whole.community, place.component)
    for profile, name in (("officer", "mallory"), ("component", "ca"), ("person", "anna")):
        private = key()
        word = order(whole, officer, signer, profile, whole.community.urn("authority", name), private)
        with pytest.raises(Refusal, match="not-a-renewal"):
            link.ask(RECERTIFY, write_orders(word, [csr(private=private)]))
        with pytest.raises(Refusal, match="link-no-door"):
            link.ask(ISSUE, write_orders(word, [csr(private=private)]))
    for body in (b"{}", wire.encode({"type": "e2s/1/known", "serial": "xyz"})):
        with pytest.raises(Refusal):
            link.ask(KNOWN, body)
    with pytest.raises(Refusal, match="bad-document"):
        link.ask(RECERTIFY, wire.encode({"approval": 1}))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"subject": "CN=root"},
        {"names": ["urn:e2s:components-market:volt"]},
        {"confidence": "high"},
        {"profile": "officer"},
    ],
    ids=lambda more: next(iter(more), "nothing"),
)
def test_what_is_certified_again_says_what_was_certified(founded, more):
    place = founded.place(ENROLMENT)
    own = keys_of(founded)["component"]
    officer = assembly_enrolment.officer_of(founded.community, place.component)
    signer = keys_of(founded)["officer"]
    signer = KeySigner(signer.certificate, signer.chain, signer.private_key)
    certificate = own.certificate
    said = {"subject": certificate.x509.subject.rfc4514_string(), **more}
    word = order(founded, officer, signer, "component", certificate.name, own.private_key, **said)
    asked = write_orders(word, [csr(certificate.name, private=own.private_key)])
    link = place.link(founded.community.component(CA))
    if not more:
        assert b64u(certificate.der).encode() in link.ask(RECERTIFY, asked)
        return
    with pytest.raises(Refusal, match="not-a-renewal"):
        link.ask(RECERTIFY, asked)


def keys_of(whole: Whole):
    return pse(whole, ENROLMENT).entries(whole.phrase(ENROLMENT))


def order(whole: Whole, officer: str, signer, kind: str, name: str, private, **more) -> bytes:
    now = whole.clock.now()
    said = {
        "case": "e-attack",
        "profile": kind,
        "names": [name],
        "spki": wire.b64u(sha256(spki_of(private.public_key())).digest()),
        "confidence": "",
        "evidence": [wire.b64u(bytes(32))],
        **more,
    }
    document = {
        "type": "e2s/1/registration",
        "community": whole.community.name,
        "ca": CA,
        "officer": officer,
        "at": format_instant(now),
        "until": format_instant(now + timedelta(days=1)),
        "case": "e-attack",
        "orders": [said],
    }
    return sign_document(document, signer, now)
