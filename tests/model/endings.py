"""Loss, repetition, death and time: from every state that can be reached, a good end can still be reached.

Buyer, merchant, gateway and issuer each have their durable state; a crash loses what is in flight, so it is
the loss of messages.  Any message may be lost, delayed beyond any deadline, or repeated by its sender; the merchant may stop for ever before he delivers; the issuer's clock may be set back once.
Time is one count: a deadline passes first for its owner, later for the counterpart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

# Instants in their order: confirmBy; the dual signature's until, for the issuer; the same for buyer and
# merchant (payBy); the merchant's margin; holdUntil; claimUntil for the issuer; the same for the others.
CONFIRM, UNTIL, UNTIL_OTHERS, MARGIN, HOLD, CLAIM, CLAIM_OTHERS = range(1, 8)
PAYING = ("paying", "inquiring")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the parties do for a good end; leaving one out must leave some state without any."""

    lasting_void: bool = True  # an inquiry after until about an unknown payment writes a void that stays
    asks_when_paying: bool = True  # the buyer inquires when her dual signature has lapsed
    asks_when_paid: bool = True  # ... and when nothing was delivered by claimUntil
    closed_is_void: bool = True  # the issuer answers void also for closed
    polls: bool = True  # status finds lost confirmations, results and deliveries
    lapse: bool = True  # unpaid contracts end at payBy
    buyer_waits: bool = True  # only the issuer's word ends paying
    margin: bool = True  # no delivery once the hold is about to end
    claim: bool = True  # a delivery dated in time is honoured until claimUntil
    unpaid: bool = True  # a delivery not captured by claimUntil ends unpaid
    refuse_before: bool = True  # the gateway refuses only before it has forwarded
    reversal_final: bool = True  # once the gateway has sent a reversal, it takes no approval any more
    durable: bool = True  # state is committed before a message leaves

    def without(self, names: str) -> Rules:
        off = set(names.split("+"))
        assert off <= {f.name for f in fields(self)}, names
        return replace(self, **dict.fromkeys(off, False))


class State(NamedTuple):
    """All four parties, what is under way, how late it is; ``back``: the issuer's clock may yet be set back."""

    buyer: str = "accepted"
    merchant: str = "offered"
    gateway: str = "none"
    issuer: str = "none"
    under_way: frozenset[str] = frozenset({"acceptance"})
    now: int = 0
    back: int = 1
    before: int = 0


Moves = Iterator[State]
#: After these the merchant may no longer stop for ever: he has delivered, or it is over.
_ALIVE = ("offered", "confirmed", "asking", "authorised", "reversing")
_LATER = ("authorised", "delivered", "captured", "unpaid", "reversing")


def go(state: State, *send: str, took: str = "", **changes: Any) -> State:
    """The state after a party took a message, changed, and sent others."""
    return state._replace(under_way=(state.under_way - {took}) | set(send), **changes)


def moves(s: State, r: Rules, most: int) -> Moves:
    """Everything that can happen next."""
    for party in (_world, _buyer, _merchant, _gateway, _issuer):
        for following in party(s, r):
            if following != s and len(following.under_way) <= most:
                yield following


def _world(s: State, _: Rules) -> Moves:
    if s.now < CLAIM_OTHERS:
        yield s._replace(now=s.now + 1)
    for message in s.under_way:
        yield go(s, took=message)
    if s.merchant in _ALIVE:
        yield go(s, merchant="gone")
    if s.back and s.now >= UNTIL:
        yield s._replace(back=0, before=1)
    if s.before:
        yield s._replace(before=0)


def _buyer(s: State, r: Rules) -> Moves:
    yield from _contracting(s, r)
    yield from _paying(s, r)
    yield from _heard(s)
    if s.buyer == "paid" and s.now >= CLAIM_OTHERS and r.asks_when_paid:
        yield go(s, "inquiry")
    if r.polls and s.merchant != "gone" and s.buyer in {"accepted", "paying", "inquiring", "paid"}:
        yield go(s, *_stored(s))


def _contracting(s: State, r: Rules) -> Moves:
    """From acceptance to the dual signature."""
    late = s.now >= UNTIL_OTHERS
    if s.buyer == "accepted":
        yield go(s, "acceptance")
        for answer, end in (("confirmation", "contract"), ("void", "void")):
            if answer in s.under_way:
                yield go(s, took=answer, buyer=end)
    if s.buyer == "contract" and not late:
        yield go(s, "preq", buyer="paying")
    if s.buyer in {"accepted", "contract"} and late and r.lapse:
        yield go(s, buyer="void")


def _paying(s: State, r: Rules) -> Moves:
    """From the dual signature to the issuer's word."""
    if s.buyer in PAYING:
        late = s.now >= UNTIL_OTHERS
        yield go(s, "preq")
        if late and r.asks_when_paying:
            yield go(s, "inquiry", buyer="inquiring")
        if late and not r.buyer_waits:
            yield go(s, buyer="void")


#: What a buyer learns in a state from a message, and where it leads.
_NEWS = {
    **{(state, f"pres {result}"): end for state in PAYING
       for result, end in (("approved", "paid"), ("declined", "void"), ("voided", "void"))},
    **{(state, f"answer {answer}"): end for state in ("inquiring", "paid")
       for answer, end in (("held", "paid"), ("captured", "paid"), ("void", "void"), ("declined", "void"))},
    ("paid", "delivery"): "received",
    ("paid", "cancel"): "void",
}  # fmt: skip


def _heard(s: State) -> Moves:
    for (state, message), end in _NEWS.items():
        if s.buyer == state and message in s.under_way:
            yield go(s, took=message, buyer=end)


def _stored(s: State) -> tuple[str, ...]:
    """The merchant's acts that a status shows the buyer."""
    return {
        "confirmed": ("confirmation",),
        "asking": ("confirmation",),
        "authorised": ("confirmation", "pres approved"),
        "delivered": ("pres approved", "delivery"),
        "captured": ("pres approved", "delivery"),
        "unpaid": ("pres approved", "delivery"),
        "declined": ("pres declined",),
        "cancelled": ("cancel",),
        "void": ("void",),
    }.get(s.merchant, ())


def _merchant(s: State, r: Rules) -> Moves:
    m, has = s.merchant, s.under_way.__contains__
    late = s.now >= UNTIL_OTHERS
    if m == "offered":
        if has("acceptance") and s.now < CONFIRM:
            yield go(s, "confirmation", took="acceptance", merchant="confirmed")
        if s.now >= CONFIRM:
            yield go(s, merchant="void")
    if m == "confirmed":
        if has("acceptance"):
            yield go(s, "confirmation", took="acceptance")
        if has("preq") and not late:
            yield go(s, "authreq", took="preq", merchant="asking")
        if late and r.lapse:
            yield go(s, merchant="void")
    if m == "asking":
        yield go(s, "authreq")
        yield from _results(s)
    if m == "void":
        yield from _too_late(s)
    yield from _delivering(s, r)


def _too_late(s: State) -> Moves:
    """What reaches the merchant after the trade is void."""
    for message in ("acceptance", "preq"):
        if message in s.under_way:
            yield go(s, "void", took=message)
    if "authres approved" in s.under_way:
        yield go(s, "authrev", took="authres approved", merchant="reversing")


def _results(s: State) -> Moves:
    """How asking ends."""
    if "authres approved" in s.under_way:
        yield go(s, "pres approved", took="authres approved", merchant="authorised")
    for result in ("declined", "voided"):
        if f"authres {result}" in s.under_way:
            yield go(s, f"pres {result}", took=f"authres {result}", merchant="declined")
    if "authres refused" in s.under_way:
        yield go(s, took="authres refused", merchant="confirmed")


def _delivering(s: State, r: Rules) -> Moves:
    m, has = s.merchant, s.under_way.__contains__
    if m == "authorised":
        if s.now < MARGIN or (not r.margin and s.now < CLAIM):
            yield go(s, "delivery", "capreq", merchant="delivered" if s.now < HOLD else "too late")
            if not r.durable:  # killed after sending, before the state was written
                yield go(s, "delivery", "capreq")
        yield go(s, "authrev", merchant="reversing")
    if m in _LATER and has("preq") and m != "reversing":
        yield go(s, "pres approved", took="preq")
    if m == "delivered":
        yield go(s, "capreq")
        if has("capres captured"):
            yield go(s, took="capres captured", merchant="captured")
        if has("capres not") and r.unpaid:
            yield go(s, took="capres not", merchant="unpaid")
        if s.now >= CLAIM_OTHERS and r.unpaid and s.issuer != "captured":  # else a CapReq still finds it
            yield go(s, merchant="unpaid")
    if m == "reversing":
        yield go(s, "authrev")
        if has("revres"):
            yield go(s, "cancel", took="revres", merchant="cancelled")


def _gateway(s: State, r: Rules) -> Moves:
    g, has = s.gateway, s.under_way.__contains__
    if has("authreq"):
        yield from _requested(s, r)
    if g == "forwarded":
        yield go(s, "authiss")
        if s.now >= UNTIL:
            yield go(s, "reverse", gateway="reversing" if r.reversal_final else "forwarded")
    if g == "reversing":
        yield go(s, "reverse")
    for result in ("approved", "declined", "voided"):
        if has(f"decision {result}") and (g == "forwarded" or (g == "reversing" and result != "approved")):
            yield go(s, f"authres {result}", took=f"decision {result}", gateway=result)
    if g not in {"none", "refused"}:
        for asked, sent in _FORWARDED.items():
            if has(asked):
                yield go(s, sent, took=asked)


def _requested(s: State, r: Rules) -> Moves:
    """AuthReq: forwarded or refused once, then answered as stored."""
    g = s.gateway
    if g == "none":
        yield go(s, "authiss", took="authreq", gateway="forwarded")
    if g in {"none", "refused"} or (g == "forwarded" and not r.refuse_before):
        yield go(s, "authres refused", took="authreq", gateway="refused")
    if g in {"approved", "declined", "voided"}:
        yield go(s, f"authres {g}", took="authreq")


#: What the gateway passes on between merchant and issuer, and as what.
_FORWARDED = {
    "capreq": "capreq at issuer", "authrev": "authrev at issuer", "captured": "capres captured",
    "not captured": "capres not", "reversed": "revres",
}  # fmt: skip


def _issuer(s: State, r: Rules) -> Moves:
    k, has = s.issuer, s.under_way.__contains__
    past_until = s.now >= UNTIL and not s.before
    if has("authiss"):
        yield from _decided(s, past_until)
    if has("inquiry"):
        yield from _answered(s, r, past_until)
    if has("reverse"):
        if k in {"none", "held", "void"}:
            yield go(s, "decision voided", took="reverse", issuer="void")
        else:
            yield go(s, "decision declined" if k == "declined" else "decision approved", took="reverse")
    if has("capreq at issuer"):
        if k == "captured" or (s.now < CLAIM and (k == "held" or (k == "expired" and r.claim))):
            yield go(s, "captured", took="capreq at issuer", issuer="captured")
        else:
            yield go(s, "not captured", took="capreq at issuer")
    if has("authrev at issuer") and k != "captured":
        end = "void" if k in {"held", "expired"} else k
        yield go(s, "reversed", took="authrev at issuer", issuer=end)
    if k == "held" and s.now >= HOLD:
        yield go(s, issuer="expired")
    if k == "expired" and s.now >= CLAIM:
        yield go(s, issuer="closed")


def _decided(s: State, past_until: bool) -> Moves:
    """AuthIss: decided once, then answered as stored."""
    k = s.issuer
    if k == "none" and not past_until:
        yield go(s, "decision approved", took="authiss", issuer="held")
    if k == "none":
        yield go(s, "decision declined", took="authiss", issuer="declined")
    if k == "declined":
        yield go(s, "decision declined", took="authiss")
    if k == "void":
        yield go(s, "decision voided", took="authiss")
    if k in {"held", "expired", "captured", "closed"}:
        yield go(s, "decision approved", took="authiss")


def _answered(s: State, r: Rules, past_until: bool) -> Moves:
    """Inquiry: the state as it is; an unknown payment becomes void when it can no longer be authorised."""
    k = s.issuer
    if k == "none" and past_until:
        yield go(s, "answer void", took="inquiry", issuer="void" if r.lasting_void else "none")
    if k == "none" and not past_until:
        yield go(s, took="inquiry")
    answers = {
        "held": "held",
        "expired": "held",
        "captured": "captured",
        "void": "void",
        "declined": "declined",
    }
    if r.closed_is_void:
        answers["closed"] = "void"
    if k in answers:
        yield go(s, f"answer {answers[k]}", took="inquiry")
    elif k == "closed":
        yield go(s, "answer held", took="inquiry")


def good(s: State) -> bool:
    """An end that the parties agree on: goods and money both moved, or neither."""
    if (s.buyer, s.merchant, s.issuer) == ("received", "captured", "captured"):
        return True
    # nothing arrived for all the time to claimUntil: ended, and reported as unpaid (9.6)
    if s.merchant == "unpaid" and _closed(s):
        return True
    over = s.merchant in {"void", "gone", "cancelled", "declined"}
    return s.buyer == "void" and over and s.issuer in {"none", "void", "closed", "declined"}


def _closed(s: State) -> bool:
    """The issuer's claim time has passed, whether or not he has looked since."""
    return s.issuer == "closed" or (s.now >= CLAIM and s.issuer in {"held", "expired"})


def lost(s: State) -> str:
    """A disagreement that no later move can mend, or the empty string."""
    if s.buyer == "void" and s.issuer == "captured":
        return "charged for a void trade"
    if s.merchant == "unpaid" and not _closed(s):
        return "delivered and unpaid"
    if s.gateway == "refused" and s.issuer in {"held", "captured"}:
        return "refused what is held"
    if s.merchant == "too late":
        return "delivered after the hold"
    if s.merchant == "delivered" and s.issuer in {"void", "declined"}:
        return "delivered what cannot be captured"
    return ""


@dataclass(frozen=True, kw_only=True)
class Ends:
    """What an exploration found: how many states, and the bad ones by what is bad about them."""

    states: int
    bad: dict[str, State]


def explore(rules: Rules, most: int = 2, *, back: int = 1) -> Ends:
    """All states with at most ``most`` messages under way; bad: a lasting disagreement, or no good end."""
    first = State(back=back)
    seen, todo = {first}, [first]
    comes_from: defaultdict[State, list[State]] = defaultdict(list)
    while todo:
        state = todo.pop()
        for following in moves(state, rules, most):
            comes_from[following].append(state)
            if following not in seen:
                seen.add(following)
                todo.append(following)
    saved = [state for state in seen if good(state)]
    can_end = set(saved)
    while saved:
        for earlier in comes_from[saved.pop()]:
            if earlier not in can_end:
                can_end.add(earlier)
                saved.append(earlier)
    bad: dict[str, State] = {}
    for state in seen:
        why = lost(state)
        if why:
            bad.setdefault(why, state)
        elif state not in can_end:
            bad.setdefault(f"no good end: {state.buyer}, {state.merchant}, {state.issuer}", state)
    return Ends(states=len(seen), bad=bad)


#: Rules to leave out, and how many messages must be under way for that to show.
LEFT_OUT = {
    "asks_when_paying": 1, "asks_when_paid": 1, "closed_is_void": 1, "lapse": 1, "refuse_before": 1,
    "lasting_void": 2, "polls": 2, "buyer_waits": 2, "margin": 2, "claim": 2, "unpaid": 2, "reversal_final": 2,
    "durable": 2,
}  # fmt: skip
