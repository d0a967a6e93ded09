"""A repository follows its CA over a link: nothing is lost by an outage, and lists of any size come whole."""

from __future__ import annotations

import http.server
import secrets
import threading
from datetime import timedelta
from functools import partial

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Refusal, Unreachable
from e2s.base.outbox import Outbox
from e2s.base.rights import TableAuthoriser
from e2s.crypto.keys import KeySigner
from e2s.network.sessions.client import HttpExchange
from e2s.network.sessions.link import Link, LinkDoor
from e2s.network.sessions.local import LocalExchange, drop_answer, to
from e2s.security.ceremonies.renewing import RENEW, renewal_door
from e2s.security.keys.generation import generate
from e2s.security.pki import store as register
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.feed import Change
from e2s.security.pki.feed_service import MAX_PIECE, FeedClient, feed_doors
from e2s.security.repository import store
from e2s.security.repository.delegate import Delegate
from e2s.security.repository.files import Repository
from e2s.security.repository.following import MOST_CERTIFICATES, MOST_CHANGES, Following
from e2s.security.repository.lookup import Lookup
from e2s.security.repository.published import PublishedLists
from e2s.security.status import store as statuses
from e2s.security.status.responder import Responder
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.fetching import certificate_path, crl_path
from e2s.security.verification.services import ClientServices
from tests.worlds.pki import START, SetClock, make_pki

PKI = make_pki()
ORIGIN = "http://ca:1"
OFFICER = "urn:e2s:market:ca"
KEY = bytes(range(32))


class Pair:
    """A CA behind its link door, and a repository that follows it; either may be stopped and started."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.clock = SetClock()
        rights = frozenset((OFFICER, right, "ca") for right in (RIGHTS.certify, RIGHTS.revoke))
        self.ca = Authority(
            PKI.operating_ca.signer,
            Database.open(folder / "register.sqlite", register.TABLES),
            kind="operating-ca",
            component="ca",
            clock=self.clock,
            random=secrets.token_bytes,
            authoriser=TableAuthoriser(rights),
        )
        door = LinkDoor("ca", {"repository": KEY}, feed_doors(self.ca), self.clock, secrets.token_bytes)
        self.door = door.handle
        self.exchange = LocalExchange({ORIGIN: self.door})
        self.files = Repository(folder / "public", reserve=0)
        self.start()

    def start(self) -> None:
        tables = sa.MetaData()
        for table in (*store.TABLES.sorted_tables, *statuses.TABLES.sorted_tables):
            table.to_metadata(tables)
        self.database = Database.open(self.folder / "data.db", tables)
        self.responder = Responder(self.database, clock=self.clock)
        self.responder.speak(PKI.operating, PKI.operating_ca.signer)
        link = Link("repository", "ca", KEY, self.exchange, ORIGIN, self.clock, secrets.token_bytes)
        self.client = FeedClient(link)
        self.lookup = Lookup(self.files, self.database)
        self.following = Following(
            self.client,
            PKI.operating,
            files=self.files,
            lookup=self.lookup,
            database=self.database,
            outbox=Outbox(store.OUTBOX),
            clock=self.clock,
            component="repository",
            statuses=self.responder,
        )

    def issue(self, name="urn:e2s:market:alpha:anna"):
        key = generate("p256-sha256", secrets.token_bytes).public_key()
        return self.ca.issue("buyer-session", key, (name,), officer=OFFICER)

    def found(self):
        with self.database.reading() as connection:
            return set(store.find(connection, "/certificates/search.cgi", "name", "anna", 10_000))

    def status(self, certificate):
        with self.database.reading() as connection:
            return statuses.status(connection, PKI.operating, certificate.serial)[1]

    def listed(self):
        return set(CrlIndex.read(self.files.file(crl_path(PKI.operating)).read_bytes()).revoked)

    def events(self):
        with self.database.reading() as connection:
            rows = Outbox(store.OUTBOX).waiting(connection, "audit")
        return [wire.decode(body) for _, body in rows]


@pytest.fixture
def pair(tmp_path):
    return Pair(tmp_path)


def test_what_was_issued_and_revoked_is_published_found_and_told(pair):
    anna, again = pair.issue(), pair.issue()
    pair.ca.revoke(again.serial, "keyCompromise", officer=OFFICER)
    pair.following.tick()
    assert pair.found() == {certificate_path(one.digest) for one in (anna, again)}
    assert pair.files.file(certificate_path(anna.digest)).read_bytes() == anna.der
    assert pair.listed() == {again.serial}
    assert pair.status(anna).entry is None
    assert pair.status(again).entry is not None
    pair.ca.hold(anna.serial, officer=OFFICER)
    pair.following.tick()
    assert pair.listed() == {anna.serial, again.serial}
    pair.ca.release(anna.serial, officer=OFFICER)
    pair.following.tick()
    assert pair.listed() == {again.serial}
    assert pair.status(anna).entry is None


def test_an_outage_delays_and_loses_nothing(pair):
    pair.following.tick()
    pair.exchange.doors.clear()
    issued = [pair.issue() for _ in range(3)]
    pair.ca.revoke(issued[0].serial, "superseded", officer=OFFICER)
    for _ in range(5):
        pair.following.tick()
    assert pair.found() == set()
    pair.database.close()
    pair.start()
    pair.following.tick()
    pair.exchange.doors[ORIGIN] = pair.door
    pair.following.tick()
    assert pair.found() == {certificate_path(one.digest) for one in issued}
    assert pair.listed() == {issued[0].serial}
    kinds = [(event["kind"], event["outcome"]) for event in pair.events()]
    assert kinds == [("feed.lost", "unreachable"), ("feed.lost", "unreachable"), ("feed.found", "done")]


@pytest.mark.parametrize("commit", range(5))
def test_killed_between_any_two_steps_it_goes_on(pair, commit):
    """A kill before the n-th transaction of a tick: what was taken twice is there once."""
    issued = [pair.issue() for _ in range(3)]
    pair.ca.revoke(issued[1].serial, "superseded", officer=OFFICER)
    plain, left = pair.database.transaction, [commit]

    def transaction():
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return plain()

    pair.database.transaction = transaction
    try:
        pair.following.tick()
    except KeyboardInterrupt:
        pair.database.transaction = plain
        pair.database.close()
        pair.start()
    pair.following.tick()
    assert pair.found() == {certificate_path(one.digest) for one in issued}
    assert pair.listed() == {issued[1].serial}
    assert pair.status(issued[1]).entry is not None


def test_many_changes_come_in_rounds_and_the_lists_before_each(pair):
    wanted = 2 * MOST_CHANGES + 7
    order = [pair.issue() for _ in range(3)]
    changes = [Change(n + 1, order[n % 3].serial, None, der=order[n % 3].der) for n in range(wanted)]
    pair.ca.changes = lambda after, most=1000: changes[after : after + most]
    asked = []

    def noting(_origin, request, deliver):
        asked.append(request.path)
        return deliver(request)

    pair.exchange.faults.append(noting)
    pair.following.tick()
    assert asked.count("/lists") >= wanted // MOST_CERTIFICATES
    with pair.database.reading() as connection:
        assert store.followed(connection, PKI.operating.id) == wanted
        assert statuses.followed(connection, PKI.operating) == wanted


def test_a_list_of_any_size_comes_whole(pair):
    big = secrets.token_bytes(3 * MAX_PIECE + 17)
    (listed,) = pair.ca.current_lists()
    pair.ca.current_lists = lambda: (listed._replace(der=big),)
    (came,) = pair.client.lists(())
    assert came == (None, False, listed.number, big)
    assert pair.client.lists({(None, False, listed.number)}) == []


def test_a_list_that_is_replaced_meanwhile_is_asked_for_anew(pair):
    lists = iter(range(1, 100))
    (listed,) = pair.ca.current_lists()
    pair.ca.current_lists = lambda: (listed._replace(number=next(lists)),)
    with pytest.raises(Refusal, match="other-list"):
        pair.client.lists(())


def test_an_older_list_or_another_cas_does_not_replace_what_stands(pair):
    published = PublishedLists(pair.files, PKI.operating)
    (first,) = pair.ca.current_lists()
    certificate = pair.issue()
    pair.clock.forward(seconds=1)
    pair.ca.revoke(certificate.serial, "superseded", officer=OFFICER)
    (second,) = pair.ca.current_lists()
    published.take([second])
    for wrong, rule in (
        (first, "old-crl"),
        (second._replace(number=9, der=PKI.crls()[0]), "bad-crl"),
        (second._replace(number=9, der=b"junk"), "bad-crl"),
        (second._replace(number=9, delta=True), "bad-crl"),
    ):
        with pytest.raises(Refusal, match=rule):
            published.take([wrong])
    assert pair.listed() == {certificate.serial}


def test_a_lost_answer_is_asked_for_again(pair):
    pair.issue()
    for path in ("/lists", "/list", "/changes"):
        lost = drop_answer(to(path))
        pair.exchange.faults.append(lost)
        pair.following.tick()
        pair.exchange.faults.remove(lost)
    pair.following.tick()
    assert len(pair.found()) == 1


@given(
    st.sampled_from(["changes", "lists"]),
    st.one_of(
        st.binary(max_size=60),
        st.dictionaries(
            st.sampled_from(["changes", "lists"]),
            st.lists(
                st.one_of(
                    st.integers(-3, 3),
                    st.text(max_size=3),
                    st.lists(
                        st.one_of(st.integers(-1, 9), st.text("aA0-", max_size=4), st.booleans()), max_size=7
                    ),
                    st.fixed_dictionaries(
                        {"delta": st.booleans(), "number": st.integers(-1, 9), "size": st.integers(-1, 9)}
                    ),
                ),
                max_size=3,
            ),
            max_size=2,
        ).map(wire.encode),
    ),
)
def test_garbage_from_the_ca_is_refused(which, answer):
    class Answering:
        def ask(self, path, _body):
            return b"" if path == "/list" else answer

    client = FeedClient(Answering())
    try:
        assert client.changes(0, 10) == [] if which == "changes" else client.lists(()) == []
    except Refusal:
        pass
    except AssertionError:
        assert client.changes(0, 10)  # well formed by chance


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"after":-1,"most":1}', b'{"after":"1","most":1}', b"x" * 5000]
)
def test_garbage_for_the_ca_is_refused(pair, body):
    with pytest.raises(Refusal):
        pair.client._link.ask("/changes", body)


def test_another_web_server_serves_the_folder_as_well(pair):
    """Python's own, which knows dates only: nothing changed costs an empty answer there too."""
    pair.following.tick()
    pair.files.publish_crl(PKI.root, PKI.crls()[0])
    answers = []

    class Plain(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, code="-", _size="-"):
            answers.append(int(code))

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Plain, directory=pair.files.folder)
    ) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        exchange = HttpExchange()
        try:
            origin = f"http://127.0.0.1:{server.server_port}"
            services = ClientServices(exchange, [(origin, PKI.root), (origin, PKI.operating)], pair.clock)
            assert len(services.crls(PKI.operating)) == 2
            pair.clock.forward(seconds=2)
            services.crls(PKI.operating)
            pair.ca.revoke(pair.issue().serial, "superseded", officer=OFFICER)
            pair.following.tick()
            pair.clock.forward(seconds=2)
            newest = [CrlIndex.read(der) for der in services.crls(PKI.operating)]
        finally:
            exchange.close()
            server.shutdown()
            thread.join()
    assert answers == [200, 200, 304, 304, 304, 200]
    assert max(len(one.revoked) for one in newest) == 1
    assert pair.clock.now() - START == timedelta(seconds=4)


# ---------------------------------------------------------------------- the delegated key


def delegate(pair, folder):
    key = generate("p256-sha256", secrets.token_bytes)
    made = pair.ca.issue("ocsp-responder", key.public_key(), (OFFICER,), officer=OFFICER)
    signer = KeySigner(made, (PKI.operating,), key)
    renew = renewal_door(pair.ca, officer=OFFICER)[RENEW]
    return signer, Delegate(signer, folder / "ocsp.pem"), lambda body: renew("repository", body)


def test_the_delegated_key_gets_a_newer_certificate_in_its_last_third(pair, tmp_path):
    signer, own, ask = delegate(pair, tmp_path)
    own.renew(PKI.operating, ask)
    assert own.certificate == signer.certificate  # it is good for long yet
    pair.clock.forward(days=61)
    own.renew(PKI.operating, ask)
    assert own.certificate.not_after > signer.certificate.not_after
    assert own.certificate.spki == signer.certificate.spki
    assert pair.events() == []
    again = Delegate(signer, tmp_path / "ocsp.pem")
    assert again.certificate == own.certificate
    again.renew(PKI.operating, ask)
    assert again.certificate == own.certificate  # a repeat gives the same
    pair.responder.speak(PKI.operating, again)
    assert pair.responder.due(pair.clock.now()) == ()


def test_only_a_key_that_answers_is_renewed_and_none_that_was_withdrawn(pair, tmp_path):
    _signer, own, ask = delegate(pair, tmp_path)
    anna = pair.issue()
    for certificate, rule in (
        (anna, "no-such-certificate"),
        (PKI.issue("ocsp-responder", OFFICER)[0], "no-such-certificate"),
    ):
        with pytest.raises(Refusal, match=rule):
            ask(wire.encode({"certificate": wire.b64u(certificate.der)}))
    for body in ({}, {"certificate": 1}, {"certificate": "%"}):
        with pytest.raises(Refusal, match=r"bad-renewal|bad-base64"):
            ask(wire.encode(body))
    pair.clock.forward(days=61)
    pair.ca.revoke(own.certificate.serial, "keyCompromise", officer=OFFICER)
    with pytest.raises(Refusal, match="revoked"):
        own.renew(PKI.operating, ask)


def test_a_certificate_of_another_key_is_not_taken(pair, tmp_path):
    _signer, own, _ask = delegate(pair, tmp_path)
    other = pair.ca.issue(
        "ocsp-responder",
        generate("p256-sha256", secrets.token_bytes).public_key(),
        (OFFICER,),
        officer=OFFICER,
    )
    for answer in (wire.encode({"certificate": wire.b64u(other.der)}), wire.encode({})):
        with pytest.raises(Refusal, match="bad-renewal"):
            own.renew(PKI.operating, lambda _body, answer=answer: answer)


def test_a_full_disk_stops_nothing_for_good(pair):
    """Neither the change nor the event of the refusal has room; both are written when there is room again."""
    anna = pair.issue()
    plain = pair.database.transaction

    def transaction():
        raise Unreachable("disk-full", "there is no room on the disk; nothing was kept")

    pair.database.transaction = transaction
    pair.following.tick()
    pair.following.tick()
    pair.database.transaction = plain
    pair.following.tick()
    assert pair.found() == {certificate_path(anna.digest)}
