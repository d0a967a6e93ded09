"""Checks 22 to 25, 27 and 28: sums, times, order, amounts, delivery and statement say the same thing.

A deadline has passed for its owner at the instant, for everybody else two clock errors later.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from decimal import Decimal
from typing import Any

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, format_instant, parse_instant
from e2s.base.money import parse_amount, parse_number
from e2s.commerce.bankcard.exhibits import Exhibit, Exhibits
from e2s.commerce.order import SUMS, check_sums, classes
from e2s.commerce.payment.documents import instruction_digest, pan_commitment
from e2s.commerce.payment.instructions import commitment_of


def check_sums_and_times(exhibits: Exhibits) -> None:
    """Checks 22 and 23."""
    orders = [(offer.place, offer.document) for offer in exhibits.of("offer")]
    orders += [("opened/OI.json", held) for name, held in exhibits.opened.items() if name == "OI"]
    for place, order in orders:
        try:
            check_sums(order)
        except Refusal as refusal:
            member = refusal.facts.get("member") or "total"
            found = f"{refusal.rule}: {refusal.message}"
            exhibits.fail(22, f"{place} {member}", "the sum of the lines", found)
    for check in (_contract_times, _payment_times, _delivery_times):
        check(exhibits)


def _contract_times(exhibits: Exhibits) -> None:
    """23: terms accepted are those offered; acceptance and confirmation come before confirmBy."""
    for accept in exhibits.of("accept"):
        for offer in accept.inner:
            for member in ("confirmBy", "payBy"):
                exhibits.compare(
                    23, f"{accept.place} {member}", offer.document.get(member), accept.document[member]
                )
        _before(exhibits, accept, accept.document["confirmBy"], "confirmBy", claimed=True)
        for confirm in accept.holders:
            if confirm.kind == "confirm":
                _before(exhibits, confirm, accept.document["confirmBy"], "confirmBy")


def _payment_times(exhibits: Exhibits) -> None:
    """23: payment is ordered and decided before payBy, and money is held for some time."""
    offers = exhibits.of("offer")
    for offer in offers:
        for exhibit in exhibits.of("pinit", "pay"):
            limit = exhibit.document["payBy" if exhibit.kind == "pinit" else "until"]
            if limit > offer.document["payBy"]:
                exhibits.fail(23, exhibit.place, f"not after payBy {offer.document['payBy']}", limit)
    untils = {pay.act.id: pay.document["until"] for pay in exhibits.of("pay")}
    for decision in exhibits.of("decision"):
        document = decision.document
        if document["result"] != "approved":
            continue
        if document["ds"] in untils:
            _before(exhibits, decision, untils[document["ds"]], "the dual signature's until", claimed=True)
        if not document["at"] < document.get("holdUntil", "") <= document.get("claimUntil", ""):
            exhibits.fail(23, decision.place, "holdUntil, then claimUntil", "no or earlier deadlines")


def _delivery_times(exhibits: Exhibits) -> None:
    """23: a delivery is dated before the hold ends, a capture before the claim does."""
    approved = [e for e in exhibits.of("decision") if e.document["result"] == "approved"]
    holds = {e.document["xid"]: e.document for e in approved}
    for exhibit in exhibits.of("delivery", "captured"):
        hold = holds.get(exhibit.document["xid"])
        member = "holdUntil" if exhibit.kind == "delivery" else "claimUntil"
        if hold is not None and member in hold and exhibit.document.get("result", "captured") == "captured":
            _before(exhibits, exhibit, hold[member], member)


def _before(exhibits: Exhibits, exhibit: Exhibit, deadline: str, name: str, *, claimed: bool = False) -> None:
    """23: the act's best known time is not later than the deadline and twice the clock error."""
    at = exhibit.act.at if claimed else exhibit.at
    if at > parse_instant(deadline) + 2 * DELTA:
        how = "proven" if exhibit.dated_by and not claimed else "claimed"
        exhibits.fail(23, exhibit.place, f"not after {name} {deadline}", f"{how} at {format_instant(at)}")


def check_order(exhibits: Exhibits) -> None:
    """24: what is opened is what was signed for by digest, and the order is the contract's."""
    for name, held in exhibits.opened.items():
        place = f"opened/{name}.json"
        if name == "LI":
            continue
        orders = [pay for pay in exhibits.of("pay") if pay.document["xid"] == held["xid"]]
        digest = wire.b64u(instruction_digest(held))
        for pay in orders:
            if not hmac.compare_digest(digest, pay.document[f"h{name}"]):
                exhibits.fail(24, place, f"h{name} {pay.document[f'h{name}']}", digest)
            _check_instruction(exhibits, name, held, pay)
        if not orders and exhibits.of("pay"):
            exhibits.fail(24, place, "an instruction of a payment in the bundle", f"xid {held['xid']}")
    for offer in exhibits.of("offer"):
        if "OI" in exhibits.opened:
            for member in SUMS:
                found = exhibits.opened["OI"][member]
                _same(exhibits, f"opened/OI.json {member}", offer.document[member], found)
        disclosed = exhibits.opened.get("SI", {}).get("classes")
        if disclosed:
            exhibits.compare(24, "opened/SI.json classes", classes(offer.document), disclosed)


def _same(exhibits: Exhibits, where: str, expected: Any, found: Any) -> None:
    if expected != found:
        exhibits.fail(24, where, str(expected)[:120], str(found)[:120])


def _check_instruction(exhibits: Exhibits, name: str, held: dict[str, Any], pay: Exhibit) -> None:
    """24: an instruction repeats the names and the amount of its dual signature."""
    for member in ("cid", "merchant", "gateway", "issuer", "amount", "currency"):
        if member in held:
            exhibits.compare(24, f"opened/{name}.json {member}", pay.document[member], held[member])
    if name == "PI":
        exhibits.compare(24, "opened/PI.json holder", pay.act.certificate.id, held["holder"])
        expected = "the card that the certificate commits to"
        try:
            committed = pan_commitment(wire.unb64u(held["panSecret"]), held["pan"])
            if not hmac.compare_digest(committed, commitment_of(pay.act.certificate)):
                exhibits.fail(24, "opened/PI.json pan", expected, "another card")
        except Refusal as refusal:
            exhibits.fail(24, "opened/PI.json pan", expected, refusal.message)


def check_amounts(exhibits: Exhibits) -> None:
    """25: one amount from offer to answer; what is captured is not more."""
    payments = exhibits.of("pay", "auth", "decision", "authres", "pinit", "authrev")
    totals = [(e.document["total"], e.document["currency"]) for e in exhibits.of("offer")]
    first = totals[0] if totals else next(((_amount(e), e.document["currency"]) for e in payments), None)
    if first is None:
        return
    for exhibit in payments:
        found = (_amount(exhibit), exhibit.document["currency"])
        exhibits.compare(25, f"{exhibit.place} amount", " ".join(first), " ".join(found))
    captured: dict[str, Decimal] = {}
    for exhibit in exhibits.of("capreq"):
        exhibits.compare(25, f"{exhibit.place} currency", first[1], exhibit.document["currency"])
        amount = parse_amount(exhibit.document["amount"], exhibit.document["currency"])
        xid = exhibit.document["xid"]
        captured[xid] = captured.get(xid, Decimal(0)) + amount
        if captured[xid] > parse_amount(*first):
            exhibits.fail(25, exhibit.place, f"captures of at most {first[0]}", f"{captured[xid]}")
    for exhibit in exhibits.of("captured"):
        if parse_amount(exhibit.document["amount"], exhibit.document["currency"]) > parse_amount(*first):
            exhibits.fail(25, exhibit.place, f"at most {first[0]}", exhibit.document["amount"])


def _amount(exhibit: Exhibit) -> str:
    return str(exhibit.document["total" if exhibit.kind == "pinit" else "amount"])


def check_delivery(exhibits: Exhibits) -> None:
    """27: nothing is delivered or received that was not ordered, nor more of it."""
    offers = exhibits.of("offer")
    if not offers:
        return
    ordered = {line["n"]: parse_number(line["qty"]) for line in offers[0].document["lines"]}
    for kind, member in (("delivery", "lines"), ("receipt", "received")):
        sent: dict[int, Decimal] = {}
        for exhibit in exhibits.of(kind):
            for part in exhibit.document[member]:
                n = part["n"]
                sent[n] = sent.get(n, Decimal(0)) + parse_number(part["qty"])
                if sent[n] > ordered.get(n, Decimal(0)):
                    most = f"at most {ordered.get(n, 0)} of line {n}"
                    exhibits.fail(27, exhibit.place, most, f"{sent[n]}")


def check_statement(exhibits: Exhibits) -> None:
    """28: the statement shows each capture of the trade once, as it was."""
    captures = {e.document["xid"]: e for e in exhibits.of("captured") if e.document["result"] == "captured"}
    requests = {e.act.id: e for e in exhibits.of("capreq")}
    offers = exhibits.of("offer")
    for statement in exhibits.of("statement"):
        entries = [one for one in statement.document["entries"] if one["trade"] == exhibits.bundle.trade]
        for entry in entries:
            _check_entry(exhibits, statement.place, entry, offers)
            if captures and entry["xid"] not in captures:
                exhibits.fail(28, statement.place, "an entry for a capture", f"xid {entry['xid']}")
            if requests and entry["capreq"] not in requests:
                exhibits.fail(28, f"{statement.place} capreq", " or ".join(requests), entry["capreq"])
        _check_shown(exhibits, statement, captures, [entry["xid"] for entry in entries])


def _check_entry(exhibits: Exhibits, place: str, entry: dict[str, Any], offers: list[Exhibit]) -> None:
    for offer in offers:
        _compare_28(exhibits, f"{place} amount", offer.document["total"], entry["amount"])
        for member in ("lines", "vat"):
            _compare_28(exhibits, f"{place} {member}", offer.document[member], entry[member])


def _compare_28(exhibits: Exhibits, where: str, expected: Any, found: Any) -> None:
    if expected != found:
        exhibits.fail(28, where, str(expected)[:120], str(found)[:120])


def _check_shown(
    exhibits: Exhibits, statement: Exhibit, captures: dict[str, Exhibit], shown: list[str]
) -> None:
    """28: a capture within the statement's period stands in it exactly once."""
    begins, ends = (_read(statement.document[member]) for member in ("begins", "ends"))
    for xid, capture in captures.items():
        times = shown.count(xid)
        if times > 1 or (begins <= capture.act.at < ends and times == 0):
            exhibits.fail(28, statement.place, f"one entry for {capture.place}", str(times))


def _read(text: str) -> datetime:
    return parse_instant(text)
