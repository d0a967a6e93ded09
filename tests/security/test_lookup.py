"""Look-up by RFC 4387: what is found by what, several in parts, and every other question refused by its rule."""

from __future__ import annotations

import email
import email.policy
from base64 import b64encode
from datetime import timedelta
from hashlib import sha1
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.http import Request, Response
from e2s.base.outbox import Outbox
from e2s.network.sessions.local import LocalExchange
from e2s.security.repository import store
from e2s.security.repository.door import PublicDoor
from e2s.security.repository.files import Repository
from e2s.security.repository.rates import PUBLIC, RateLimit, Rates, client_of
from e2s.security.repository.search import read_query
from e2s.security.verification.searching import CERTIFICATES_PATH, CRLS_PATH, read_found, search_key
from e2s.security.verification.services import ClientServices
from tests.worlds.pki import START, SetClock, make_pki

PKI = make_pki()
ORIGIN = "http://repository:8080"
ANNA = PKI.issue("buyer", ("urn:e2s:market:alpha:anna", "urn:e2s:market:alpha"))[0]
AGAIN = PKI.issue("buyer", ("urn:e2s:market:alpha:anna", "urn:e2s:market:alpha"))[0]
FRONT = PKI.issue("tls-server", ("shop.example",))[0]
LIST = PKI.crls()[1]


def key(octets):
    """As RFC 4387, 2.1 says it, from the library's parts."""
    return b64encode(sha1(octets, usedforsecurity=False).digest()).decode().rstrip("=")


class Site:
    """A repository with a few certificates and lists, behind its public door."""

    def __init__(self, folder, rates=PUBLIC):
        self.clock = SetClock()
        self.files = Repository(folder / "public", reserve=0)
        self.database = Database.open(folder / "data.db", store.TABLES)
        self.door = PublicDoor(
            self.files,
            self.database,
            component="authority-repository",
            clock=self.clock,
            outbox=Outbox(store.OUTBOX),
            rates=rates,
            others={"/ocsp": lambda request: Response(200, request.path.encode())},
        )
        for certificate in (PKI.root, PKI.operating, ANNA, AGAIN, FRONT):
            self.add(certificate)
        self.files.publish_crl(PKI.operating, LIST)
        with self.database.transaction() as connection:
            self.door.lookup.add_list(connection, PKI.operating, LIST, None, delta=False)
        self.exchange = LocalExchange({ORIGIN: self.door.handle})
        self.services = ClientServices(self.exchange, [(ORIGIN, PKI.operating)], self.clock)

    def add(self, certificate):
        self.files.publish_certificate(certificate)
        with self.database.transaction() as connection:
            self.door.lookup.add_certificate(connection, certificate)

    def get(self, path, method="GET", client="192.0.2.1"):
        return self.door.handle(Request(method, path, client=client))

    def events(self):
        with self.database.reading() as connection:
            rows = Outbox(store.OUTBOX).waiting(connection, "audit")
        return [body.decode() for _, body in rows]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"), Rates(each=1e6, total=1e6))


@pytest.mark.parametrize(
    ("attribute", "value", "found"),
    [
        ("certHash", key(FRONT.der), [FRONT]),
        ("iHash", key(PKI.root.slices.subject), [PKI.operating, PKI.root]),
        ("sHash", key(ANNA.slices.subject), [AGAIN, ANNA]),
        ("iAndSHash", key(ANNA.issuer_and_serial), [ANNA]),
        ("sKIDHash", key(PKI.operating.key_id), [PKI.operating]),
        ("uri", "urn:e2s:market:alpha:anna", [AGAIN, ANNA]),
        ("uri", "e2s:market:alpha:anna", [AGAIN, ANNA]),
        ("uri", "shop.example", [FRONT]),
        ("name", "anna", [AGAIN, ANNA]),
    ],
    ids=["certHash", "iHash", "sHash", "iAndSHash", "sKIDHash", "uri", "uri-bare", "dns", "name"],
)
def test_found_by_each_attribute_the_newest_first(site, attribute, value, found):
    assert site.services.find(attribute, value) == tuple(one.der for one in found)


def test_lists_are_found_by_their_issuer(site):
    assert search_key(b"x") == key(b"x")
    for attribute, value in (("iHash", PKI.operating.slices.subject), ("sKIDHash", PKI.operating.key_id)):
        answer = site.get(f"{CRLS_PATH}?{attribute}={quote(key(value), safe='')}")
        assert (answer.status, answer.body) == (200, LIST)
        assert answer.headers["content-type"] == "application/pkix-crl"


def test_several_come_as_multipart_that_others_read(site):
    answer = site.get(f"{CERTIFICATES_PATH}?name=anna")
    head = f"Content-Type: {answer.headers['content-type']}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    parts = list(email.message_from_bytes(head + answer.body, policy=email.policy.HTTP).iter_parts())
    assert [part.get_payload(decode=True) for part in parts] == [AGAIN.der, ANNA.der]
    assert {part.get_content_type() for part in parts} == {"application/pkix-cert"}


def test_nothing_found(site):
    answer = site.get(f"{CERTIFICATES_PATH}?certHash={key(b'nobody')}".replace("+", "%2B"))
    assert (answer.status, answer.headers["e2s-rule"]) == (404, "not-found")
    assert site.services.find("certHash", key(b"nobody")) == ()


def test_results_are_bounded(tmp_path):
    site = Site(tmp_path)
    for _ in range(40):
        site.add(PKI.issue("buyer", ("urn:e2s:market:beta:bruno",))[0])
    answer = site.get(f"{CERTIFICATES_PATH}?name=bruno")
    assert answer.headers["e2s-left-out"] == "more"
    assert len(read_found(answer.headers["content-type"], answer.body)) == 32


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("", "bad-query"),
        ("?", "bad-query"),
        ("?name", "bad-query"),
        ("?name=", "bad-query"),
        ("?name=a&uri=b", "bad-query"),
        ("?name=a;uri=b", "bad-query"),
        ("?name=%zz", "bad-query"),
        ("?name=%ff", "bad-query"),
        ("?name=%00", "bad-query"),
        ("?name=" + "a" * 257, "bad-query"),
        ("?name=" + "%61" * 1000, "bad-query"),
        ("?certHash=" + "A" * 26, "bad-query"),
        ("?certHash=" + "A" * 27 + "=", "bad-query"),
        ("?certHash=%27%20OR%201=1--", "bad-query"),
        ("?certHash=" + "%C3%84" * 27, "bad-query"),
        ("?serial=1", "unknown-attribute"),
        ("?CERTHASH=" + "A" * 27, "unknown-attribute"),
        ("?name%3D=a", "unknown-attribute"),
    ],
    ids=range(18),
)
def test_every_other_question_is_refused(site, query, rule):
    answer = site.get(CERTIFICATES_PATH + query)
    assert (answer.status, answer.headers["e2s-rule"]) == (400, rule)


def test_a_list_is_not_found_by_name(site):
    assert site.get(f"{CRLS_PATH}?name=anna").headers["e2s-rule"] == "unknown-attribute"
    assert site.get(f"{CRLS_PATH}?name=anna", "POST").status == 405


@given(st.text(max_size=80))
def test_garbage_questions(text):
    try:
        query = read_query(f"{CERTIFICATES_PATH}?{text}")
    except Refusal as refusal:
        assert refusal.rule in {"bad-query", "unknown-attribute"}
    else:
        assert len(query.value) <= 256


@given(st.sampled_from(["name", "uri"]), st.text(min_size=1, max_size=60).filter(str.isprintable))
def test_what_is_asked_arrives(attribute, value):
    assert read_query(f"{CERTIFICATES_PATH}?{attribute}={quote(value, safe='')}").value == value


@given(
    st.sampled_from(["multipart/mixed; boundary=x", "application/pkix-cert", "text/html", ""]),
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                [b"--x", b"--x--", b"\r\n", b"content-type: application/pkix-cert", b"\r\n\r\n", b"DER"]
            )
        ).map(b"".join),
    ),
)
def test_garbage_answers(kind, body):
    try:
        assert all(part in body for part in read_found(kind, body))
    except Refusal as refusal:
        assert refusal.rule == "bad-look-up"


# ---------------------------------------------------------------------- the door and its rates


def test_the_door_leads_to_files_look_up_and_others(site):
    assert site.get("/anchor.pem").status == 404
    assert site.get("/ocsp").body == b"/ocsp"
    assert site.get("/ocsp/AAAA").body == b"/ocsp/AAAA"
    assert site.get("/ocsps").status == 404


def test_who_asks_too_often_is_told_when_to_come_back(tmp_path):
    site = Site(tmp_path, Rates(each=1, total=100, burst=3))
    for _ in range(3):
        assert site.get("/x").status == 404
    answer = site.get("/x")
    assert (answer.status, answer.headers["e2s-rule"]) == (429, "too-many-requests")
    assert int(answer.headers["retry-after"]) >= 1
    assert site.get("/x", client="192.0.2.2").status == 404
    site.clock.forward(seconds=1)
    assert site.get("/x").status == 404
    for _ in range(50):
        assert site.get("/x").status == 429
    assert len(site.events()) == 1  # counted, not listed
    site.clock.forward(seconds=61)
    site.door.tick()
    assert '"times":50' in site.events()[-1]


def test_all_together_are_bounded():
    limit = RateLimit(Rates(each=10, total=10, burst=1))
    for number in range(10):
        limit.take(f"192.0.2.{number}", START)
    with pytest.raises(Refusal, match="too-many-requests"):
        limit.take("192.0.2.99", START)


def test_what_is_remembered_is_bounded_and_a_network_is_one_client():
    limit = RateLimit(Rates(each=1, total=1e9, burst=1, addresses=100))
    for number in range(1000):
        limit.take(f"10.0.{number // 250}.{number % 250}", START)
    assert len(limit) == 100
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff:1") != client_of("2001:db8:1::1")
    assert client_of("::ffff:192.0.2.1") == client_of("192.0.2.1")
    assert client_of("") == ""


@given(st.lists(st.integers(-5, 20), max_size=60))
def test_no_history_of_the_clock_lets_more_through_than_time_gives(steps):
    """At most the burst, and from then on the rate times the time that went forward."""
    limit, at, forward, passed = RateLimit(Rates(each=2, total=1e9, burst=2)), START, 0, 0
    for step in steps:
        at += timedelta(seconds=step)
        forward += max(0, step)
        try:
            limit.take("a", at)
            passed += 1
        except Refusal:
            pass
    assert passed <= 4 + 2 * forward
