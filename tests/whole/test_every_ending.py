"""The acts by which a trade ends without a charge, and those of the purchasing manager: each member altered.

A silent bank leads to reversal and inquiry, goods that cannot be delivered to a reversal and a cancellation,
a late acceptance to a void; the manager orders controls and takes statements.  As in a purchase: without the
signer's key the act does not hold; with it the receiver refuses another value, and the ending is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import TypeAlias

import pytest

from e2s.base import wire
from e2s.base.errors import E2SError, Refusal
from e2s.base.http import Request
from e2s.crypto.acts import Act, check_act_signature, read_act
from e2s.network.sessions.local import drop_request
from tests.worlds.books import Market, market_in
from tests.worlds.forging import WAYS, Document, Keys, Tamper, members, other, resigned, rules_raised
from tests.worlds.rules import COMMON, NAMES

PHRASE = "alpha-wallet"
MANAGER = "alpha-manager"


def lost(market: Market, who: str, path: str) -> Callable[[], None]:
    """Nothing more arrives at the door, until the value is called."""
    origin = market.whole.community.component(who).origin

    def matches(where: str, request: Request) -> bool:
        return (where, request.path) == (origin, path)

    fault = drop_request(matches)
    market.whole.exchange.faults.append(fault)
    return lambda: market.whole.exchange.faults.remove(fault)


def contract(market: Market, begun: Callable[[str], None]) -> str:
    wallet = market.whole.wallet().wallet
    trade = market.begin()
    begun(trade)
    wallet.poll(trade)
    wallet.accept(trade, market.whole.phrase(PHRASE))
    return trade


def silent_bank(market: Market, begun: Callable[[str], None]) -> None:
    """The issuer never hears of the payment in time, and the merchant is gone: the gateway takes it back, the buyer asks."""
    trade = contract(market, begun)
    found = lost(market, "issuer-desk", "/payment/issue")
    with suppress(E2SError):
        market.whole.wallet().wallet.pay(trade, market.whole.phrase(PHRASE))
    gone = lost(market, "volt-shop", "/session/record")
    market.whole.clock.forward(minutes=20)
    market.finish(trade, 8)
    market.whole.tick(4, seconds=30)
    gone()
    found()
    market.finish(trade, 8)
    standing = market.books.standing(trade)
    assert (standing.buyer, [state for state, _ in standing.payments]) == ("void", ["void"])
    assert standing.merchant in {"void", "confirmed"}


def undelivered(market: Market, begun: Callable[[str], None]) -> None:
    """No time stamp can be had until the hold is almost over: the merchant gives the money back."""
    trade = contract(market, begun)
    stamps = [lost(market, f"authority-stamps-{n}", "/") for n in (1, 2)]
    market.whole.wallet().wallet.pay(trade, market.whole.phrase(PHRASE))
    market.whole.clock.forward(days=7, minutes=-20)
    market.whole.tick(8, seconds=20)
    for found in stamps:
        found()
    market.finish(trade, 8)
    standing = market.books.standing(trade)
    assert (standing.buyer, standing.merchant) == ("void", "void")
    assert [state for state, _ in standing.payments] == ["void"]
    assert market.books.faults(trade) == []


def late_acceptance(market: Market, begun: Callable[[str], None]) -> None:
    """The acceptance arrives when the offer has lapsed."""
    wallet = market.whole.wallet().wallet
    trade = market.begin()
    begun(trade)
    wallet.poll(trade)
    found = lost(market, "volt-shop", "/session/record")
    with suppress(E2SError):
        wallet.accept(trade, market.whole.phrase(PHRASE))
    found()
    market.whole.clock.forward(minutes=16)
    market.finish(trade, 8)
    standing = market.books.standing(trade)
    assert (standing.buyer, standing.merchant, standing.payments) == ("void", "void", ())


def control(market: Market, _begun: Callable[[str], None]) -> None:
    """New controls; sent again until the issuer has taken them."""
    desk = market.whole.manager(MANAGER).desk
    with suppress(E2SError):
        market.whole.permit()
    desk.resume()
    assert not desk.resume()


def state(market: Market, _begun: Callable[[str], None]) -> None:
    """The next statement; asked for again until there is a good one."""
    market.buy()
    desk, phrase = market.whole.manager(MANAGER).desk, market.whole.phrase(MANAGER)
    before = len(desk.statements())
    with suppress(E2SError):
        desk.fetch_statement(phrase)
    if len(desk.statements()) == before:
        desk.fetch_statement(phrase)
    assert len(desk.statements()) == before + 1


Flow: TypeAlias = Callable[[Market, Callable[[str], None]], None]
ENDINGS: dict[Flow, tuple[str, ...]] = {
    silent_bank: ("reverse", "inquiry", "inquiry-answer"),
    undelivered: ("authrev", "reversed", "revres", "cancel"),
    late_acceptance: ("void",),
    control: ("controls", "controls-taken"),
    state: ("statement-request", "statement"),
}
#: By which rule the receiver refuses another value, signed by the right key.
REFUSED: dict[str, dict[str, str]] = {
    "reverse": {"trade": "other-trade", "xid": "other-transaction", "ds": "other-dual-signature"},
    "inquiry": {
        "trade": "other-trade",
        "xid": "other-transaction",
        "ds": "other-dual-signature",
        "until": "other-inquiry",
    },
    "inquiry-answer": {
        "trade": "other-trade",
        "xid": "other-transaction",
        "ds": "other-dual-signature",
        "inquiry": "other-inquiry",
        "state": "bad-document",
    },
    "authrev": {
        "trade": "other-trade",
        "xid": "unknown-payment",
        "n": "other-transaction",
        "amount": "capture-over-hold",
        "currency": "other-amount",
    },
    "reversed": {**NAMES, "req": "other-transaction", "result": "bad-document"},
    "revres": {
        "trade": "other-trade",
        "xid": "other-transaction",
        "req": "other-transaction",
        "result": "bad-document",
    },
    "cancel": {"trade": "wrong-cancel", "cid": "wrong-cancel", "xid": "wrong-cancel"},
    "void": {"trade": "wrong-trade", "reason": "bad-document", "accept": "wrong-acceptance"},
    "controls": {"organisation": "not-the-manager", "currency": "other-currency"},
    "controls-taken": {"n": "other-controls", "controls": "other-controls"},
    "statement-request": {"organisation": "not-the-manager", "n": "statement-gap"},
    "statement": {
        "organisation": "other-organisation",
        "n": "statement-gap",
        "currency": "other-currency",
        "entries": "false-total",
        "vat": "false-total",
        "total": "false-total",
        "prev": "statement-gap",
    },
}
_USE = "until when an act says to be of use binds nobody here: its reader has deadlines of its own"
_READERS = "one reader more or fewer: this reader still is one"
#: Members that may be anything, and why: the ending is reached with them.
FREE: dict[tuple[str, str], str] = {
    ("reverse", "until"): _USE,
    ("reverse", "reason"): "words",
    ("inquiry-answer", "until"): _USE,
    ("reversed", "until"): _USE,
    ("revres", "until"): _USE,
    ("cancel", "to"): _READERS,
    ("cancel", "until"): _USE,
    ("cancel", "reason"): "words",
    ("void", "to"): _READERS,
    ("void", "until"): _USE,
    ("controls-taken", "until"): _USE,
    ("statement-request", "until"): _USE,
    ("statement", "to"): _READERS,
    ("statement", "until"): _USE,
    ("statement", "begins"): "the first period may begin when the bank says; later ones where the last ended",
    ("statement", "ends"): "a period ends when the bank says",
}
#: Members by which a signer says two things: one is taken, so the other is refused by this rule from then on.
CONTRADICTIONS: dict[tuple[str, str], tuple[str, str]] = {
    ("authrev", "until"): (_USE, "other-transaction"),
    ("authrev", "reason"): ("words", "other-transaction"),
    ("controls", "until"): (_USE, "controls-not-rising"),
    ("controls", "n"): ("the manager counts as she likes, upwards", "controls-not-rising"),
    ("controls", "holders"): ("the manager permits what she likes", "controls-not-rising"),
}
ALL: list[tuple[Flow, str, str]] = [
    (flow, name, member) for flow, names in ENDINGS.items() for name in names for member in members(name)
]
#: Refused first, so that nothing taken before is in the way.
SINGLE = sorted(
    (cell for cell in ALL if cell[1:] not in CONTRADICTIONS), key=lambda cell: (cell[1], cell[1:] in FREE)
)
#: Put in where the first statement has none.
PREVIOUS = "sha-256:" + "A" * 43


@pytest.fixture(scope="module")
def community(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], tuple[Market, Keys]]]:
    """A community for each type of act: time passes quickly here, and lists grow old."""
    with ExitStack() as stack:
        made: dict[str, tuple[Market, Keys]] = {}

        def of(name: str) -> tuple[Market, Keys]:
            if name not in made:
                market = stack.enter_context(market_in(tmp_path_factory.mktemp("market")))
                keys = Keys(market.whole)
                stack.callback(keys.close)
                made[name] = (market, keys)
            return made[name]

        yield of


def test_each_member_has_its_line_in_a_table() -> None:
    for _, name, member in ALL:
        known = member in REFUSED[name] or (name, member) in {*FREE, *CONTRADICTIONS} or member in COMMON
        assert known, (name, member)


@pytest.mark.parametrize("flow", ENDINGS, ids=lambda flow: flow.__name__)
def test_altered_without_the_signers_key(
    community: Callable[[str], tuple[Market, Keys]],
    flow: Flow,
) -> None:
    """Other octets in the signed object, member by member: the act does not hold."""
    market, keys = community(ENDINGS[flow][0])
    market.rest(10)
    found: dict[str, Act] = {}

    def keep(act: Act) -> bytes:
        found[act.type.rpartition("/")[2]] = act
        return act.octets

    with ExitStack() as stack:
        tampers = [Tamper(market.whole, keys, name, keep) for name in ENDINGS[flow]]
        for tamper in tampers:
            stack.enter_context(tamper.in_place())

        def begun(trade: str) -> None:
            for tamper in tampers:
                tamper.trade = trade

        flow(market, begun)
    assert found.keys() == set(ENDINGS[flow])
    for act in found.values():
        for member in act.document:
            document = {**act.document, member: other(act.document[member])}
            octets = act.octets.replace(act.doc_octets, wire.encode(document))
            with pytest.raises(Refusal) as refused:
                check_act_signature(read_act(octets))
            wanted = {"from": "wrong-certificate", "at": "wrong-time"}.get(member, "altered-content")
            assert refused.value.rule == wanted, (act.type, member)


@pytest.mark.parametrize(
    ("flow", "name", "member"),
    SINGLE,
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_other_value_signed_by_the_right_key(
    community: Callable[[str], tuple[Market, Keys]],
    flow: Flow,
    name: str,
    member: str,
) -> None:
    """It is refused by a rule, or serves as well; the ending is reached either way."""
    alone = f"{name} {member}" if (name, member) in FREE and name == "statement" else name
    market, keys = community(alone)
    rules, hits = met(market, keys, flow, name, member)
    assert hits == 1
    assert market.unnamed == []
    if (name, member) not in FREE:
        assert REFUSED[name].get(member, COMMON.get(member)) in rules


@pytest.mark.parametrize(("name", "member"), CONTRADICTIONS)
def test_who_says_two_things_is_held_to_the_first(
    community: Callable[[str], tuple[Market, Keys]], name: str, member: str
) -> None:
    flow = next(flow for flow, names in ENDINGS.items() if name in names)
    market, keys = community(f"{name} {member}")
    with rules_raised() as rules, pytest.raises((AssertionError, Refusal)):
        met(market, keys, flow, name, member)
    assert CONTRADICTIONS[name, member][1] in rules


def met(
    market: Market,
    keys: Keys,
    flow: Flow,
    name: str,
    member: str,
) -> tuple[list[str], int]:
    """One ending in which the signer said something else once."""
    market.rest(10)
    signer = keys.signer(*WAYS[name].signer)

    def change(document: Document) -> None:
        document[member] = other(document[member]) if member in document else PREVIOUS

    tamper = Tamper(market.whole, keys, name, lambda act: resigned(act, signer, change))

    def begun(trade: str) -> None:
        tamper.trade = trade

    with rules_raised() as rules, tamper.in_place():
        flow(market, begun)
    return rules, tamper.hits
