"""Each act received is checked: label, audience, signature, signer's purpose, name, path, revocation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.crypto import oids
from e2s.crypto.acts import read_act, sign_act
from e2s.network.sessions.local import LocalExchange, drop_answer, nth, to
from e2s.security.repository.files import Repository
from e2s.security.verification.fetching import crl_path
from e2s.security.verification.services import ClientServices
from e2s.security.verification.trust import HeldCrls, Trust
from tests.worlds.pki import START, SetClock, make_pki

MERCHANT = "urn:e2s:market:volt"
BUYER = "urn:e2s:market:acme:ada"
HOUR = timedelta(hours=1)


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def pki():
    return make_pki()


def offer(signer, clock, **changes):
    document = {
        "type": "e2s/1/offer",
        "from": signer.certificate.id,
        "to": [BUYER],
        "at": format_instant(clock.now()),
    } | changes
    return read_act(sign_act(document, (), signer, clock.now()))


def check(pki, clock, act, **changes):
    asked = {
        "type": "e2s/1/offer",
        "to": BUYER,
        "purpose": oids.SIGNING["merchant"],
        "name": MERCHANT,
        "at": clock.now(),
    } | changes
    return pki.trust(clock).check_act(act, **asked)


def rule(pki, clock, act, **changes):
    with pytest.raises(Refusal) as caught:
        check(pki, clock, act, **changes)
    return caught.value.rule


def test_good_act_is_itself(pki, clock):
    act = offer(pki.signer("merchant", MERCHANT), clock)
    assert check(pki, clock, act) is act


def test_wrong_label(pki, clock):
    act = offer(pki.signer("merchant", MERCHANT), clock, type="e2s/1/confirm")
    assert rule(pki, clock, act) == "wrong-label"


@pytest.mark.parametrize("to", [["urn:e2s:market:ohm"], [], [BUYER + "x"], BUYER + "x", BUYER])
def test_wrong_audience(pki, clock, to):
    act = offer(pki.signer("merchant", MERCHANT), clock, to=to)
    assert rule(pki, clock, act) == "wrong-audience"


def test_wrong_eku(pki, clock):
    act = offer(pki.signer("merchant-payment", MERCHANT), clock)
    assert rule(pki, clock, act) == "wrong-purpose"


def test_other_community(pki, clock):
    act = offer(make_pki("market").signer("merchant", MERCHANT), clock)
    assert rule(pki, clock, act) == "unknown-root"


def test_another_merchants_act(pki, clock):
    act = offer(pki.signer("merchant", "urn:e2s:market:ohm"), clock)
    assert rule(pki, clock, act) == "wrong-name"


def test_expired_signer(pki, clock):
    signer = pki.signer("merchant", MERCHANT, not_after=START + HOUR)
    clock.forward(hours=2)
    assert rule(pki, clock, offer(signer, clock)) == "expired"


def test_revoked_signer(pki, clock):
    signer = pki.signer("merchant", MERCHANT)
    act = offer(signer, clock)
    check(pki, clock, act)
    pki.revoke(signer.certificate)
    assert rule(pki, clock, act) == "revoked"


def test_altered_signature(pki, clock):
    act = offer(pki.signer("merchant", MERCHANT), clock)
    other = offer(pki.signer("merchant", MERCHANT), clock)
    bent = act.octets.replace(act.signature, other.signature[: len(act.signature)].ljust(len(act.signature)))
    with pytest.raises(Refusal):
        check(pki, clock, read_act(bent))


def test_without_lists_nobody_is_trusted(pki, clock):
    signer = pki.signer("merchant", MERCHANT)
    trust = Trust(pki.verifier(), HeldCrls())
    with pytest.raises(Refusal, match="revocation-unknown"):
        trust.check_certificate(signer.certificate, signer.chain, purpose=None, name=None, at=clock.now())


class Fetching:
    """A repository, a relying party that fetches from it, and a count of requests."""

    def __init__(self, pki, clock, folder):
        self.pki, self.clock = pki, clock
        self.repository = Repository(folder)
        self.asked = 0
        self.statuses = []
        self.up = True
        self.exchange = LocalExchange({"http://repository": self.door})
        issuers = [("http://repository", ca) for ca in (pki.root, pki.operating, pki.card_ca)]
        self.trust = Trust(pki.verifier(), ClientServices(self.exchange, issuers, clock))
        self.publish()

    def door(self, request):
        self.asked += 1
        if not self.up:
            self.exchange.doors.clear()
            return self.exchange.send("http://repository", request)
        response = self.repository.handle(request)
        self.statuses.append(response.status)
        return response

    def publish(self):
        cas = (self.pki.root, self.pki.operating, self.pki.card_ca)
        for ca, crl in zip(cas, self.pki.crls(self.clock.now()), strict=True):
            self.repository.publish_crl(ca, crl)

    def rule(self, signer):
        try:
            self.trust.check_certificate(
                signer.certificate, signer.chain, purpose=None, name=None, at=self.clock.now()
            )
        except Refusal as refusal:
            return refusal.rule
        return ""


@pytest.fixture
def fetching(pki, clock, tmp_path):
    return Fetching(pki, clock, tmp_path)


def test_lists_are_asked_for_at_most_every_two_seconds_and_when_something_is_checked(fetching, pki, clock):
    signer = pki.signer("merchant", MERCHANT)
    assert fetching.rule(signer) == fetching.rule(signer) == ""
    assert fetching.asked == 3
    pki.revoke(signer.certificate)
    fetching.publish()
    clock.forward(seconds=1)
    assert fetching.rule(signer) == ""
    clock.forward(seconds=1)
    assert fetching.asked == 3
    assert fetching.rule(signer) == "revoked"
    assert fetching.asked == 6


def test_a_list_that_did_not_change_costs_an_empty_answer(fetching, pki, clock):
    signer = pki.signer("merchant", MERCHANT)
    assert fetching.rule(signer) == ""
    clock.forward(seconds=2)
    assert fetching.rule(signer) == ""
    assert fetching.statuses == [200] * 3 + [304] * 3


def test_a_list_that_was_lost_at_the_start_is_asked_for_again_at_once(pki, clock, tmp_path):
    """One lost answer must not stop a component for long."""
    fetching = Fetching(pki, clock, tmp_path)
    for number in (1, 2):
        fetching.exchange.faults.append(drop_answer(nth(number, to(crl_path(pki.operating)))))
    signer = pki.signer("merchant", MERCHANT)
    assert fetching.rule(signer) == fetching.rule(signer) == "revocation-unknown"
    clock.forward(seconds=1)
    assert fetching.rule(signer) == fetching.rule(signer) == "revocation-unknown"
    assert fetching.asked == 3 + 1  # only what lacks is asked for again
    clock.forward(seconds=1)
    assert fetching.rule(signer) == "revocation-unknown"
    clock.forward(seconds=1)
    assert fetching.rule(signer) == ""


def test_a_repository_that_stays_away_is_asked_ever_more_rarely_and_heard_when_it_is_back(
    fetching, pki, clock
):
    lost = drop_answer(lambda _origin, _request: True)
    fetching.exchange.faults.append(lost)
    signer = pki.signer("merchant", MERCHANT)
    for _ in range(10 * 60):
        assert fetching.rule(signer) == "revocation-unknown"
        clock.forward(seconds=1)
    assert fetching.asked <= 3 * (4 + 60)
    fetching.exchange.faults.remove(lost)
    clock.forward(seconds=10)
    assert fetching.rule(signer) == ""


def test_unreachable_repository_fails_closed_at_next_update(fetching, pki, clock):
    signer = pki.signer("merchant", MERCHANT)
    assert fetching.rule(signer) == ""
    fetching.up = False
    clock.forward(hours=23, minutes=59)
    assert fetching.rule(signer) == ""
    clock.forward(minutes=1)
    assert fetching.rule(signer) == "revocation-unknown"


def test_older_list_does_not_replace_a_newer_one(fetching, pki, clock):
    signer = pki.signer("merchant", MERCHANT)
    before = pki.crls(clock.now())
    clock.forward(minutes=5)
    pki.revoke(signer.certificate, clock.now())
    fetching.publish()
    assert fetching.rule(signer) == "revoked"
    fetching.repository.publish_crl(pki.operating, before[1])
    clock.forward(minutes=5)
    assert fetching.rule(signer) == "revoked"


@pytest.mark.parametrize("body", [b"", b"garbage", b"\x30\x80"])
def test_broken_list_does_not_replace_a_good_one(fetching, pki, clock, body):
    signer = pki.signer("merchant", MERCHANT)
    assert fetching.rule(signer) == ""
    fetching.repository.publish_crl(pki.operating, body)
    clock.forward(minutes=5)
    assert fetching.rule(signer) == ""


def test_forged_list_does_not_replace_a_good_one(fetching, pki, clock):
    signer = pki.signer("merchant", MERCHANT)
    assert fetching.rule(signer) == ""
    clock.forward(minutes=5)
    stranger = make_pki()
    fetching.repository.publish_crl(pki.operating, stranger.crls(clock.now())[1])
    assert fetching.rule(signer) == ""


def test_a_ca_whose_clock_was_set_back_is_heard(fetching, pki, clock):
    """What was revoked while the clock was ahead, or after it was set right, is told by a higher number."""
    signer = pki.signer("merchant", MERCHANT)
    assert fetching.rule(signer) == ""
    before = pki.crls(clock.now() + timedelta(minutes=1))
    fetching.repository.publish_crl(pki.operating, before[1])
    clock.forward(seconds=2)
    assert fetching.rule(signer) == ""
    pki.revoke(signer.certificate, clock.now())
    fetching.publish()
    clock.forward(seconds=2)
    assert fetching.rule(signer) == "revoked"
    fetching.repository.publish_crl(pki.operating, before[1])
    clock.forward(seconds=10)
    assert fetching.rule(signer) == "revoked"
