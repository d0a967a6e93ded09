"""Every cell of the gateway's table, and that only the issuer's signed word moves it on."""

from __future__ import annotations

from typing import Any

import pytest

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Handler, Request, Response
from e2s.commerce.payment import gateway_store as store
from e2s.commerce.payment.tables import GATEWAY
from e2s.commerce.steps import events, states
from e2s.crypto import oids
from e2s.crypto.acts import Act, read_act, write_parcel
from e2s.network.sessions.local import drop_answer, drop_request, record_traffic, to
from tests.worlds.market import GATEWAY as ORIGIN
from tests.worlds.market import ISSUER, Market
from tests.worlds.payer import Purchase, opened_by


class Bench:
    """One authorisation brought into a state, and each event made to happen to it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        market.permit(market.alpha, market.anna)
        self.made: Any = Purchase(market, market.anna).instruct()
        self.auth = self.made.auth()
        self.seen: list = []
        market.exchange.faults.append(record_traffic(self.seen))

    def state(self) -> str:
        with self.market.acquirer.store.reading() as connection:
            row = store.authorisation(connection, self.market.till.name, self.made.ds.document["xid"])
        return row.state if row is not None else "none"

    def reach(self, state: str) -> None:
        if state == "refused":
            self.authreq_bad()
        elif state == "forwarded":
            self.cut()
            with pytest.raises(Unreachable):
                self.authreq()
            self.restore()
        elif state == "reversing":
            self.reach("forwarded")
            self.cut()
            self.until()
            self.restore()
            self.market.clock.forward(minutes=2)
        elif state == "decided":
            self.answer = self.authreq()
        assert self.state() == state
        self.seen.clear()

    def cut(self) -> None:
        self.market.exchange.doors.pop(ISSUER)

    def restore(self) -> None:
        self.market.exchange.doors[ISSUER] = self.market.issuer.handle

    def happen(self, event: str) -> Any:
        return getattr(self, event.replace("-", "_"))()

    def authreq(self) -> Act:
        return self.made.ask_gateway(self.auth)

    def authreq_bad(self) -> Act:
        return self.made.ask_gateway(
            self.auth, pi=self.market.sealed(self.market.gateway_opener, b"{}", oids.PLAIN_PI)
        )

    def time_out(self) -> None:
        self.market.clock.forward(minutes=2)
        self.market.gateway.tick()

    decision = time_out

    def until(self) -> None:
        self.market.clock.at = max(self.market.clock.at, self.made.until)
        self.market.gateway.tick()

    def approval(self) -> bytes:
        if hasattr(self, "answer"):
            return self.answer.octets
        other = Purchase(self.market, self.market.anna).instruct()
        self.made.asked = self.auth
        return self.made.authres(other.ask_issuer())

    def capreq(self) -> Act:
        market, authres = self.market, self.approval()
        parcel = write_parcel("e2s/1/capture", self.made.claim_items(authres=authres))
        sealed = market.sealed(market.gateway_opener, parcel, oids.PLAIN_PARCEL)
        return read_act(opened_by(market.till_opener, market.send(ORIGIN, "/payment/capture", sealed)))

    def authrev(self) -> Act:
        market = self.market
        sealed = market.sealed(market.gateway_opener, self.made.authrev(self.approval()))
        return read_act(opened_by(market.till_opener, market.send(ORIGIN, "/payment/reverse", sealed)))

    def asked(self) -> list[str]:
        """Which of the issuer's doors the gateway used."""
        return [request.path for origin, request, _ in self.seen if origin == ISSUER]


ANSWERS = {"authiss": "authres", "reverse": "authres", "authres": "authres", "authres-refused": "authres-refused",
           "capreq": "capres", "authrev": "revres"}  # fmt: skip
DOORS = {"authiss": "/payment/issue", "reverse": "/payment/reverse-unanswered", "capreq": "/payment/capture",
         "authrev": "/payment/reverse"}  # fmt: skip


@pytest.mark.parametrize("event", sorted(events(GATEWAY)))
@pytest.mark.parametrize("state", sorted(states(GATEWAY)))
def test_cell(market: Market, state: str, event: str):
    bench = Bench(market)
    bench.reach(state)
    step = GATEWAY.get((state, event))
    if step is None and event in {"time-out", "until", "decision"}:
        bench.happen(event)
        assert (bench.state(), bench.asked()) == (state, [])
    elif step is None and event == "authreq-bad":
        # the merchant's word is the same, so its stored answer comes; what is sealed beside it no longer counts
        if state in {"forwarded", "reversing"}:
            assert bench.happen(event).type == "e2s/1/authres"
        else:
            first = bench.authreq().octets
            assert bench.happen(event).octets == first
            assert bench.state() == state
    elif step is None:
        with pytest.raises(Refusal):
            bench.happen(event)
        assert bench.state() == state
    else:
        act = bench.happen(event)
        if step.send in DOORS:
            assert bench.asked()[0] == DOORS[step.send]
        if act is not None:
            assert act.type == f"e2s/1/{ANSWERS[step.send]}"
        if step.stored:
            assert bench.asked() == []
            assert bench.happen(event).octets == act.octets
        # once asked, the issuer answers at once: what was forwarded or is being reversed is decided
        assert bench.state() == ("decided" if step.state in {"forwarded", "reversing"} else step.state)


def test_forwarded_stays_until_the_issuer_answers(market: Market):
    bench = Bench(market)
    bench.reach("forwarded")
    bench.cut()
    market.gateway.tick()
    assert bench.state() == "forwarded"
    bench.restore()
    market.clock.forward(minutes=2)
    market.gateway.tick()
    assert bench.state() == "decided"
    assert bench.authreq().document["result"] == "approved"


def test_lost_decision_is_got_again(market: Market):
    bench = Bench(market)
    market.exchange.faults.append(lost := drop_answer(to("/payment/issue")))
    with pytest.raises(Unreachable):
        bench.authreq()
    market.exchange.faults.remove(lost)
    assert bench.authreq().document["result"] == "approved"


def test_after_until_what_was_never_answered_is_reversed(market: Market):
    bench = Bench(market)
    market.exchange.faults.append(lost := drop_request(to("/payment/issue")))
    with pytest.raises(Unreachable):
        bench.authreq()
    market.exchange.faults.remove(lost)
    market.clock.at = bench.made.until
    answer = bench.authreq()
    assert answer.document["result"] == "void"
    assert bench.made.inquire().document["state"] == "void"


def test_an_approval_under_way_does_not_count_once_a_reversal_has_left(market: Market):
    """The approval is late, the reversal overtakes it: were it believed, goods would leave unpaid."""
    bench = Bench(market)

    def overtaken(origin: str, request: Request, deliver: Handler) -> Response:
        late = deliver(request)
        if request.path == "/payment/issue":
            market.exchange.faults.remove(overtaken)
            market.exchange.faults.append(lost := drop_answer(to("/payment/reverse-unanswered")))
            bench.until()
            market.exchange.faults.remove(lost)
        return late

    market.exchange.faults.append(overtaken)
    with pytest.raises(Unreachable):
        bench.authreq()
    assert bench.state() == "reversing"
    assert bench.authreq().document["result"] == "void"
    assert bench.made.inquire().document["state"] == "void"


def test_refusal_lasts_though_the_instruction_is_mended(market: Market):
    bench = Bench(market)
    first = bench.authreq_bad()
    assert first.document["rule"] == "wrong-label"
    assert bench.authreq().octets == first.octets
    assert bench.asked() == []


def test_authres_names_everything(market: Market):
    bench = Bench(market)
    said, ds = bench.authreq().document, bench.made.ds
    assert said["merchant"] == market.till_signer.certificate.id
    assert said["gateway"] == market.gateway_signer.certificate.id
    assert (said["holder"], said["ds"]) == (market.anna.id, ds.id)
    assert said["req"] == read_act(bench.auth).id


def test_gateway_restarted_answers_the_same(market: Market):
    bench = Bench(market)
    first = bench.authreq().octets
    market.start_gateway()
    assert bench.authreq().octets == first
