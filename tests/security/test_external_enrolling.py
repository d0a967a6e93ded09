"""Keys in files and tokens are certified at another provider's ACME, EST and CMP doors, renewed and ended."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from e2s.base.errors import Refusal
from e2s.crypto.suites import signature_suite
from e2s.security.cmp.client import CmpClient
from e2s.security.cmp.protection import Shared, Signed
from e2s.security.est.client import EstClient
from e2s.security.external.enrolling import (
    ByAcme,
    ByCmp,
    ByEst,
    Enrolled,
    Later,
    check_came,
    obtained,
    request_for,
)
from e2s.security.keys.container import Cost
from e2s.security.keys.key_place import InSealedFile, InToken
from e2s.security.keys.lent import lent
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.where import make_key, open_key
from tests.worlds.acme import SHOP, AcmeWorld, Word
from tests.worlds.enrolment import ANNA, World, csr
from tests.worlds.token import LABEL, PIN, place, tokens

__all__ = ["tokens"]

SUITE = "p256-sha256"
CHEAP = Cost(memory_kib=8, passes=1)


class Direct:
    """Carries requests to a door in this process, as if by TLS; ``peer`` is whose certificate was shown."""

    def __init__(self, door, peer=b""):
        self.door, self.peer = door, peer

    def send(self, _origin, request):
        return self.door(replace(request, client="192.0.2.1", peer=self.peer, secure=True))


@pytest.fixture
def world(tmp_path):
    (tmp_path / "world").mkdir()
    made = World(tmp_path / "world")
    yield made
    made.close()


def cmp_way(world, protector):
    def judge(certificate, beside):
        world.trust.check_certificate(certificate, beside, purpose=None, name=None, at=world.clock.now())

    client = CmpClient(
        exchange=Direct(world.door("cmp")),
        origin="http://provider",
        protector=protector,
        clock=world.clock,
        random=secrets.token_bytes,
        judge=judge,
    )
    return ByCmp(client=client)


def est_way(world, *, peer=b"", invitation=None):
    return ByEst(client=EstClient(Direct(world.door("est"), peer), "https://provider", invitation=invitation))


def made(folder, where=InSealedFile(), phrase="word"):  # noqa: B008 - a value
    return make_key(folder, where, Phrase(phrase), SUITE, label="own", random=secrets.token_bytes, cost=CHEAP)


def came(world, ask, request):
    found = obtained(ask, request, (world.pki.root,), now=world.clock.now)
    assert isinstance(found, Enrolled)
    return found


def rule(act, *arguments, **named):
    with pytest.raises(Refusal) as refusal:
        act(*arguments, **named)
    return refusal.value.rule


@pytest.mark.parametrize("protocol", ["est", "cmp"])
@pytest.mark.parametrize("kept", ["file", "token"])
def test_a_key_stays_where_it_lives_and_is_certified_renewed_and_ended(
    world, tmp_path, request, protocol, kept
):
    where: InSealedFile | InToken = InSealedFile()
    phrase = "word"
    if kept == "token":
        request.getfixturevalue("tokens")
        where, phrase = InToken(place=place(LABEL), label="own"), PIN
    invitation = world.invite("person")
    if protocol == "est":
        way = est_way(world, invitation=invitation)
    else:
        reference, secret = invitation
        shared = Shared(reference=reference.encode(), secret=secret, random=secrets.token_bytes)
        way = cmp_way(world, shared)
    folder = tmp_path / "own"
    new = made(folder, where, phrase)
    asked = request_for(new.key, signature_suite(SUITE), (ANNA,))
    found = came(world, lambda: way.enrol(asked), asked)
    opened = new.certified(found.certificate, found.chain)
    assert found.certificate.name == ANNA
    signer = opened.signer()
    world.clock.forward(days=640)
    again = request_for(lent(signer), signer.suite, (ANNA,))
    way = (
        est_way(world, peer=found.certificate.der)
        if protocol == "est"
        else cmp_way(world, Signed(signer=signer))
    )
    newer = came(world, lambda: way.renew(again, found.certificate), again)
    assert newer.certificate.spki == found.certificate.spki
    opened.recertified(newer.certificate, newer.chain, Phrase(phrase), random=secrets.token_bytes)
    opened.close()
    opened = open_key(folder, Phrase(phrase), label="own")
    assert opened.signer().certificate == newer.certificate
    if protocol == "est":
        assert rule(way.revoke, newer.certificate, "superseded") == "not-by-this-protocol"
    else:
        way = cmp_way(world, Signed(signer=opened.signer()))
        way.revoke(newer.certificate, "superseded")
        assert world.desk.revoked(newer.certificate.serial)
    opened.close()


def test_a_key_is_certified_at_an_acme_door(tmp_path):
    world = AcmeWorld(tmp_path)
    client = world.client(SHOP)
    new = made(tmp_path / "own")
    asked = request_for(new.key, signature_suite(SUITE), (SHOP,))
    way = ByAcme(client=client, responder=Word(world.hosts), names=(SHOP,))
    roots, clock = (world.world.pki.root,), world.world.clock
    found = obtained(lambda: way.enrol(asked), asked, roots, now=clock.now)
    assert isinstance(found, Enrolled)
    assert found.certificate.dns == (SHOP,)
    newer = obtained(lambda: way.renew(asked, found.certificate), asked, roots, now=clock.now)
    assert isinstance(newer, Enrolled)
    assert newer.certificate != found.certificate
    way.revoke(newer.certificate, "superseded")
    assert world.world.desk.revoked(newer.certificate.serial)
    world.close()


def test_what_leads_elsewhere_or_is_for_another_key_is_refused(world):
    first, second = csr(), csr()
    way = est_way(world, invitation=world.invite("person"))
    found = way.enrol(first)
    now = world.clock.now()
    assert rule(check_came, found, second, (world.pki.root,), now) == "key-mismatch"
    assert rule(check_came, found, first, (world.pki.card_ca,), now) == "unknown-root"
    assert rule(check_came, found, first, (), now) == "unknown-root"


def test_who_must_wait_asks_again(world):
    way = est_way(world, invitation=world.invite("organisation", ("urn:e2s:market:alpha",)))
    asked, slept = csr("urn:e2s:market:alpha"), []

    def pause(seconds):
        slept.append(seconds)

    found = obtained(
        lambda: way.enrol(asked),
        asked,
        (world.pki.root,),
        now=world.clock.now,
        wait_seconds=70,
        pause=pause,
    )
    assert isinstance(found, Later)
    assert sum(slept) == 70
