"""A statement lists each capture once; its number has no gap, and it names the one before (6.2.2 step 10).

Totals and the VAT report follow from the entries, entry by entry from the lines that the card-holder
signed; bank and purchasing manager compute them by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.money import format_amount, vat_by_rate
from e2s.base.wire import Document
from e2s.commerce.bankcard.documents import STATEMENT
from e2s.crypto.acts import Act

MAX_ENTRIES = 200
#: Entries of one statement; beside them a document of 128 KiB has room for its other members.
MAX_ENTRIES_BYTES = 110 * 1024


def fitting(entries: Iterable[bytes]) -> list[Document]:
    """The entries (canonical octets, oldest first) that one statement holds: at least the first."""
    chosen: list[Document] = []
    size = 0
    for octets in entries:
        size += len(octets) + 1
        if chosen and (size > MAX_ENTRIES_BYTES or len(chosen) == MAX_ENTRIES):
            break
        chosen.append(wire.decode(octets))
    return chosen


def totals(entries: Sequence[Document], currency: str) -> Document:
    """The members ``vat`` and ``total`` that follow from the entries."""
    bases: dict[str, tuple[Decimal, Decimal]] = {}
    for entry in entries:
        for row in entry["vat"]:
            base, tax = bases.get(row["rate"], (Decimal(0), Decimal(0)))
            bases[row["rate"]] = (base + Decimal(row["base"]), tax + Decimal(row["tax"]))
    return {
        "vat": [
            {"rate": rate, "base": format_amount(base, currency), "tax": format_amount(tax, currency)}
            for rate, (base, tax) in sorted(bases.items(), key=lambda row: (Decimal(row[0]), row[0]))
        ],
        "total": format_amount(sum((Decimal(entry["amount"]) for entry in entries), Decimal(0)), currency),
    }


def check_statement(act: Act, previous: Act | None) -> None:
    """The manager's check of one statement after the one before (``None`` before the first).

    Raises :class:`Refusal` ``statement-gap`` when it does not follow ``previous``, ``false-total`` when
    its sums don't follow from its lines, ``double-entry`` when a payment stands on it twice.
    """
    said = act.document
    STATEMENT.check(said)
    if (previous.document["n"] + 1 if previous else 1) != said["n"]:
        raise Refusal("statement-gap", "the statement's number does not follow", n=said["n"])
    if said.get("prev") != (previous.id if previous else None):
        raise Refusal("statement-gap", "the statement does not name the one before", n=said["n"])
    if previous and previous.document["organisation"] != said["organisation"]:
        raise Refusal("statement-gap", "the statements are of two organisations", n=said["n"])
    payments = {(entry["holder"], entry["xid"]) for entry in said["entries"]}
    if len(payments) != len(said["entries"]):
        raise Refusal("double-entry", "a payment stands on the statement twice", n=said["n"])
    for entry in said["entries"]:
        _check_entry(entry, said["currency"])
    if any(said[member] != value for member, value in totals(said["entries"], said["currency"]).items()):
        raise Refusal("false-total", "the statement's sums don't follow from its entries", n=said["n"])


def _check_entry(entry: Document, currency: str) -> None:
    """An entry's VAT rows follow from its lines, its amount from its VAT rows."""
    rows = vat_by_rate(((line["vatRate"], Decimal(line["net"])) for line in entry["lines"]), currency)
    right = [
        {"rate": rate, "base": format_amount(base, currency), "tax": format_amount(tax, currency)}
        for rate, base, tax in rows
    ]
    if entry["vat"] != right or Decimal(entry["amount"]) != sum((b + t for _, b, t in rows), Decimal(0)):
        raise Refusal("false-total", "an entry's sums don't follow from its lines", xid=entry["xid"])
