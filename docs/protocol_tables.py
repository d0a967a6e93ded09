"""Writes the tables of docs/protocol.md from the code, so that the specification cannot drift from it.

``python docs/protocol_tables.py`` renews them; a test compares.  A member without a meaning here is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from e2s.commerce.bankcard.documents import FORMS as STATEMENTS
from e2s.commerce.bankcard.report import CHECKS
from e2s.commerce.bankcard.roles import PARTS
from e2s.commerce.payment.documents import FORMS as PAYMENTS
from e2s.commerce.payment.documents import INSTRUCTIONS
from e2s.commerce.payment.tables import GATEWAY, ISSUER, PAYMENT
from e2s.commerce.purchasing.documents import FORMS as CONTRACTS
from e2s.commerce.purchasing.tables import BUYER, MERCHANT
from e2s.commerce.steps import Table
from e2s.crypto.forms import Form
from e2s.network.sessions.login import ANSWER_FORM, LOGIN_FORM
from e2s.network.sessions.pages import PAGE_FORM
from e2s.network.sessions.presence import PRESENCE_FORM

FILE = Path(__file__).with_name("protocol.md")
SESSIONS = {form.type: form for form in (PAGE_FORM, LOGIN_FORM, ANSWER_FORM, PRESENCE_FORM)}
TABLES = {
    "buyer": BUYER,
    "merchant": MERCHANT,
    "payment": PAYMENT,
    "gateway": GATEWAY,
    "issuer": ISSUER,
}
FORMS = {
    "session": SESSIONS,
    "contract": CONTRACTS,
    "instructions": INSTRUCTIONS,
    "payment": PAYMENTS,
    "statement": STATEMENTS,
}
_AROUND = ("type", "from", "to", "at", "until", "trade")

#: What a member means, wherever it stands; ``form.member`` where it means something of its own there.
MEANINGS = {
    "accept": "`#` of the acceptance",
    "agreement": "digest of the merchant's agreement certificate",
    "amount": "what is paid, with the currency's decimals",
    "at": "when the page was made",
    "auth": "`#` of the merchant's request inside",
    "begins": "first instant of the period",
    "buyer": "digest of the certificate B that the offer is made to",
    "SI.buyer": "the buyer's name",
    "catalogue": "`#` of the catalogue that the rules are for",
    "login-answer.catalogue": "where the catalogue begins",
    "challenge": "the 32 octets that the merchant sent",
    "cid": "`#` of the confirmation: the contract",
    "classes": "kinds of goods, sorted; empty where not disclosed",
    "complaint": "what is wrong with the delivery",
    "confirmBy": "the acceptance must reach the merchant before this",
    "controls": "`#` of the controls taken",
    "costCentre": "where the buyer's organisation books it",
    "count": "how many items there are",
    "currency": "ISO 4217 code of every amount in the document",
    "claimUntil": "until then a delivery dated before `holdUntil` is honoured",
    "decision": "`accept`",
    "deliverTo": "where the goods go",
    "delivery": "`#` of the delivery",
    "ds": "`#` of the dual signature",
    "end": "absolute end of the session",
    "ends": "last instant of the period, exclusive",
    "entries": "one for each capture, with its lines",
    "expiry": "the card's last month, YYYY-MM",
    "gateway": "digest of the gateway's signing certificate",
    "pinit.gateway": "the gateway's name and the digests of its two certificates",
    "gatewaysAccepted": "digests of the gateways through which the merchant takes payment",
    "goods": "soft goods: name, size, chunk size, root of the tree over the chunks",
    "hOI": "salted digest of the order information",
    "hPI": "salted digest of the payment instruction",
    "hSI": "salted digest of the issuer information",
    "holder": "digest of the card-holder's certificate C",
    "holders": "limits for each card-holder: per purchase, per period, kinds, merchants",
    "holdUntil": "the money is held until then",
    "idle": "seconds after which an unused session ends",
    "inquiry": "`#` of the inquiry answered",
    "issuer": "digest of the issuing bank's signing certificate",
    "items": "digest of the item file",
    "kex": "suites, each with a single-use share",
    "login-answer.kex": "the suite chosen, and the merchant's share",
    "lines": "number, article, text, kind, quantity, unit price, VAT rate, net",
    "delivery.lines": "number and quantity of each line delivered",
    "list": "`#` of the price list that the buyer saw",
    "location": "ISO 3166 code of the country where this end is, or `*`",
    "mcc": "merchant category code",
    "merchant": "digest of the merchant's payment certificate P",
    "page.merchant": "the merchant's name",
    "n": "number in its series, from 1",
    "nB": "the buyer's nonce",
    "nC": "the card-holder's nonce",
    "nM": "the merchant's nonce, its second half a MAC of the first and of the page's times",
    "nP": "the merchant's nonce for this payment",
    "net": "sum of the lines",
    "offer": "`#` of the offer",
    "oi": "digest of the order information, as in `hOI`",
    "organisation": "name of the buying organisation",
    "origin": "the shop's origin, which stands in the merchant's certificate",
    "page": "the octets of the page",
    "pan": "the card number",
    "panSecret": "opens the commitment in the card-holder's certificate",
    "part": "`1/1`: the whole",
    "payBy": "unpaid by then the contract is void",
    "presence": "seconds after which the card's presence must be shown again",
    "prev": "`#` of the statement before",
    "reason": "in words, or a code",
    "received": "number and quantity of each line received",
    "req": "`#` of the request answered",
    "result": "`approved`, `declined`, `void`, or what became of it",
    "rule": "the check that failed",
    "rules": "discounts and prices; the first that fits a line counts",
    "salt": "32 random octets",
    "seq": "the sequence number of the record that it answers",
    "sid": "names the session; no credential",
    "signing": "digest of the merchant's signing certificate",
    "source": "where the items come from, and under which licence",
    "state": "`none`, `held`, `captured`, `void` or `declined`",
    "signatures": "signature suites that this end takes, strongest first",
    "suites": "session suites that this end takes, strongest first: all that its location permits then",
    "tax": "sum of the VAT",
    "terms": "the contract's terms: name, digest, words",
    "th": "digest of login and answer",
    "tls": "how the wallet reached the server: `spki` with its digest, or `plain`",
    "total": "net and VAT together",
    "to": "names of its readers",
    "until": "not good after this",
    "vat": "rate, base and tax, one row for each rate",
    "version": "rises with every publication",
    "xid": "names the payment; 20 octets from both nonces and the contract",
}  # fmt: skip


def forms(group: str) -> str:
    """A table for each document of a group: its members beyond those that every document has."""
    parts = []
    for label, form in FORMS[group].items():
        parts.append(f"**`{label}`** {_frame(form)}\n\n| member | meaning |\n|---|---|")
        parts += [f"| `{name}` | {_meaning(label, name)} |" for name in _own(form)]
        parts += [f"| `{name}` (optional) | {_meaning(label, name)} |" for name in form.optional]
        parts.append("")
    return "\n".join(parts).rstrip()


def _own(form: Form) -> list[str]:
    enveloped = "from" in form.members
    return [name for name in form.members if name not in (_AROUND if enveloped else ("type",))]


def _frame(form: Form) -> str:
    if "from" not in form.members:
        return "(unsigned)"
    return "(with `trade`)" if "trade" in form.members else "(outside a trade)"


def _meaning(label: str, name: str) -> str:
    own = f"{label.rpartition('/')[2]}.{name}"
    return MEANINGS[own] if own in MEANINGS else MEANINGS[name]


def states(name: str) -> str:
    """A state table as rows."""
    rows = ["| state | event | next | sends |", "|---|---|---|---|"]
    table: Table = TABLES[name]
    for (state, event), step in sorted(table.items(), key=lambda item: _rank(table, item[0])):
        sends = (step.send + (" (stored)" if step.stored else "")) or "–"
        rows.append(f"| {state} | {event} | {step.state} | {sends} |")
    return "\n".join(rows)


def _rank(table: Table, key: tuple[str, str]) -> tuple[int, str]:
    order = list(dict.fromkeys(state for state, _ in table))
    return order.index(key[0]), key[1]


def checks() -> str:
    """The checks of a bundle."""
    return "\n".join(["| # | check |", "|---|---|", *(f"| {n} | {words} |" for n, words in CHECKS.items())])


def acts() -> str:
    """Which key signs which act, over what, and under which key of idempotency."""
    rows = ["| act | signed by | over | one for each |", "|---|---|---|---|"]
    for kind, part in PARTS.items():
        over = " or ".join(", ".join(row) or "nothing" for row in part.over)
        rows.append(f"| {kind} | {part.role} | {over} | {_key(part.key)} |")
    return "\n".join(rows)


def _key(members: Iterable[str]) -> str:
    return ", ".join(f"`{member}`" for member in members) or "–"


def blocks() -> dict[str, str]:
    """Every generated part of the document by its name."""
    made = {f"forms {group}": forms(group) for group in FORMS}
    made |= {f"states {name}": states(name) for name in TABLES}
    return {**made, "checks": checks(), "acts": acts()}


def renewed(text: str) -> str:
    """The document with every generated part written anew; a part without a place is an error."""
    for name, block in blocks().items():
        pattern = re.compile(rf"(% begin {name}\n)(?:.*?\n)?(% end {name}\n)", re.DOTALL)
        text, places = pattern.subn(lambda found, block=block: f"{found[1]}\n{block}\n\n{found[2]}", text)
        if places != 1:
            raise LookupError(name)
    return text


if __name__ == "__main__":
    FILE.write_text(renewed(FILE.read_text()))
