"""The door at /enrol: codes and requests from programs and browsers, in memory and over a socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2s.base.errors import E2SError
from e2s.base.http import Request
from e2s.community.doors import STORES, Doors, door_of
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.pem import armoured
from e2s.network.sessions.client import HttpExchange
from e2s.security.certificates.certify import request
from e2s.security.enrolment import deciding
from e2s.security.enrolment.client import Enrolled, Waits, enrol
from e2s.security.enrolment.invitations import code_of
from e2s.security.enrolment.service import read_pkcs10
from tests.fuzz.enrolment_targets import parts
from tests.worlds.enrolment import ANNA, World, csr, key

FORM = "multipart/form-data; boundary=----a-boundary"


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def door(world):
    return world.door("enrol")


def posted(world, door, body: bytes, code: str):
    return world.ask(door, "POST", "/enrol/pkcs10", body, authorization=f"Bearer {code}")


def test_a_program_enrols_by_der_and_pem_and_gets_the_same_again(world, door):
    code, der = code_of(*world.invite()), csr()
    first = posted(world, door, der, code)
    assert (first.status, first.headers["content-type"]) == (200, "application/pem-certificate-chain")
    certificate, issuer = read_certificates(first.body)
    assert (certificate.name, issuer) == (ANNA, world.pki.operating)
    assert posted(world, door, armoured(der, b"CERTIFICATE REQUEST"), code.upper()).body == first.body
    assert posted(world, door, armoured(der, b"NEW CERTIFICATE REQUEST"), code).body == first.body
    assert posted(world, door, csr(), code).headers["e2s-rule"] == "invitation-used"


def test_who_waits_is_told_when_to_ask_again(world, door):
    code, der = code_of(*world.invite("code-signing")), csr()
    answer = posted(world, door, der, code)
    assert (answer.status, answer.headers["retry-after"]) == (202, "30")
    world.decide(deciding.waiting(world.office)[0].case)
    assert posted(world, door, der, code).status == 200


@pytest.mark.parametrize(
    ("code", "status", "rule"),
    [
        ("", 401, "bad-code"),
        ("00000000." + "-".join(["0000"] * 8), 401, "wrong-code"),
        ("nonsense", 401, "bad-code"),
        ("00000000." + "-".join(["0000"] * 8) + " more", 401, "bad-code"),
    ],
    ids=["none", "unknown", "nonsense", "two"],
)
def test_who_shows_no_good_code_is_refused(world, door, code, status, rule):
    answer = posted(world, door, csr(), code)
    assert (answer.status, answer.headers["e2s-rule"]) == (status, rule)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_guessing_is_soon_over(world, door):
    reference, secret = world.invite()
    wrong = code_of(reference, b"-".join([b"0000"] * 8))
    rules = [posted(world, door, csr(), wrong).headers["e2s-rule"] for _ in range(6)]
    assert rules == ["wrong-code"] * 5 + ["too-many-tries"]
    answer = posted(world, door, csr(), code_of(reference, secret))
    assert (answer.status, answer.headers["retry-after"]) == (429, "901")


def test_bad_requests_and_paths_are_refused(world, door):
    code = code_of(*world.invite())
    for body in (
        b"",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAA\n-----END CERTIFICATE REQUEST-----",
        b"x" * 40_000,
    ):
        assert posted(world, door, body, code).headers["e2s-rule"] == "bad-request"
    assert world.ask(door, "GET", "/enrol/pkcs10").status == 405
    assert world.ask(door, "GET", "/enrol/nowhere").status == 404
    assert world.ask(door, "GET", "/enrol/certificates/0123456789abcdef.pem").status == 404
    with pytest.raises(E2SError):
        read_pkcs10(b"no")


def test_the_page_gives_what_the_program_gets(world, door):
    code, der = code_of(*world.invite()), csr()
    empty = world.ask(door, "GET", "/enrol")
    assert empty.status == 200
    assert "script-src" not in empty.headers["content-security-policy"]
    assert "default-src 'none'" in empty.headers["content-security-policy"]
    assert world.ask(door, "GET", "/enrol/style.css").headers["content-type"].startswith("text/css")
    sent = {"code": code.encode(), "file": b"", "request": armoured(der, b"CERTIFICATE REQUEST")}
    answer = door(Request("POST", "/enrol", parts(sent), {"content-type": FORM}, "192.0.2.1"))
    assert answer.status == 200
    certificate = Certificate.read(read_certificates(posted(world, door, der, code).body)[0].der)
    assert f"{certificate.serial:x}" in answer.body.decode()
    assert code not in answer.body.decode()
    download = world.ask(door, "GET", f"/enrol/certificates/{certificate.serial:x}.pem")
    assert read_certificates(download.body) == (certificate, world.pki.operating)
    assert "attachment" in download.headers["content-disposition"]


def test_the_page_says_what_is_wrong_and_escapes_what_was_typed(world, door):
    sent = {"code": b"<b>", "file": b"", "request": b"</textarea><script>alert(1)</script>"}
    answer = door(Request("POST", "/enrol", parts(sent), {"content-type": FORM}, "192.0.2.1"))
    assert answer.status == 400
    text = answer.body.decode()
    assert "bad-code" in text
    assert "<script>" not in text
    assert "<b>" not in text
    odd = door(Request("POST", "/enrol", b"", {"content-type": "text/plain"}, "192.0.2.1"))
    assert "bad-form" in odd.body.decode()


def test_our_own_client_enrols_over_tls(world):
    exchange = HttpExchange(anchors=world.pki.root.pem)
    private = key()
    der = request(private, (ANNA,))
    with world.served("enrol", tls=True) as served:
        origin = served.origin.replace("127.0.0.1", "localhost")
        waits = enrol(exchange, origin, code_of(*world.invite("code-signing")), csr())
        assert waits == Waits(retry_seconds=30)
        made = enrol(exchange, origin, code_of(*world.invite()), der)
    assert isinstance(made, Enrolled)
    assert (made.certificate.name, made.chain) == (ANNA, (world.pki.operating,))


def test_doors_lead_by_the_path_and_to_nothing_else(world):
    doors = Doors(world.desk, world.setting(), ("enrol",))
    assert doors.leads("/enrol?x=1")
    assert not doors.leads("/enrolment")
    assert doors(Request("GET", "/elsewhere")).headers["e2s-rule"] == "no-such-door"
    with pytest.raises(E2SError) as caught:
        door_of("ftp", world.desk, world.setting())
    assert caught.value.rule == "no-such-door"


def test_where_events_wait_is_known_of_every_door(world):
    doors = Doors(world.desk, world.setting())
    files = {Path(str(database.engine.url.database)).name for _, database, _ in doors.outboxes}
    assert files | {"enrolment.sqlite"} == set(STORES)
    doors.close()


def test_a_door_that_fails_holds_up_no_other(world):
    ticked = []

    class Failing:
        def tick(self, now):
            ticked.append(now)
            raise ZeroDivisionError

    doors = Doors(world.desk, world.setting(), ("enrol",))
    doors.doors = {"one": Failing(), "two": Failing()}  # type: ignore[dict-item]
    with pytest.raises(ZeroDivisionError):
        doors.tick(world.clock.now())
    assert len(ticked) == 2
