"""Client services: lists that certificates name, only at known repositories; bounded staleness; OCSP."""

from __future__ import annotations

import secrets
import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.database import Database
from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Response
from e2s.crypto.certificates import serial_number
from e2s.network.sessions.local import LocalExchange
from e2s.security.certificates.certify import Wish, certify
from e2s.security.certificates.places import Places
from e2s.security.certificates.profiles import profile
from e2s.security.keys.generation import generate
from e2s.security.pki.feed import Change
from e2s.security.repository.files import Repository
from e2s.security.status import store
from e2s.security.status.entries import Entry, encode
from e2s.security.status.lists import Shard, write_list
from e2s.security.status.responder import Responder
from e2s.security.verification.fetching import crl_path
from e2s.security.verification.places import KnownPlaces
from e2s.security.verification.services import MAX_NAMED, ClientServices
from e2s.security.verification.trust import Trust
from tests.worlds.pki import START, SetClock, make_pki

PKI = make_pki()
ORIGIN = "http://repository:8080"
BUYER = "urn:e2s:market:alpha:anna"
DAY = timedelta(days=1)


class Site:
    """A CA whose certificates name their places, its repository with a responder, and who asks them."""

    def __init__(self, folder, *, shards=1, deltas=False, ocsp=False, **how):
        self.clock = SetClock()
        self.places = Places(base=ORIGIN, ocsp=f"{ORIGIN}/ocsp" if ocsp else "", shards=shards, deltas=deltas)
        self.files = Repository(folder / "public", reserve=0)
        self.asked = []
        self.changes = []
        self.responder = Responder(
            Database.open(folder / "data.db", store.TABLES), clock=self.clock, prefix="/ocsp"
        )
        self.responder.speak(PKI.operating, PKI.operating_ca.signer)
        self.exchange = LocalExchange({ORIGIN: self.door})
        issuers = [(ORIGIN, PKI.root), (ORIGIN, PKI.operating)]
        self.services = ClientServices(self.exchange, issuers, self.clock, **how)
        self.trust = Trust(PKI.verifier(), self.services)
        self.numbers = dict.fromkeys((*range(shards), None), 0)
        self.revoked = {}
        self.files.publish_crl(
            PKI.root, write_list([], PKI.root_ca.signer, number=1, at=START, until=START + 9 * DAY)
        )
        for shard in range(shards) if shards > 1 else [None]:
            self.publish(shard)

    def door(self, request):
        self.asked.append(request.path)
        if request.path.startswith("/ocsp"):
            return self.responder.handle(request)
        return self.files.handle(request)

    def issue(self, name=BUYER, places=None, ca=None, kind="buyer"):
        wish = Wish(
            profile=profile(kind),
            pan_commit=bytes(32) if kind == "card-holder" else None,
            names=(name,),
            public_key=generate("p256-sha256", secrets.token_bytes).public_key(),
        )
        signer = ca or PKI.operating_ca.signer
        return certify(
            wish, signer, serial=serial_number(secrets.token_bytes), at=START, places=places or self.places
        )

    def revoke(self, certificate):
        entry = Entry(certificate.serial, self.clock.now(), "keyCompromise")
        self.revoked[certificate.serial] = encode(entry)
        self.tell(Change(0, certificate.serial, encode(entry)))

    def tell(self, change):
        """One more change in the CA's feed."""
        self.changes.append(change._replace(number=len(self.changes) + 1))
        with self.responder._database.transaction() as connection:
            self.responder.apply(connection, PKI.operating, self.changes[-1:], self.clock.now())

    def publish(self, shard=None, *, delta=False):
        self.numbers[shard] += 1
        here = [
            der
            for serial, der in self.revoked.items()
            if shard is None or serial % self.places.shards == shard
        ]
        url = ORIGIN + crl_path(PKI.operating, shard)
        der = write_list(
            here,
            PKI.operating_ca.signer,
            number=self.numbers[shard],
            at=self.clock.now(),
            until=self.clock.now() + DAY,
            shard=None if shard is None else Shard(url),
            base=1 if delta else None,
        )
        self.files.publish_crl(PKI.operating, der, shard, delta=delta)

    def rule(self, certificate, *more):
        try:
            self.trust.check_certificate(
                certificate, (PKI.operating, *more), purpose=None, name=None, at=self.clock.now()
            )
        except Refusal as refusal:
            return refusal.rule
        return ""


def test_the_list_of_the_certificates_own_shard_is_fetched_and_no_other(tmp_path):
    site = Site(tmp_path, shards=8)
    certificate = site.issue()
    shard = certificate.serial % 8
    assert site.rule(certificate) == ""
    shards = [path for path in site.asked if "-" in path]
    assert shards == [crl_path(PKI.operating, shard)]
    site.revoke(certificate)
    site.publish(shard)
    assert site.rule(certificate) == ""
    site.clock.forward(seconds=2)
    assert site.rule(certificate) == "revoked"


def test_what_changes_a_list_is_asked_for_instead_of_the_list(tmp_path):
    site = Site(tmp_path, deltas=True)
    certificate = site.issue()
    site.publish(delta=True)
    assert site.rule(certificate) == ""
    site.revoke(certificate)
    site.publish(delta=True)
    site.asked.clear()
    site.clock.forward(seconds=2)
    assert site.rule(certificate) == "revoked"
    assert sorted(site.asked) == sorted([crl_path(PKI.root), crl_path(PKI.operating, delta=True)])
    # Half of the list's time is over, or nothing is heard of what changes it: then it is asked for itself.
    site.clock.forward(hours=12)
    site.asked.clear()
    assert site.rule(certificate) == "revoked"
    assert crl_path(PKI.operating) in site.asked


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:22/crl",
        "http://169.254.169.254/latest/meta-data",
        "http://repository:8081/crl/x.crl",
        "https://repository:8080/crl/x.crl",
        "http://repository:8080@evil.example/x.crl",
        "http://repository:8080.evil.example/x.crl",
        "http://evil.example/http://repository:8080/x.crl",
        "http://repository:8080",
        "http://repository:8080/a b",
        "http://repository:8080/#fragment",
        "file:///etc/passwd",
        "ldap://repository:8080/x",
        "http://repository:8080/" + "a" * 600,
    ],
    ids=range(13),
)
def test_nobody_is_asked_because_a_certificate_says_so(url):
    assert KnownPlaces([ORIGIN]).place(url) is None


def test_a_known_repository_is_known_however_its_origin_is_written():
    places = KnownPlaces(["http://Repository", "https://[::1]:8443"])
    assert places.place("http://repository:80/x") == ("http://Repository", "/x")
    assert places.place("https://[::1]:8443/x") == ("https://[::1]:8443", "/x")
    assert places.place("https://repository/x") is None


@given(st.text(max_size=60), st.sampled_from(["", ORIGIN, "http://"]))
def test_garbage_places(text, begin):
    place = KnownPlaces([ORIGIN]).place(begin + text)
    assert place is None or (place[0] == ORIGIN and place[1].startswith("/"))


def test_a_stranger_makes_nobody_ask(tmp_path):
    """A certificate that no known CA signed leads nowhere, though it names the repository."""
    site = Site(tmp_path)
    stranger = make_pki()
    for number in range(5):
        forged = site.issue(ca=stranger.operating_ca.signer, places=Places(base=ORIGIN, shards=number + 2))
        assert site.rule(forged) in {"unknown-root", "bad-signature"}
    assert len([path for path in site.asked if "-" in path]) == 0


def test_a_ca_below_a_known_one_is_known(tmp_path):
    site = Site(tmp_path)
    card = site.issue(ca=PKI.bank_ca.signer, places=Places(base=ORIGIN), kind="card-holder")
    site.files.publish_crl(PKI.card_ca, PKI.crls()[2])
    site.services.crls(card, PKI.card_ca)
    assert crl_path(PKI.card_ca) in site.asked


def test_how_many_lists_are_followed_is_bounded(tmp_path):
    site = Site(tmp_path)
    for shards in range(2, 12):
        for _ in range(12):
            site.services.crls(site.issue(places=Places(base=ORIGIN, shards=shards * 1000)))
    assert len(site.services._named) <= MAX_NAMED


def test_a_list_that_nobody_confirms_counts_for_a_while_only(tmp_path):
    site = Site(tmp_path, longest=timedelta(minutes=5))
    certificate = site.issue()
    assert site.rule(certificate) == ""
    site.exchange.doors.clear()
    site.clock.forward(minutes=5)
    assert site.rule(certificate) == ""
    site.clock.forward(seconds=1)
    assert site.rule(certificate) == "revocation-unknown"
    site.exchange.doors[ORIGIN] = site.door
    site.clock.forward(seconds=10)
    assert site.rule(certificate) == ""


def test_a_repository_that_is_away_is_asked_for_one_list_only(tmp_path):
    site = Site(tmp_path)
    certificate = site.issue()
    site.rule(certificate)
    tried = []
    site.exchange.doors.clear()

    def noting(_origin, request, deliver):
        tried.append(request.path)
        return deliver(request)

    site.exchange.faults.append(noting)
    site.clock.forward(seconds=2)
    assert site.rule(certificate) == ""
    assert len(tried) == 1


def test_while_one_asks_others_take_what_is_at_hand(tmp_path):
    site = Site(tmp_path)
    certificate = site.issue()
    assert site.rule(certificate) == ""
    site.clock.forward(seconds=2)
    asking, answer = threading.Event(), threading.Event()

    def slow(_origin, request, deliver):
        asking.set()
        answer.wait(30)
        return deliver(request)

    site.exchange.faults.append(slow)
    first = threading.Thread(target=site.rule, args=(certificate,))
    first.start()
    assert asking.wait(30)
    before = len(site.asked)
    assert site.rule(certificate) == ""  # this one does not wait, nor ask
    assert len(site.asked) == before
    answer.set()
    first.join(30)


# ---------------------------------------------------------------------- one certificate's status


def ask(site, certificate, random=secrets.token_bytes):
    return site.services.status(certificate, PKI.operating, random)


def judged(site, certificate, answer):
    return PKI.verifier().judge(
        certificate,
        (PKI.operating,),
        PKI.crls()[:1],
        at=site.clock.now(),
        purpose=None,
        name=None,
        ocsp=(answer,),
    )


def test_a_responder_answers_of_this_moment(tmp_path):
    site = Site(tmp_path, ocsp=True)
    certificate = site.issue()
    site.tell(Change(0, certificate.serial, None))
    assert judged(site, certificate, ask(site, certificate)).accepted
    site.revoke(certificate)
    assert judged(site, certificate, ask(site, certificate)).rule == "revoked"


def test_an_answer_to_another_question_is_refused(tmp_path):
    site = Site(tmp_path, ocsp=True)
    certificate = site.issue()
    site.tell(Change(0, certificate.serial, None))
    old = ask(site, certificate)
    site.exchange.doors[ORIGIN] = lambda _request: Response(200, old)
    with pytest.raises(Refusal, match="wrong-nonce"):
        ask(site, certificate)


@pytest.mark.parametrize(
    "body", [b"", b"garbage", b"\x30\x03\x0a\x01\x03"], ids=["empty", "garbage", "try-later"]
)
def test_no_answer_at_all(tmp_path, body):
    site = Site(tmp_path, ocsp=True)
    site.exchange.doors[ORIGIN] = lambda _request: Response(200, body)
    with pytest.raises(Refusal, match="bad-ocsp"):
        ask(site, site.issue())
    site.exchange.doors.clear()
    with pytest.raises(Unreachable):
        ask(site, site.issue())


def test_a_responder_elsewhere_is_not_asked(tmp_path):
    site = Site(tmp_path)
    elsewhere = site.issue(places=Places(base=ORIGIN, ocsp="http://evil.example/ocsp"))
    assert ask(site, elsewhere) is None
    assert ask(site, site.issue()) is None


def test_nobody_is_asked_where_nothing_is_judged(tmp_path):
    """Lists for evidence are those that were used: no round trip within a transaction."""
    site = Site(tmp_path)
    assert site.services.crls() == ()
    site.rule(site.issue())
    site.clock.forward(seconds=2)
    site.asked.clear()
    assert len(site.services.crls()) == 2
    assert site.asked == []
