"""A session's life: opened by its first record, one request at a time, ended by time or by closing."""

from __future__ import annotations

import threading

import pytest

from e2s.base import meter, wire
from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import Request
from e2s.network.sessions.buyer import Choice, Visit
from e2s.network.sessions.calls import LOGIN_PATH, PAGE_PATH, RECORD_PATH, Call, write_call
from e2s.network.sessions.client import HttpExchange
from e2s.network.sessions.doors import front, inside
from e2s.network.sessions.link import Link, LinkDoor
from e2s.network.sessions.local import LocalExchange, drop_answer, drop_request, nth, to
from e2s.network.sessions.merchant import Limits
from e2s.network.sessions.records import MAX_RECORD_BODY, Kind
from e2s.network.sessions.server import Served
from e2s.network.sessions.tls import spki_digest
from tests.network.authority import Authority
from tests.network.market import SUITES, Market
from tests.network.settings import Randomness


def refused(rule: str):
    return pytest.raises(Refusal, check=lambda refusal: refusal.rule == rule)


def unanswered(rule: str):
    return pytest.raises(Unreachable, check=lambda error: error.rule == rule)


def test_a_buyer_logs_in_and_is_known_by_her_certificate():
    market = Market()
    visit = market.visit()
    assert visit.ask("search", {"text": "relay"}) == {"echo": {"text": "relay"}, "op": "search"}
    assert visit.session.terms.catalogue == "/catalogue"
    assert market.volt.served == [("urn:e2s:market:north:anna", market.volt.served[0][1])]


def test_what_a_login_and_a_request_cost():
    market = Market()
    market.visit().ask("search", {})
    with meter.measured() as spent:
        visit = market.visit()
    # two shares by the wallet; CMS to one recipient and back; one agreement at each end
    assert spent["sign"] == 2
    assert spent["hop"] == 2
    assert spent["derive"] == 2
    with meter.measured() as spent:
        visit.ask("search", {})
    assert spent == {"hop": 1}
    with meter.measured() as spent:
        visit.ask("offer", {})
    assert (spent["hop"], spent["sign"]) == (3, 1)


def test_nobody_else_holds_the_session_open():
    market = Market()
    session = market.agreed()
    assert len(market.volt.sessions) == 1
    market.clock.forward(seconds=119)
    market.volt.sessions.sweep()
    assert len(market.volt.sessions) == 1
    market.volt.sessions.receive(
        session.channel.seal(Kind.REQUEST, write_call(Call("r", "search"))), market.volt.serve
    )
    market.clock.forward(seconds=599)
    market.volt.sessions.sweep()
    assert len(market.volt.sessions) == 1
    market.clock.forward(seconds=1)
    market.volt.sessions.sweep()
    assert len(market.volt.sessions) == 0


def test_an_idle_session_ends():
    market = Market()
    visit = market.visit()
    visit.ask("search", {})
    market.clock.forward(seconds=600)
    with refused("no-session"):
        visit.ask("search", {})
    assert market.volt.ops() == ["search"]


def test_a_failed_record_does_not_keep_a_session_alive():
    market = Market()
    visit = market.visit()
    visit.ask("search", {})
    record = next(r for _, r, _ in market.traffic if r.path == RECORD_PATH)
    market.clock.forward(seconds=599)
    assert market.exchange.send(market.volt.origin, record).headers["e2s-rule"] == "replayed-record"
    market.clock.forward(seconds=1)
    assert market.exchange.send(market.volt.origin, record).headers["e2s-rule"] == "no-session"


def test_a_session_ends_absolutely_however_busy():
    market = Market(limits=Limits(presence_seconds=86_400))
    visit = market.visit()
    visit.ask("search", {})
    for _ in range(8 * 12 - 1):
        market.clock.forward(seconds=300)
        visit.ask("search", {})
    market.clock.forward(seconds=300)
    with refused("no-session"):
        visit.ask("search", {})


def test_presence_is_proved_every_five_minutes_and_before_an_offer():
    market = Market()
    visit = market.visit()
    visit.ask("search", {})
    market.clock.forward(seconds=299)
    with meter.measured() as spent:
        visit.ask("search", {})
    assert spent["sign"] == 0
    market.clock.forward(seconds=1)
    with meter.measured() as spent:
        visit.ask("search", {})
    assert spent["sign"] == 1
    for rid, signatures in (("a", 1), ("a", 0), ("b", 1)):
        with meter.measured() as spent:
            visit.ask("offer", {}, rid=rid)
        assert spent["sign"] == signatures


def test_a_lost_challenge_or_proof_is_made_good_by_asking_again():
    for fault in (drop_request, drop_answer):
        for number in (1, 2, 3):
            market = Market()
            visit = market.visit()
            market.exchange.faults.append(fault(nth(number, to(RECORD_PATH))))
            with unanswered("dropped"):
                visit.ask("offer", {"n": number}, rid="r")
            assert visit.ask("offer", {"n": number}, rid="r")["echo"] == {"n": number}
            assert set(market.volt.ops()) == {"offer"}


def test_a_retry_is_a_new_record_with_the_same_rid():
    market = Market()
    visit = market.visit()
    market.exchange.faults.append(drop_answer(nth(1, to(RECORD_PATH))))
    with unanswered("dropped"):
        visit.ask("basket", {"n": 1}, rid="same")
    visit.ask("basket", {"n": 1}, rid="same")
    assert [call.rid for _, call in market.volt.served] == ["same", "same"]
    visit.ask("basket", {})
    visit.ask("basket", {})
    assert len({call.rid for _, call in market.volt.served}) == 3


def test_leaving_closes_both_ends():
    market = Market()
    visit = market.visit()
    visit.ask("search", {})
    visit.close()
    visit.close()
    assert not visit.is_open
    assert len(market.volt.sessions) == 0
    with refused("no-session"):
        visit.ask("search", {})
    assert repr(visit.session.channel).count("key") == 0


def test_leaving_while_the_shop_is_away_still_forgets():
    market = Market()
    visit = market.visit()
    market.exchange.doors.clear()
    visit.close()
    with refused("no-session"):
        visit.session.channel.seal(Kind.REQUEST, b"")


def test_the_shop_ends_all_sessions():
    market = Market()
    visits = [market.visit(), market.visit(market.buyer("bob"))]
    market.volt.sessions.close()
    for visit in visits:
        with refused("no-session"):
            visit.ask("search", {})


def test_a_buyers_oldest_session_gives_way_and_the_table_is_bounded():
    market = Market(limits=Limits(max_per_buyer=2, max_sessions=3))
    first, second = market.visit(), market.visit()
    first.ask("search", {})
    market.visit()  # the pending one goes before the open one
    with refused("no-session"):
        second.ask("search", {})
    first.ask("search", {})
    bob = market.visit(market.buyer("bob"))
    with refused("too-many-sessions"):
        market.visit(market.buyer("carl"))
    bob.ask("search", {})
    first.ask("search", {})


def test_a_refusal_by_the_shop_comes_back_sealed():
    market = Market()
    visit = market.visit()

    def serve(_caller, call):
        raise Refusal("price-changed", "ask anew", sku="x")

    market.volt.serve_by(serve)
    with refused("price-changed"):
        visit.ask("basket", {})
    assert not any(b"price-changed" in answer.body for _, _, answer in market.traffic)


def test_a_result_that_is_too_large_is_refused():
    market = Market()
    visit = market.visit()
    market.volt.serve_by(lambda _caller, _call: {"text": "x" * MAX_RECORD_BODY})
    with refused("too-large"):
        visit.ask("search", {})
    market.volt.serve_by(lambda _caller, _call: {"rid": "mine"})
    with pytest.raises(Misuse):
        visit.ask("search", {})
    market.volt.serve_by(lambda _caller, _call: {"fine": True})
    assert visit.ask("search", {}) == {"fine": True}


def test_an_authentic_record_with_a_bad_body_is_refused_within_the_session():
    market = Market()
    session = market.agreed()
    for body in (b"", b"{}", b'{"args":{},"op":"Search","rid":"r"}', b"[1]", b"\xff"):
        sealed = session.channel.seal(Kind.REQUEST, body)
        answer = session.channel.open(market.volt.sessions.receive(sealed, market.volt.serve))[2]
        assert wire.decode(answer)["refused"]["rule"] in {"bad-call", "not-canonical"}
    for body in (b"", b"no act"):
        sealed = session.channel.seal(Kind.PRESENCE, body)
        answer = session.channel.open(market.volt.sessions.receive(sealed, market.volt.serve))[2]
        assert "refused" in wire.decode(answer)
    assert market.volt.served == []


def test_one_request_at_a_time():
    market = Market()
    session = market.agreed()
    inside_serve, finish = threading.Event(), threading.Event()
    answers = []

    def slow(_caller, _call):
        inside_serve.set()
        assert finish.wait(20)
        return {"slow": True}

    records = [session.channel.seal(Kind.REQUEST, write_call(Call(rid, "search"))) for rid in "ab"]
    thread = threading.Thread(target=lambda: answers.append(market.volt.sessions.receive(records[0], slow)))
    thread.start()
    assert inside_serve.wait(20)
    with unanswered("session-busy"):
        market.volt.sessions.receive(records[1], market.volt.serve)
    finish.set()
    thread.join(20)
    assert wire.decode(session.channel.open(answers[0])[2])["slow"] is True
    late = market.volt.sessions.receive(records[1], market.volt.serve)
    assert wire.decode(session.channel.open(late)[2])["op"] == "search"


def test_a_session_ended_while_it_is_served_answers_once_more():
    market = Market()
    session = market.agreed()
    record = session.channel.seal(Kind.REQUEST, write_call(Call("r", "search")))

    def closing(_caller, _call):
        market.volt.sessions.close()
        return {"last": True}

    answer = market.volt.sessions.receive(record, closing)
    assert wire.decode(session.channel.open(answer)[2])["last"] is True
    with refused("no-session"):
        market.volt.sessions.receive(
            session.channel.seal(Kind.REQUEST, write_call(Call("s", "search"))), market.volt.serve
        )


def test_other_paths_and_methods_are_not_served():
    market = Market()
    for method, path, status in (
        ("GET", LOGIN_PATH, 405),
        ("POST", PAGE_PATH, 405),
        ("GET", "/", 404),
        ("GET", PAGE_PATH + "?x=y", 200),
    ):
        assert market.exchange.send(market.volt.origin, Request(method, path)).status == status


def test_through_tls_an_outside_and_a_link_to_the_inside(tmp_path):
    """The whole way over sockets: wallet, TLS front end, sealed link, inside."""
    market = Market()
    authority = Authority()
    files = authority.tls_files(tmp_path)
    key = bytes(range(32))
    local_key = spki_digest(_der(files.certificate_file))
    door = LinkDoor("inside", {"outside": key}, {}, market.clock, Randomness(b"d"))
    with Served(door.handle) as within:
        exchange = HttpExchange()
        link = Link("outside", "inside", key, exchange, within.origin, market.clock, Randomness(b"l"))
        with Served(front(link.ask), tls=files) as outside:
            volt = market.volt
            volt.origin = outside.origin
            volt.signer = market.pki.signer("merchant", (volt.name, volt.origin))
            volt.front_keys = (local_key,)
            volt.restart()
            door._doors.update(inside(volt.sessions, volt.serve))
            wallet = HttpExchange(anchors=authority.root.pem)
            visit = Visit.open(
                wallet,
                choice=Choice(merchant=volt.name, origin=volt.origin, suites=SUITES),
                signer=market.anna,
                checker=market.trust,
                clock=market.clock,
                random=market.random,
            )
            assert visit.ask("offer", {"n": 1})["echo"] == {"n": 1}
            visit.close()
            wallet.close()
        exchange.close()


def _der(path) -> bytes:
    from e2s.crypto.certificates import Certificate

    return Certificate.read(path.read_bytes()).der


def test_the_local_network_knows_only_its_doors():
    with unanswered("unreachable"):
        LocalExchange().send("http://nowhere:1", Request("GET", "/"))
