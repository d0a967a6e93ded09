"""The responder tells what the CA's register says, at once, in its name, and nothing when it cannot know."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from cryptography.x509 import ocsp

from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import Request
from e2s.security.status.answers import (
    INTERNAL,
    MALFORMED,
    TRY_LATER,
    UNAUTHORIZED,
    Single,
    Status,
    cert_id,
    write_answer,
)
from e2s.security.status.entries import Entry, encode
from e2s.security.status.queries import write_query
from e2s.security.status.responder import ANSWER, QUERY, Answering, Responder
from e2s.security.verification.ocsp import Answer
from e2s.security.verification.revoked import REASONS, Revocation
from e2s.security.verification.verifier import Verifier
from tests.security.status_world import OCSP, Told, make_status
from tests.security.test_queries import HOSTILE
from tests.worlds.pki import START, make_pki


@pytest.fixture
def world(tmp_path):
    made = make_status(tmp_path)
    made.tell(5)
    made.tell(6, Entry(6, START - timedelta(days=1), "keyCompromise", START - timedelta(days=2)))
    yield made
    made.database.close()


def get(world, octets, **headers):
    path = "/ocsp/" + quote(base64.b64encode(octets).decode(), safe="")
    return world.responder.handle(Request("GET", path, b"", headers))


@pytest.mark.parametrize(
    ("path", "size", "quick"),
    [
        ("/ocsp", 120, True),
        ("/ocsp/abc", 0, True),
        ("/ocsp", 513, False),
        ("/ocsp/" + "a" * 600, 0, False),
        ("/crl", 0, False),
    ],
)
def test_only_queries_of_usual_size_are_answered_at_once(world, path, size, quick):
    assert world.responder.quick(Request("POST" if size else "GET", path, bytes(size))) is quick


# ------------------------------------------------------------------ what is told


def test_good_revoked_unknown(world):
    for serial, status in ((5, "good"), (6, "revoked"), (7, "unknown")):
        (single,) = world.told(serial).singles
        assert (single.serial, single.status) == (serial, status)
    assert world.told(6).singles[0].revocation.at == START - timedelta(days=1)
    assert world.status(6) == "keyCompromise"


@pytest.mark.parametrize("reason", sorted(set(REASONS.values()) - {"removeFromCRL"}))
def test_every_reason(world, reason):
    world.revoke(5, reason)
    assert world.status(5) == reason


def test_a_hold_is_told_and_released(world):
    world.revoke(5, "certificateHold")
    assert world.status(5) == "certificateHold"
    world.tell(5)
    assert world.status(5) == "good"


def test_a_serial_that_was_voided_is_revoked(world):
    world.tell(8, Entry(8, START, "cessationOfOperation"), known=False)
    assert world.status(8) == "cessationOfOperation"
    world.tell(9, known=False)
    assert world.status(9) == "unknown"


@pytest.mark.parametrize("hashing", ["sha1", "sha256", "sha384", "sha512"])
def test_issuers_named_by_any_digest(world, hashing):
    assert world.told(5, hashing=hashing).singles[0].hashing == hashing


def test_several_at_once_in_the_order_asked(world):
    answer = world.told(7, 6, 5)
    assert [(one.serial, one.status) for one in answer.singles] == [
        (7, "unknown"),
        (6, "revoked"),
        (5, "good"),
    ]


def test_a_nonce_comes_back(world):
    for nonce in (b"n", b"n" * 32, b"n" * 128):
        body = world.ask(world.query(5, nonce=nonce)).body
        assert ocsp.load_der_ocsp_response(body).extensions[0].value.nonce == nonce
    assert not list(ocsp.load_der_ocsp_response(world.ask(world.query(5)).body).extensions)


def test_never_issued_as_revoked(tmp_path):
    world = make_status(tmp_path, answering=Answering(never_issued="revoked"))
    body = world.ask(world.query(7)).body
    (single,) = Answer.read(body).singles
    assert single.revocation == Revocation(datetime(1970, 1, 1, tzinfo=UTC), "certificateHold")
    assert "1.3.6.1.5.5.7.48.1.9" in {
        one.oid.dotted_string for one in ocsp.load_der_ocsp_response(body).extensions
    }
    world.database.close()


SUITES = [
    "p256-sha256",
    "p384-sha384",
    "p521-sha512",
    "ed25519",
    "ed448",
    "rsa3072-pss-sha256",
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
]


@pytest.mark.parametrize("suite", SUITES)
def test_the_verifier_takes_it(tmp_path, suite):
    world = make_status(tmp_path, suite=suite)
    certificate, chain, _ = world.pki.issue("merchant", "urn:e2s:market:volt")
    world.tell(certificate.serial)

    def judged():
        body = world.ask(world.query(certificate.serial)).body
        lists = [world.pki.crls()[0]]
        return Verifier(world.pki.anchors).judge(
            certificate, chain, lists, at=START, purpose=None, name=None, ocsp=[body]
        )

    assert judged().accepted
    world.revoke(certificate.serial)
    assert judged().rule == "revoked"
    world.database.close()


def test_several_cas_each_by_its_own_delegate(world):
    card = world.pki.card_ca
    world.responder.speak(card, world.pki.bank_ca.signer)
    with world.database.transaction() as connection:
        world.responder.apply(connection, card, [Told(1, 5, None)], START)
    answer = world.told(5, ca=card)
    assert answer.by(card)
    assert not answer.certificates  # the CA's own needs no delegate's certificate
    assert world.told(5).by(world.signer.certificate)
    one, other = (Answer.read(world.ask(octets).body) for octets in (world.query(5), world.query(5, ca=card)))
    assert one.responder != other.responder


def test_certificates_of_two_cas_in_one_query(world):
    world.responder.speak(world.pki.card_ca, world.pki.bank_ca.signer)
    both = write_query((cert_id(world.ca, 5), cert_id(world.pki.card_ca, 5)))
    refused(world.ask(both), UNAUTHORIZED, "unknown-issuer")


# ------------------------------------------------------------------ what is not told


def refused(response, body, rule):
    assert (response.status, response.body, response.headers["e2s-rule"]) == (200, body, rule)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_queries(world, name):
    rule, octets = HOSTILE[name]
    refused(world.ask(octets), MALFORMED, rule)
    if octets and len(octets) < 4096:
        refused(get(world, octets), MALFORMED, rule)


def test_a_ca_that_is_not_known_here(world):
    refused(world.ask(world.query(5, ca=make_pki().operating)), UNAUTHORIZED, "unknown-issuer")
    refused(world.ask(world.query(5, ca=world.pki.root)), UNAUTHORIZED, "unknown-issuer")


def test_a_register_that_was_not_heard_of(world, tmp_path):
    world.ask(world.query(5))
    world.clock.forward(minutes=5, seconds=1)
    for octets in (world.query(5), world.query(6, nonce=b"n" * 32)):
        refused(world.ask(octets), TRY_LATER, "status-stale")
    world.follow()
    assert world.status(5) == "good"


def test_nothing_before_the_register_was_first_heard_of(world):
    responder = Responder(world.database, clock=world.clock)
    responder.speak(world.ca, world.signer)
    request = Request("POST", "/", world.query(5), {"content-type": QUERY})
    refused(responder.handle(request), TRY_LATER, "status-stale")


def test_a_delegate_whose_certificate_ended(world):
    world.clock.at = world.signer.certificate.not_after
    world.follow()
    refused(world.ask(world.query(5)), TRY_LATER, "status-stale")


def test_a_key_that_does_not_sign(world):
    class Locked:
        certificate, chain, suite = world.signer.certificate, (), world.signer.suite

        def sign(self, _data):
            raise Refusal("key-locked", "the key asks for its phrase")

    world.responder.speak(world.ca, Locked())
    refused(world.ask(world.query(5)), INTERNAL, "key-locked")


def test_a_database_that_does_not_answer(world, monkeypatch):
    def reading():
        raise Unreachable("disk-full", "there is no room on the disk")

    monkeypatch.setattr(world.database, "glance", reading)
    refused(world.ask(world.query(5)), TRY_LATER, "disk-full")


def test_a_delegate_of_another_ca_is_not_taken(world):
    for signer in (
        make_pki().signer("ocsp-responder", OCSP),
        world.pki.signer("merchant", "urn:e2s:market:volt"),
        world.pki.root_ca.signer,
    ):
        with pytest.raises(Misuse, match="wrong-purpose"):
            world.responder.speak(world.ca, signer)


def test_an_answer_goes_forward_in_time(world):
    with pytest.raises(Misuse, match="bad-instant"):
        write_answer([Single(b"", Status(known=True))], world.signer, world.ca, at=START, until=START)


# ------------------------------------------------------------------ how long


def test_an_answer_is_kept_until_half_its_time_is_over(world):
    first = world.ask(world.query(5)).body
    world.clock.forward(minutes=29)
    world.follow()
    assert world.ask(world.query(5)).body == first
    world.clock.forward(minutes=1)
    world.follow()
    later = world.ask(world.query(5)).body
    assert later != first
    assert Answer.read(later).singles[0].this_update == START + timedelta(minutes=30)
    assert Answer.read(later).singles[0].next_update == START + timedelta(minutes=90)
    world.clock.at = START
    assert world.ask(world.query(5)).body != later  # nor one from the future


def test_an_answer_is_not_kept_when_its_certificate_changes(world):
    assert world.status(5) == "good"
    world.revoke(5)
    assert world.status(5) == "keyCompromise"


def test_a_change_that_was_undone_was_never_told(world):
    assert world.status(5) == "good"
    with pytest.raises(Refusal, match="feed-gap"), world.database.transaction() as connection:
        world.responder.apply(connection, world.ca, [Told(3, 6), Told(5, 5)], START)
    assert (world.status(5), world.status(6)) == ("good", "keyCompromise")
    world.revoke(5)
    assert world.status(5) == "keyCompromise"


def test_what_another_process_applied_is_noticed(world):
    assert world.status(5) == "good"
    other = Responder(world.database, clock=world.clock)
    with world.database.transaction() as connection:
        other.apply(connection, world.ca, [Told(3, 5, encode(Entry(5, START)))], START)
    world.responder.tick()
    assert world.status(5) == "unspecified"


def test_an_unknown_serial_is_not_kept(world):
    assert world.status(70) == "unknown"
    assert "cache-control" not in get(world, world.query(70)).headers
    world.tell(70)
    assert world.status(70) == "good"


def test_no_more_answers_are_kept_than_set(tmp_path):
    world = make_status(tmp_path, answering=Answering(kept=3))
    for serial in range(1, 9):
        world.tell(serial)
        world.status(serial)
    assert len(world.responder._kept) == 3
    world.database.close()


def test_many_changes_at_once(world, monkeypatch):
    monkeypatch.setattr("e2s.security.status.responder._MAX_CHANGED", 4)
    assert world.status(5) == "good"
    for serial in range(100, 110):
        world.tell(serial)
        world.status(serial)
    world.revoke(5)
    assert world.status(5) == "keyCompromise"
    assert all(world.status(serial) == "good" for serial in range(100, 110))


def test_a_renewed_delegate_answers(world):
    near = world.signer.certificate.not_after - timedelta(days=29)
    assert world.responder.due(START) == ()
    assert world.responder.due(near) == (world.ca,)
    renewed = world.pki.signer("ocsp-responder", OCSP, at=near)
    world.responder.speak(world.ca, renewed)
    assert world.responder.due(near) == ()
    world.clock.at = near
    world.follow()
    assert world.told(5).certificates == (renewed.certificate,)


def test_an_answer_ends_with_its_signers_certificate(world):
    end = world.signer.certificate.not_after
    world.clock.at = end - timedelta(minutes=10)
    world.follow()
    assert world.told(5).singles[0].next_update == end


# ------------------------------------------------------------------ the feed


@pytest.mark.parametrize("numbers", [[4], [2], [3, 5], [3, 3], [4, 3]], ids=str)
def test_a_gap_or_another_order_refuses(world, numbers):
    with pytest.raises(Refusal, match="feed-gap"), world.database.transaction() as connection:
        world.responder.apply(connection, world.ca, [Told(number, 5) for number in numbers], START)
    with world.database.reading() as connection:
        assert world.responder.followed(connection, world.ca) == 2


@pytest.mark.parametrize("entry", [b"", b"\x30\x00", b"garbage"])
def test_an_entry_that_is_none(world, entry):
    with pytest.raises(Refusal, match="feed-entry"), world.database.transaction() as connection:
        world.responder.apply(connection, world.ca, [Told(3, 5, entry)], START)


def test_an_entry_of_another_serial(world):
    entry = world.feed[1].entry
    with pytest.raises(Refusal, match="feed-entry"), world.database.transaction() as connection:
        world.responder.apply(connection, world.ca, [Told(3, 5, entry)], START)


def test_started_again_it_knows_what_it_knew(world):
    world.database.close()
    world.open()
    assert (world.status(5), world.status(6)) == ("good", "keyCompromise")


# ------------------------------------------------------------------ HTTP


def test_get_and_its_caching(world):
    response = get(world, world.query(5))
    assert response.headers["content-type"] == ANSWER
    assert response.headers["cache-control"] == "max-age=60, public, no-transform, must-revalidate"
    assert response.headers["last-modified"] == "Mon, 02 Mar 2026 09:00:00 GMT"
    assert response.headers["expires"] == "Mon, 02 Mar 2026 10:00:00 GMT"
    again = get(world, world.query(5), **{"if-none-match": response.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert world.ask(world.query(5)).body == response.body
    assert "cache-control" not in world.ask(world.query(5)).headers
    assert "cache-control" not in get(world, world.query(5, nonce=b"n")).headers


def test_base64_as_it_is_and_percent_encoded(world):
    text = base64.b64encode(world.query(5)).decode()
    paths = (f"/ocsp/{text}", "/ocsp/" + quote(text), "/ocsp/" + quote(text, safe=""))
    bodies = {world.responder.handle(Request("GET", path)).body for path in paths}
    assert len(bodies) == 1
    assert Answer.read(bodies.pop()).singles[0].serial == 5


@pytest.mark.parametrize(
    "path",
    ["", "/", "/%", "/%2", "/*", "/AAA", "/A===", "/" + "A" * 30_000, "/%41" * 30_000, "/\u00e9", "/..%2f.."],
)
def test_paths_that_ask_nothing(world, path):
    response = world.responder.handle(Request("GET", "/ocsp" + path))
    assert response.body == MALFORMED
    assert response.headers["e2s-rule"] == ("query-too-large" if len(path) > 22_000 else "bad-query")


@pytest.mark.parametrize(
    ("method", "kind", "status"),
    [("PUT", QUERY, 405), ("DELETE", "", 405), ("POST", "text/plain", 415), ("POST", "", 415)],
)
def test_other_methods_and_types(world, method, kind, status):
    request = Request(method, "/ocsp", world.query(5), {"content-type": kind})
    assert world.responder.handle(request).status == status
