"""Each member of each signed document is altered: without its signer's key, and with it.

Without the key the act itself no longer holds.  With it - somebody whose key is good says something else,
once, at the place of what was really said - the receiver refuses by a rule and nothing has changed: the
purchase goes on to its end.  What a receiver cannot judge stands in two tables: members that may be
anything, and members by which a signer contradicts only itself, which charges nobody who did not get goods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.crypto.acts import Act, check_act_signature, read_act
from tests.worlds.books import CAPTURED, TOTAL, Market, market_in
from tests.worlds.forging import WAYS, Keys, Tamper, members, other, resigned, rules_raised
from tests.worlds.rules import COMMON, NAMES

#: The acts of a purchase to its receipt, in the order in which they travel.
PURCHASE = (
    "login login-answer offer accept confirm pinit pay auth issue decision authres pres delivery capreq captured"
    " capres receipt"
).split()
#: By which rule the receiver refuses another value, signed by the right key.
REFUSED: dict[str, dict[str, str]] = {
    "login": {
        "at": "wrong-answer", "until": "wrong-answer", "page": "not-canonical", "nM": "altered-page",
        "nB": "wrong-answer", "location": "wrong-answer", "suites": "suite-stripped",
        "signatures": "wrong-answer", "kex": "wrong-answer", "tls": "bad-document",
    },
    "login-answer": {
        "at": "altered-record", "until": "altered-record", "req": "wrong-answer", "nM": "wrong-answer",
        "nB": "wrong-answer", "kex": "altered-record", "sid": "no-session", "catalogue": "altered-record",
        "idle": "altered-record", "presence": "altered-record", "end": "altered-record",
    },
    "offer": {
        "to": "offer-of-other-organisation", "trade": "wrong-trade", "list": "price-changed-after-view",
        "buyer": "offer-of-other-organisation", "terms": "altered-terms", "lines": "altered-line",
        "vat": "false-total", "net": "false-total", "tax": "false-total", "total": "false-total",
        "currency": "altered-line", "deliverTo": "altered-line", "confirmBy": "bad-deadlines",
    },
    "accept": {
        "trade": "wrong-offer", "offer": "wrong-offer", "decision": "bad-document",
        "confirmBy": "wrong-deadlines", "payBy": "wrong-deadlines",
    },
    "confirm": {"trade": "wrong-acceptance", "accept": "wrong-acceptance"},
    "pinit": {
        "trade": "wrong-contract", "cid": "wrong-contract", "nC": "stale-nonce", "gateway": "gateway-missing",
        "merchant": "wrong-contract", "total": "amount-raised", "currency": "amount-raised",
        "payBy": "wrong-contract",
    },
    "pay": {
        **NAMES, "type": "ds-for-other-contract", "trade": "ds-for-other-contract", "cid": "ds-for-other-contract", "until": "ds-after-until",
        "issuer": "unknown-issuer", "hOI": "instruction-differs", "part": "bad-document",
    },
    "auth": {"xid": "other-transaction", "amount": "xid-reused", "ds": "xid-reused"},
    "issue": {
        "trade": "other-trade", "xid": "other-transaction", "ds": "other-dual-signature",
        "auth": "other-transaction",
    },
    "decision": {**NAMES, "result": "bad-document"},
    "authres": {**NAMES, "req": "other-transaction", "result": "bad-document"},
    "pres": {
        "trade": "other-trade", "xid": "other-transaction", "ds": "other-dual-signature",
        "result": "bad-document",
    },
    "delivery": {
        "trade": "wrong-delivery", "cid": "wrong-delivery", "xid": "wrong-delivery",
        "lines": "more-than-ordered",
    },
    "capreq": {
        "trade": "other-trade", "xid": "unknown-payment", "n": "other-transaction",
        "amount": "capture-over-hold", "currency": "other-amount", "delivery": "other-delivery",
    },
    "captured": {**NAMES, "n": "other-transaction", "req": "other-transaction", "result": "bad-document"},
    "capres": {
        "trade": "other-trade", "xid": "other-transaction", "n": "gateway-invents", "req": "other-transaction",
        "result": "bad-document",
    },
    "receipt": {
        "trade": "wrong-delivery", "cid": "wrong-delivery", "delivery": "wrong-delivery",
        "received": "more-than-delivered",
    },
}  # fmt: skip
_USE = "until when an act says to be of use binds nobody here: its reader has deadlines of its own"
_READERS = "one reader more or fewer: this reader still is one"
#: Members that may be anything, and why: the purchase goes on with them, and the evidence holds.
FREE: dict[tuple[str, str], str] = {
    ("pinit", "until"): _USE,
    ("issue", "until"): _USE,
    ("captured", "until"): _USE,
    ("capres", "until"): _USE,
}
_SALT = "a salt is any 32 octets"
#: Members by which a signer says two things: each reader holds one of them, and where the trade stops for it.
CONTRADICTIONS: dict[tuple[str, str], tuple[str, tuple[str, str, str]]] = {
    ("offer", "until"): (_USE, ("accepted", "offered", "")),
    ("offer", "salt"): (_SALT, ("accepted", "offered", "")),
    ("offer", "payBy"): ("the merchant may give more time to pay", ("accepted", "offered", "")),
    ("offer", "gatewaysAccepted"): ("the merchant may take other gateways", ("accepted", "offered", "")),
    ("accept", "until"): (_USE, ("accepted", "confirmed", "")),
    ("accept", "salt"): (_SALT, ("accepted", "confirmed", "")),
    ("accept", "costCentre"): ("the buyer's own word to herself", ("accepted", "confirmed", "")),
    ("confirm", "to"): (_READERS, ("contract", "confirmed", "")),
    ("confirm", "until"): (_USE, ("contract", "confirmed", "")),
    ("pinit", "nP"): ("a nonce is any 32 octets", ("paying", "confirmed", "")),
    ("pay", "hPI"): ("the merchant cannot open PI", ("paying", "confirmed", "")),
    ("pay", "hSI"): ("the merchant and the gateway cannot open SI", ("paying", "confirmed", "declined")),
    ("auth", "until"): (_USE, ("paying", "asking", "held")),
    ("auth", "trade"): (
        "refused for good: the gateway's word is about what it was shown",
        ("paying", "asking", ""),
    ),
    ("auth", "cid"): ("refused for good", ("paying", "asking", "")),
    ("auth", "amount"): ("refused for good", ("paying", "asking", "")),
    ("auth", "currency"): ("refused for good", ("paying", "asking", "")),
    ("auth", "ds"): ("refused for good", ("paying", "asking", "")),
    ("auth", "mcc"): ("the merchant's own word about its trade", ("paying", "asking", "held")),
    ("decision", "until"): (_USE, ("received", "delivered", "held")),
    ("decision", "reason"): ("words", ("received", "delivered", "held")),
    ("decision", "holdUntil"): (
        "the bank may hold longer, but not beyond claimUntil",
        ("paying", "asking", "held"),
    ),
    ("decision", "claimUntil"): ("the bank may honour longer", ("received", "delivered", "held")),
    ("authres", "until"): (_USE, ("received", "delivered", "held")),
    ("pres", "to"): (_READERS, ("paid", "captured", "captured")),
    ("pres", "until"): (_USE, ("paid", "captured", "captured")),
    ("delivery", "to"): (_READERS, ("received", "captured", "captured")),
    ("delivery", "until"): (_USE, ("received", "captured", "captured")),
    ("delivery", "n"): ("which part of several it is", ("received", "captured", "captured")),
    ("delivery", "goods"): ("soft goods are not sold yet", ("received", "captured", "captured")),
    ("capreq", "until"): (_USE, ("received", "delivered", "captured")),
    ("receipt", "until"): (_USE, ("received", "captured", "captured")),
    ("receipt", "complaint"): ("words", ("received", "captured", "captured")),
}
#: Members that a document has only sometimes, with a value to put in.
PUT_IN = {
    ("delivery", "goods"): {"name": "a.pdf", "size": 1, "chunk": 1, "root": "sha-256:" + "A" * 43},
    ("receipt", "complaint"): "one reel is empty",
}


def changing(name: str, member: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document[member] = other(document[member]) if member in document else PUT_IN[name, member]

    return change


def fate(name: str, member: str) -> str:
    if (name, member) in FREE:
        return "free"
    return "contradiction" if (name, member) in CONTRADICTIONS else "refused"


CELLS = [(name, member) for name in PURCHASE for member in members(name)]
BY_FATE = {
    kind: [cell for cell in CELLS if fate(*cell) == kind] for kind in ("refused", "free", "contradiction")
}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with market_in(tmp_path_factory.mktemp("market")) as market:
        yield market


@pytest.fixture(scope="module")
def keys(market: Market) -> Iterator[Keys]:
    keys = Keys(market.whole)
    yield keys
    keys.close()


@pytest.fixture(scope="module")
def acts(market: Market, keys: Keys) -> dict[str, Act]:
    """Every act of one purchase, met on its way."""
    market.rest()
    found: dict[str, Act] = {}

    def keep(act: Act) -> bytes:
        found[act.type.rpartition("/")[2]] = act
        return act.octets

    with ExitStack() as stack:
        tampers = [
            stack.enter_context(Tamper(market.whole, keys, name, keep).in_place()) for name in PURCHASE
        ]
        trade = market.begin()
        for tamper in tampers:
            tamper.trade = trade
        market.finish(trade)
    return found


def test_each_member_has_its_line_in_a_table() -> None:
    """A new member cannot be forgotten: it is refused by a named rule, or it stands in a table of exceptions."""
    for name, member in BY_FATE["refused"]:
        assert member in REFUSED[name] or member in COMMON, (name, member)
    assert {*FREE, *CONTRADICTIONS} <= set(CELLS)


@pytest.mark.parametrize(("name", "member"), CELLS)
def test_altered_without_the_signers_key(acts: dict[str, Act], name: str, member: str) -> None:
    """Other octets in the signed object: whatever the member is, the act does not hold."""
    act = acts[name]
    if member not in act.document:
        assert (name, member) in PUT_IN
        return
    document = {**act.document, member: other(act.document[member])}
    altered = wire.encode(document)
    assert len(altered) == len(act.doc_octets)
    assert act.octets.count(act.doc_octets) == 1
    with pytest.raises(Refusal) as refused:
        check_act_signature(read_act(act.octets.replace(act.doc_octets, altered)))
    assert refused.value.rule == {"from": "wrong-certificate", "at": "wrong-time"}.get(
        member, "altered-content"
    )


def altered(market: Market, keys: Keys, name: str, member: str) -> tuple[str, list[str]]:
    """One purchase in which the signer said something else once; the trade, and the rules that refused."""
    market.rest(10)
    signer = keys.signer(*WAYS[name].signer)
    change = changing(name, member)
    tamper = Tamper(market.whole, keys, name, lambda act: resigned(act, signer, change))
    with rules_raised() as rules, tamper.in_place():
        tamper.trade = trade = market.begin()
        market.finish(trade, 10)
    assert tamper.hits == 1
    assert market.unnamed == []
    return trade, rules


@pytest.mark.parametrize(("name", "member"), BY_FATE["refused"])
def test_other_value_is_refused_without_effect(market: Market, keys: Keys, name: str, member: str) -> None:
    trade, rules = altered(market, keys, name, member)
    assert REFUSED[name].get(member, COMMON.get(member)) in rules
    standing = market.books.standing(trade)
    if name == "offer":
        # a bad offer ends the trade: nothing was signed, and the merchant's offer lapses
        assert (standing.buyer, standing.merchant, standing.payments) == ("void", "offered", ())
        return
    assert (standing.buyer, standing.merchant) == CAPTURED
    assert standing.agrees(TOTAL)
    assert market.books.faults(trade) == []


@pytest.mark.parametrize(("name", "member"), BY_FATE["free"])
def test_any_value_serves(market: Market, keys: Keys, name: str, member: str) -> None:
    trade, _ = altered(market, keys, name, member)
    standing = market.books.standing(trade)
    assert (standing.buyer, standing.merchant) == CAPTURED
    assert standing.agrees(TOTAL)
    assert market.books.faults(trade) == []


@pytest.mark.parametrize(("name", "member"), BY_FATE["contradiction"])
def test_who_says_two_things_gains_nothing(market: Market, keys: Keys, name: str, member: str) -> None:
    """No goods without a hold or a charge, no charge without goods, and never two."""
    trade, _ = altered(market, keys, name, member)
    standing = market.books.standing(trade)
    states = "".join(state for state, _ in standing.payments)
    assert (standing.buyer, standing.merchant, states) == CONTRADICTIONS[name, member][1]
    assert market.books.faults(trade) == []
