"""Whoever holds a bundle and a root may judge it: off-line, without a database, without asking anybody.

All thirty checks run on whatever can be read, so that one fault does not hide another; the verdict
(check 30) says for each signer what good acts commit them to, when, and what the bundle does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from e2s.base.instants import format_instant
from e2s.commerce.bankcard.checks_relations import (
    check_keys,
    check_parties,
    check_payment_names,
    check_relations,
)
from e2s.commerce.bankcard.checks_signatures import check_paths, check_signatures, check_stamps, excess
from e2s.commerce.bankcard.checks_terms import (
    check_amounts,
    check_delivery,
    check_order,
    check_statement,
    check_sums_and_times,
)
from e2s.commerce.bankcard.exhibits import Exhibit, Exhibits, lay_open
from e2s.commerce.bankcard.report import Commitment, Finding, Report
from e2s.commerce.evidence import Bundle, open_bundle
from e2s.commerce.order import SUMS
from e2s.crypto.certificates import Certificate
from e2s.security.verification.verifier import Verifier

_Document = dict[str, Any]


def _sum(document: _Document) -> str:
    """The amount that a document is about, with its currency."""
    return f"{document['total' if 'total' in document else 'amount']} {document['currency']}"


def _held(document: _Document, approved: str) -> str:
    """What a word about a payment says, by its result."""
    unnamed = "" if document["result"] == "approved" else "the payment"
    amount = _sum(document) if "amount" in document else unnamed
    return {
        "approved": f"{approved} {amount}".rstrip() + _until(document),
        "declined": f"{amount} is declined",
        "void": f"{amount} is void: nothing was or will be charged",
        "captured": f"{amount} is captured",
        "closed": f"{amount} can no longer be captured",
        "pending": "no decision is known yet",
    }[document["result"]]


def _until(document: _Document) -> str:
    if "claimUntil" not in document:
        return ""
    return f", held until {document['holdUntil']}, claims for deliveries until {document['claimUntil']}"


def _complaint(document: _Document) -> str:
    return ", with a complaint" if "complaint" in document else ""


#: What each act commits its signer to, in words.
_WORDS: Mapping[str, Callable[[_Document], str]] = MappingProxyType({
    "offer": lambda d: f"to sell {len(d['lines'])} lines for {_sum(d)} if accepted by {d['confirmBy']}",
    "accept": lambda d: f"to buy exactly that offer if confirmed by {d['confirmBy']}",
    "confirm": lambda _: "to the contract: to deliver once payment is authorised in time",
    "void": lambda d: f"that the trade is void ({d['reason']})",
    "pinit": lambda d: f"to take {_sum(d)} through {d['gateway']['name']}",
    "pay": lambda d: f"to pay {_sum(d)} for this contract to this merchant, if asked by {d['until']}",
    "auth": lambda d: f"to have asked for {_sum(d)} on that dual signature",
    "issue": lambda _: "to have passed the merchant's request to the issuer",
    "reverse": lambda _: "to have asked the issuer to void the payment",
    "decision": lambda d: _held(d, "to pay the merchant"),
    "authres": lambda d: _held(d, "that the issuer guarantees"),
    "authres-refused": lambda d: f"to have refused the request before forwarding it ({d['rule']})",
    "pres": lambda d: _held(d, "that the payment is authorised"),
    "authrev": lambda d: f"to give back {_sum(d)} ({d['reason']})",
    "reversed": lambda d: _held(d, ""),
    "revres": lambda d: _held(d, ""),
    "capreq": lambda d: f"to have delivered, and to claim {_sum(d)}",
    "captured": lambda d: _held(d, ""),
    "capres": lambda d: _held(d, ""),
    "cancel": lambda d: f"that the contract is off and nothing is charged ({d['reason']})",
    "inquiry": lambda _: "to have asked what became of the payment",
    "inquiry-answer": lambda d: f"that the payment is: {d['state']}",
    "delivery": lambda d: f"to have delivered {len(d['lines'])} lines",
    "receipt": lambda d: f"to have received {len(d['received'])} lines" + _complaint(d),
    "statement": lambda d: f"to have charged {_sum(d)} from {d['begins']} to {d['ends']}",
})  # fmt: skip


def judge(bundle: Bundle | bytes, anchors: Sequence[Certificate], at: datetime | None = None) -> Report:
    """The judgement of ``bundle`` under the roots ``anchors``, as of ``at`` where that is given.

    Octets that are no bundle at all give a report too: whatever is wrong is a finding, nothing is raised.
    """
    faults: list[Finding] = []
    if isinstance(bundle, bytes):
        opened, found = open_bundle(bundle)
        faults = [Finding(check=f.check, object=f.object, expected=f.expected, found=f.found) for f in found]
        if opened is None:
            return Report(
                trade="",
                party="",
                outcome="unreadable",
                findings=tuple(faults),
                commitments=(),
                gaps=("everything: the bundle cannot be read",),
            )
        bundle = opened
    exhibits = lay_open(bundle)
    verifier = Verifier(anchors)
    check_signatures(exhibits)
    check_stamps(exhibits, verifier, at)
    check_paths(exhibits, verifier, at)
    for check in (
        check_relations,
        check_parties,
        check_sums_and_times,
        check_order,
        check_amounts,
        check_payment_names,
        check_delivery,
        check_statement,
        check_keys,
    ):
        check(exhibits)
    return _verdict(exhibits, faults)


def _verdict(exhibits: Exhibits, faults: list[Finding]) -> Report:
    """Check 30: commitments, times and gaps; a bundle in which nobody commits to anything proves nothing."""
    commitments = _commitments(exhibits)
    if not commitments:
        exhibits.fail(30, "the bundle", "a good act of at least one signer", "none")
    return Report(
        trade=exhibits.bundle.trade,
        party=exhibits.bundle.party,
        outcome=_outcome(exhibits),
        findings=tuple(sorted({*faults, *exhibits.findings})),
        commitments=commitments,
        order=_order(exhibits),
        gaps=tuple(_gaps(exhibits)),
    )


def _commitments(exhibits: Exhibits) -> tuple[Commitment, ...]:
    """What each good act commits its signer to, in the order of the acts' claimed times."""
    found: dict[str, Commitment] = {}
    good = [e for e in exhibits.acts.values() if e.good]
    # of several copies of one act, the one that a stamp dates earliest speaks
    for e in sorted(good, key=lambda one: (not one.dated_by, one.at)):
        found.setdefault(
            e.act.id,
            Commitment(
                signer=e.name,
                role=e.part.role,
                act=e.kind,
                id=e.act.id,
                words=_WORDS[e.kind](e.document),
                at=e.at,
                claimed=e.act.at,
                dated_by=e.dated_by,
            ),
        )
    return tuple(sorted(found.values(), key=lambda one: (one.claimed, one.at)))


def _good(exhibits: Exhibits, kind: str, **members: str) -> list[Exhibit]:
    return [
        e
        for e in exhibits.of(kind)
        if e.good and all(e.document.get(name) == value for name, value in members.items())
    ]


def _outcome(exhibits: Exhibits) -> str:
    """How far the trade came by the acts that are good."""
    ladder = (
        ("captured", _good(exhibits, "captured", result="captured") + _charged(exhibits)),
        (
            "void",
            _good(exhibits, "reversed", result="void") + _good(exhibits, "inquiry-answer", state="void"),
        ),
        ("delivered", _good(exhibits, "delivery")),
        ("paid", _good(exhibits, "decision", result="approved")),
        ("paid", _good(exhibits, "inquiry-answer", state="held")),
        ("paid", _good(exhibits, "inquiry-answer", state="captured")),
        ("declined", _good(exhibits, "decision", result="declined")),
        ("void", _good(exhibits, "void") + _good(exhibits, "decision", result="void")),
        ("ordered", _good(exhibits, "pay")),
        ("contract", _good(exhibits, "confirm")),
        ("accepted", _good(exhibits, "accept")),
        ("offered", _good(exhibits, "offer")),
    )
    return next((name for name, acts in ladder if acts), "nothing")


def _order(exhibits: Exhibits) -> _Document | None:
    """The sums of what was offered, or of the order information where that is all."""
    offers = _good(exhibits, "offer")
    held = offers[0].document if offers else exhibits.opened.get("OI")
    return None if held is None else {member: held[member] for member in SUMS}


def _charged(exhibits: Exhibits) -> list[Exhibit]:
    """Statements that show this trade as charged."""
    trade = exhibits.bundle.trade
    return [
        e for e in _good(exhibits, "statement") if any(one["trade"] == trade for one in e.document["entries"])
    ]


def _gaps(exhibits: Exhibits) -> list[str]:
    """What a reader might look for and the bundle does not show."""
    present = {e.kind for e in exhibits.acts.values() if e.good}
    gaps = [
        f"no {words}"
        for kind, words in (
            ("offer", "offer: what was sold is not shown"),
            ("accept", "acceptance: the buyer is not shown to be bound"),
            ("confirm", "confirmation: no contract is shown"),
            ("pay", "dual signature: no payment is shown to be ordered"),
            ("decision", "decision of the issuer: no payment is shown to be made"),
            ("delivery", "delivery"),
            ("receipt", "receipt"),
            ("captured", "capture by the issuer"),
            ("statement", "statement of the issuer"),
        )
        if kind not in present
    ]
    if "pay" in present and "OI" not in exhibits.opened:
        gaps.append("the order information is not opened: which order was paid is shown by digest only")
    for exhibit in exhibits.acts.values():
        if not exhibit.good:
            gaps.append(f"{exhibit.place} does not count, so it commits nobody")
        elif not exhibit.dated_by and exhibit.kind in {"confirm", "delivery"}:
            gaps.append(f"{exhibit.place}: time claimed only, no time stamp")
        elif excess(exhibit).total_seconds() > 120 and not exhibit.holders:
            gaps.append(f"{exhibit.place}: proven only at {format_instant(exhibit.at)}, later than claimed")
    return gaps
