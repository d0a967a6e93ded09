"""The authority's processes as founded: who may ask whom what, what certificates name, and the key that answers."""

from __future__ import annotations

import secrets

import pytest
from cryptography import x509

from e2s.base import wire
from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.base.http import Request
from e2s.community import doctor
from e2s.community.publishers import places_of
from e2s.crypto.certificates import read_certificates
from e2s.network.sessions.link import Link
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.services import ClientServices
from tests.worlds.pki import SetClock
from tests.worlds.whole import Whole

CA = "authority-ca"
PATHS = ["/issue", "/revoke", "/changes", "/lists", "/list", "/renew", "/known", "/recertify"]
ALLOWED = {
    "authority-registration": {"/issue", "/revoke"},
    "authority-enrolment": {"/known", "/recertify", "/revoke"},
    "authority-repository": {"/changes", "/lists", "/list", "/renew"},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    whole = Whole(tmp_path_factory.mktemp("market"))
    yield whole
    whole.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("peer", sorted(ALLOWED))
def test_each_kind_of_peer_has_its_own_doors_at_the_ca(whole, peer, path):
    link = whole.place(peer).link(whole.community.component(CA))
    try:
        link.ask(path, wire.encode({"after": 0, "most": 1}))
        rule = ""
    except E2SError as error:
        rule = error.rule
    assert (rule != "link-no-door") == (path in ALLOWED[peer])


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_reaches_no_door_of_the_ca(whole, path):
    origin = whole.community.component(CA).origin
    for method in ("GET", "POST"):
        answer = whole.exchange.send(origin, Request(method, path, b"{}"))
        assert answer.status == 403
    stranger = Link(
        "authority-stamps-1", CA, bytes(32), whole.exchange, origin, whole.clock, secrets.token_bytes
    )
    with pytest.raises(Unreachable):
        stranger.ask(path, b"{}")


def test_the_doctor_says_when_the_roots_list_runs_out(whole):
    folder, clock = whole.folder, SetClock(whole.clock.now())

    def said():
        return {one.what: one.state for one in doctor.examine(folder, clock, whole.community)}["root's list"]

    assert said() == doctor.FINE
    clock.forward(days=160)
    assert said() == doctor.ADVICE
    clock.forward(days=30)
    assert said() == doctor.LACKS


def test_certificates_name_where_their_lists_and_answers_are(whole):
    community = whole.community
    for name, label, holder, answered in (
        ("alpha-wallet", "buyer", CA, True),
        ("alpha-wallet", "card", "issuer-desk", False),
        (CA, "ca", "authority-repository", True),
    ):
        certificate = whole.home.certificates(name, label)[0]
        origin = places_of(community, community.component(holder)).base
        (point,) = certificate.values[x509.CRLDistributionPoints]
        assert point.full_name[0].value.startswith(f"{origin}/crl/")
        access = {one.access_location.value for one in certificate.values[x509.AuthorityInformationAccess]}
        assert (f"{origin}/ocsp" in access) == answered


def test_the_responder_answers_and_its_key_is_renewed_in_time(whole):
    place = whole.place("alpha-wallet")
    services = ClientServices(whole.exchange, place.authorities(), whole.clock)
    buyer, issuer = whole.home.certificates("alpha-wallet", "buyer")[:2]

    def good():
        answer = services.status(buyer, issuer, secrets.token_bytes)
        (root,) = whole.home.anchors()
        lists = [der for der in services.crls(buyer, issuer) if CrlIndex.read(der).names(root)]
        judged = place.trust().verifier.judge(
            buyer, (issuer,), lists, at=whole.clock.now(), purpose=None, name=None, ocsp=(answer,)
        )
        return judged.accepted

    whole.tick()
    assert good()
    first = whole.home.certificates("authority-repository", "ocsp")[0]
    newer = whole.home.component(whole.community.component("authority-repository")).path / "ocsp.pem"
    whole.tick(seconds=59 * 24 * 3600)
    assert not newer.exists()
    whole.tick(seconds=2 * 24 * 3600)
    renewed = read_certificates(newer.read_bytes())[0]
    assert (renewed.spki, renewed.not_after > first.not_after) == (first.spki, True)
    whole.tick(seconds=30 * 24 * 3600)  # the first one is over
    assert whole.clock.now() > first.not_after
    assert good()
    whole.kill("authority-repository")
    whole.start("authority-repository")
    assert good()


def test_an_outage_of_the_ca_is_told_once_and_ends_the_answers_after_five_minutes(whole):
    whole.tick()
    buyer, issuer = whole.home.certificates("alpha-wallet", "buyer")[:2]
    services = ClientServices(whole.exchange, whole.place("alpha-wallet").authorities(), whole.clock)
    whole.kill(CA)
    whole.tick(3)
    assert services.status(buyer, issuer, secrets.token_bytes)
    whole.clock.forward(minutes=6)
    with pytest.raises(Refusal, match="bad-ocsp"):
        services.status(buyer, issuer, secrets.token_bytes)
    whole.start(CA)
    whole.tick()
    assert services.status(buyer, issuer, secrets.token_bytes)
