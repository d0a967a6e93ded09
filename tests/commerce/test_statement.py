"""Statements have no gaps, list each capture once, and their sums follow from the lines."""

from __future__ import annotations

from decimal import Decimal

import pytest

from e2s.base import wire
from e2s.commerce.bankcard.documents import STATEMENT
from e2s.commerce.bankcard.statement import MAX_ENTRIES_BYTES, check_statement, fitting, totals
from e2s.crypto import oids
from e2s.crypto.acts import Act, read_act, sign_act
from e2s.crypto.cms import open_sealed
from tests.worlds.market import ISSUER, Market, refused
from tests.worlds.payer import LINES, Purchase, one_line


def bought(market: Market, holder, lines=LINES) -> Purchase:
    made = Purchase(market, holder, lines=lines)
    assert made.pay()["state"] == "authorised"
    assert made.deliver()["state"] == "captured"
    return made


def test_chain_of_statements(market: Market):
    market.permit(market.alpha, market.anna)
    first = [bought(market, market.anna), bought(market, market.anna, one_line("10", rate="19"))]
    one = market.statement(market.alpha, 1)
    check_statement(one, None)
    market.clock.forward(days=1)
    second = bought(market, market.anna)
    two = market.statement(market.alpha, 2)
    check_statement(two, one)
    assert [entry["cid"] for entry in one.document["entries"]] == [made.cid for made in first]
    assert [entry["cid"] for entry in two.document["entries"]] == [second.cid]
    assert two.document["prev"] == one.id
    assert two.document["begins"] == one.document["ends"]
    assert market.statement(market.alpha, 1).octets == one.octets
    refused("statement-gap", market.request_statement, market.alpha, 4)
    refused("nothing-to-state", market.request_statement, market.alpha, 3)


def test_entry_shows_what_was_signed(market: Market):
    market.permit(market.alpha, market.anna)
    made = bought(market, market.anna)
    (entry,) = market.statement(market.alpha, 1).document["entries"]
    assert (entry["lines"], entry["vat"]) == (made.sums["lines"], made.sums["vat"])
    assert (entry["amount"], entry["buyer"], entry["costCentre"]) == (
        made.sums["total"],
        market.anna.person,
        "4711",
    )
    assert (entry["holder"], entry["merchant"]) == (market.anna.id, market.till.name)


def test_vat_report_adds_up(market: Market):
    market.permit(market.alpha, market.anna)
    for lines in (LINES, one_line("3.33", rate="19"), one_line("3.33", rate="7"), one_line("1", rate="0")):
        bought(market, market.anna, lines)
    said = market.statement(market.alpha, 1).document
    assert [row["rate"] for row in said["vat"]] == ["0", "7", "19"]
    gross = sum(Decimal(row["base"]) + Decimal(row["tax"]) for row in said["vat"])
    assert gross == Decimal(said["total"]) == sum(Decimal(entry["amount"]) for entry in said["entries"])


def test_each_organisation_has_its_own(market: Market):
    market.permit(market.alpha, market.anna)
    market.permit(market.beta, market.bert)
    ours, theirs = bought(market, market.anna), bought(market, market.bert)
    for manager, made in ((market.alpha, ours), (market.beta, theirs)):
        said = market.statement(manager, 1).document
        assert [entry["cid"] for entry in said["entries"]] == [made.cid]
    refused("not-the-manager", market.request_statement, market.beta, 1, market.alpha.organisation)
    envelope = market.request_statement(market.alpha, 1)
    refused("not-for-me", open_sealed, envelope, market.beta.opener)
    act = read_act(open_sealed(envelope, market.alpha.opener)[1])
    assert act.certificate == market.issuer_signer.certificate


def altered(market: Market, act: Act, change) -> Act:
    document = wire.decode(act.doc_octets)
    change(document)
    return read_act(sign_act(document, act.over, market.issuer_signer, act.at))


def test_manager_refuses_false_statements(market: Market):
    """The manager computes the same sums: a bank that adds wrongly, or leaves one out, is found out."""
    market.permit(market.alpha, market.anna)
    bought(market, market.anna)
    bought(market, market.anna)
    one = market.statement(market.alpha, 1)
    market.clock.forward(days=1)
    bought(market, market.anna)
    two = market.statement(market.alpha, 2)
    refused("statement-gap", check_statement, two, None)
    refused("statement-gap", check_statement, one, one)
    cases = {
        "false-total": [
            lambda d: d.update(total="1.00"),
            lambda d: d["vat"][0].update(tax="0.00"),
            lambda d: d["entries"][0].update(amount="1.00"),
            lambda d: d["entries"][0]["lines"][0].update(net="1.00"),
        ],
        "double-entry": [lambda d: d["entries"].append(d["entries"][0])],
        "statement-gap": [
            lambda d: d.update(prev="sha-256:" + "A" * 43),
            lambda d: d.update(organisation="x"),
        ],
        "bad-document": [lambda d: d.update(colour="red"), lambda d: d["entries"][0].pop("cid")],
    }
    for rule, changes in cases.items():
        for change in changes:
            refused(rule, check_statement, altered(market, two, change), one)


def test_statements_fit_into_a_document():
    entry = wire.encode({"type": "x", "text": "a" * 1000})
    many = [entry] * 1000
    chosen = fitting(many)
    assert len(wire.encode({"e": chosen})) < MAX_ENTRIES_BYTES + 100
    assert len(chosen) > 100
    assert len(fitting([wire.encode({"t": "a" * MAX_ENTRIES_BYTES})])) == 1
    assert fitting([]) == []
    assert totals([], "JPY") == {"vat": [], "total": "0"}


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_other_decimals(tmp_path, currency):
    market = Market(tmp_path, currency=currency)
    limit = "100000" if currency == "JPY" else "100000.000"
    market.permit(market.alpha, market.anna, per_purchase=limit, per_period=limit)
    made = bought(market, market.anna, one_line("1234.567", rate="19"))
    said = market.statement(market.alpha, 1)
    check_statement(said, None)
    assert said.document["total"] == made.sums["total"]
    STATEMENT.check(said.document)
    market.close()


def test_request_must_be_sealed_and_signed(market: Market):
    refused(
        "bad-envelope", market.send, ISSUER, "/statement", market.sealed(market.issuer_opener, b"", oids.DATA)
    )
