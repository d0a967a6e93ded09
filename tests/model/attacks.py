"""Scenarios: with every rule nothing is found; with a rule left out, in the scenario named for it, an attack is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.model.roles import (
    MORE,
    TEN,
    C,
    D,
    G,
    H,
    M,
    N,
    Rules,
    acquirer,
    bank,
    contract_buyer,
    contract_merchant,
    contract_of,
    intruder,
    login_buyer,
    login_merchant,
    own_instructions,
    pan,
    pan_secret,
    payer,
    seller,
)  # fmt: skip
from tests.model.search import Found, Goals, Role, search
from tests.model.terms import Intruder, Term, atom, digest, doc

O1, O2 = atom("order", "o1"), atom("order", "o2")
_HONEST = frozenset((C, M, G))
#: The facts of a payment are (buyer, merchant, gateway, cid, amount, xid); the issuer is always honest.
_HOLD = {"hold": [("pay", 0)]}
_PAID = {"paid": [("decided", 0)], "authorised": [("decided", 1)]}
_ORDER = {"order": [("order", 0)]}
PAYMENT = {**_HOLD, **_PAID, "ordered": [("pay", 0), ("asked for", 1)]}


def anothers_card(events: tuple[Any, ...]) -> str:
    """C's card is charged on another's signature."""
    return "C's card on D's signature" if ("commit", "card", D, pan(C)) in events else ""


def two_words(events: tuple[Any, ...]) -> str:
    """Money is held twice for one contract, or the bank both refuses and approves one payment."""
    held = [e for e in events if e[:2] == ("commit", "hold") and e[2] == C]
    if len(held) > len({e[5] for e in held}):
        return "two holds for one contract"
    refused = {e[7] for e in events if e[0] == "refused" and e[2] == C}
    return "one payment refused and approved" if refused & {e[7] for e in held} else ""


def voided_by_others(events: tuple[Any, ...]) -> str:
    """C's payment is voided though she did not ask, or she believes it void and it is not."""
    paid = {e[7] for e in events if e[:2] == ("run", "pay")}
    asked = {e[3] for e in events if e[:2] == ("run", "asked")}
    void = {e[3] for e in events if e[:2] == ("lasting", "void") and e[2] != D}
    if (void & paid) - asked:
        return "C's payment is void and she did not ask"
    believed = {e[3] for e in events if e[:2] == ("commit", "void")}
    return "C believes a payment void that is not" if believed - void else ""


def dishonest_gateway_chosen(events: tuple[Any, ...]) -> bool:
    """A card-holder who pays through H shows H her card: no attack, her bank certified H."""
    return any(e[:2] == ("run", "pay") and e[4] == H for e in events)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Who takes part, what the intruder may know besides, the goals, and the rules whose absence shows here."""

    name: str
    roles: Callable[[Rules], Sequence[Role]]
    knows: Callable[[Rules], Intruder]
    goals: Goals
    left_out: tuple[str, ...] = ()
    bound: int = 4000


def _contract_terms(rules: Rules, buyer: Term, merchant: Term) -> list[Term]:
    """What a dishonest party of a contract knows of it."""
    order, cid = contract_of(rules, buyer, merchant)
    return [order, cid, *(cid[1][2:])]


def _cid(rules: Rules, buyer: Term, merchant: Term) -> Term:
    return contract_of(rules, buyer, merchant)[1]


def _seen(rules: Rules) -> Intruder:
    return intruder(_cid(rules, C, M))


def _at_n(rules: Rules) -> Intruder:
    return intruder(*_contract_terms(rules, C, N), MORE)


def _at_n_alone(rules: Rules) -> Intruder:
    """Without a card-holder of the intruder's own: fewer messages, the same merchant and gateway."""
    return intruder(*_contract_terms(rules, C, N), owns=(N, H))


def _at_n_twice(rules: Rules) -> Intruder:
    """N has two contracts, the other one with D."""
    return intruder(*_contract_terms(rules, C, N), *_contract_terms(rules, D, N), owns=(N, H))


def _own_order(rules: Rules) -> Intruder:
    return intruder(*_contract_terms(rules, C, N), digest(doc("OI", atom("order", "oE"))), owns=(D, N))


def _as_d(rules: Rules, gateway: Term = G) -> Intruder:
    """D has a contract with M, and can use its xid for a payment to N."""
    _, cid = contract_of(rules, D, M)
    xid = digest(doc("xid", cid, atom("nonce", "nE"), atom("nonce", "nP1")))
    own = (D, H) if gateway == H else (D, N)
    base = intruder(*_contract_terms(rules, D, M), atom("nonce", "nP1"), owns=own)
    return base.hear(*own_instructions(rules, xid, cid, gateway), digest(doc("OI", atom("order", "oE"))))


def _asking(rules: Rules) -> Intruder:
    made = digest(doc("OI", atom("order", "oE"))), digest(doc("PI", D))
    return intruder(*_contract_terms(rules, C, N), *made, owns=(D, N))


_PAYING = Goals(
    agree=PAYMENT,
    honest=_HONEST,
    secrets=(pan(C),),
    guessed=((pan(C), pan_secret(C)),),
    unless=dishonest_gateway_chosen,
)


SCENARIOS = (
    Scenario(
        name="login, relayed through a dishonest merchant",
        roles=lambda r: [login_buyer(r, N), login_merchant(r, 1)],
        knows=lambda _: intruder(), goals=Goals(agree={"key": [("key", 1)], "session": [("session", 0)]}, honest=_HONEST), left_out=("login_to",),
    ),
    Scenario(
        name="login, a dishonest buyer beside",
        roles=lambda r: [login_buyer(r, M), login_merchant(r, 1), login_merchant(r, 2)],
        knows=lambda _: intruder(), goals=Goals(agree={"key": [("key", 1)], "session": [("session", 0)]}, honest=_HONEST), left_out=("answer_to",),
    ),
    Scenario(
        name="contract, by its signatures alone",
        roles=lambda r: [contract_buyer(r, O1), contract_merchant(r, 1, D, O1, MORE), contract_merchant(r, 2, C, O1, TEN),
                         contract_merchant(r, 3, C, O2, TEN), contract_buyer(r, O2)],
        knows=lambda _: intruder(O1, O2, MORE),
        goals=Goals(agree={"offered": [("offered", 1)], "accepted": [("accepted", 0)], "contract": [("contract", 1)]}, honest=_HONEST),
        left_out=("offer_to", "nested"),
    ),
    Scenario(
        name="a whole payment among honest parties",
        roles=lambda r: [payer(r, M), seller(r, C, G), acquirer(r, 1), acquirer(r, 2), bank(r, 1)],
        knows=_seen,
        goals=Goals(agree={**PAYMENT, "asked": [("asked for", 1)]}, honest=_HONEST, secrets=(pan(C), O1), guessed=((pan(C), pan_secret(C)), (O1,))),
        left_out=("once_gateway", "salt_contract"),
    ),
    Scenario(
        name="an honest merchant asks a dishonest gateway",
        roles=lambda r: [payer(r, M), seller(r, C, H), bank(r, 1)],
        knows=_seen,
        goals=Goals(agree={**PAYMENT, "hold": [("pay", 0), ("asked for", 1)]}, honest=_HONEST, secrets=(O1,), guessed=((O1,),)),
        left_out=("salt_oi", "issuer_ds+auth_inside", "decision_inside", "ds_merchant"),
    ),
    Scenario(
        name="a dishonest merchant before an honest gateway",
        roles=lambda r: [payer(r, N), acquirer(r, 1), bank(r, 1)],
        knows=_at_n,
        goals=_PAYING,
        left_out=("pres_over", "agreement_named", "salt_pi"),
    ),
    Scenario(
        name="a dishonest merchant with two contracts",
        roles=lambda r: [payer(r, N), acquirer(r, 1)],
        knows=_at_n_twice,
        goals=Goals(agree=PAYMENT, honest=_HONEST),
        left_out=("ds_contract",),
    ),
    Scenario(
        name="a gateway asks in a merchant's name",
        roles=lambda r: [seller(r, D, H), bank(r, 1)],
        knows=lambda r: _as_d(r, H),
        goals=Goals(agree={"hold": [("asked for", 1)]}, honest=_HONEST),
        left_out=("auth_inside",),
    ),
    Scenario(
        name="a dishonest merchant knows another's gateway",
        roles=lambda r: [payer(r, N), acquirer(r, 1)],
        knows=_at_n,
        goals=Goals(agree=PAYMENT, honest=_HONEST),
        left_out=("ds_gateway",),
    ),
    Scenario(
        name="a dishonest card-holder copies another's instruction",
        roles=lambda r: [payer(r, N), acquirer(r, 1), bank(r, 1)],
        knows=_own_order,
        goals=Goals(agree=_HOLD, never=anothers_card, honest=_HONEST),
        left_out=("pi_holder",),
    ),
    Scenario(
        name="a dishonest buyer pays her own merchant, not M",
        roles=lambda r: [seller(r, D, G), acquirer(r, 1), bank(r, 1)],
        knows=_as_d,
        goals=Goals(agree=_PAID, honest=_HONEST),
        left_out=("result_merchant+result_request+result_ds",),
    ),
    Scenario(
        name="the same request once more",
        roles=lambda r: [payer(r, N), bank(r, 1), bank(r, 2)],
        knows=_at_n_alone,
        goals=Goals(agree=_HOLD, honest=_HONEST),
        left_out=("once+one_live",),
    ),
    Scenario(
        name="a refusal that the bank never gave",
        roles=lambda r: [payer(r, N, again=True), bank(r, 1, refuses=True), bank(r, 2)],
        knows=_at_n_alone,
        goals=Goals(agree={**_HOLD, "declined": [("declined", 0)]}, never=two_words, honest=_HONEST),
        left_out=("once", "declined_over", "declined_over+one_live"),
    ),
    Scenario(
        name="inquiries by others",
        roles=lambda r: [payer(r, N, asks=True), bank(r, 1), bank(r, 2, voids=True)],
        knows=_asking,
        goals=Goals(never=voided_by_others),
        left_out=("inquiry_holder", "answer_names"),
    ),
    Scenario(
        name="other lines on the statement",
        roles=lambda r: [payer(r, N), bank(r, 1, charges=True)],
        knows=_at_n_alone,
        goals=Goals(agree={**_HOLD, **_ORDER}, honest=_HONEST),
        left_out=("line_items",),
    ),
)  # fmt: skip


def run(scenario: Scenario, rules: Rules, bound: int) -> Found:
    """One search of one scenario."""
    return search(scenario.roles(rules), scenario.knows(rules), scenario.goals, bound)
