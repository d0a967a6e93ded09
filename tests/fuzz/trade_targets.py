"""Targets of base, commerce and community: documents, the messages of a purchase, files of people, evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from e2s.base import wire
from e2s.base.errors import E2SError, Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.base.money import parse_amount, parse_number
from e2s.commerce import archive, order
from e2s.commerce.bankcard.documents import FORMS as STATEMENTS
from e2s.commerce.bankcard.judgement import judge
from e2s.commerce.evidence import open_bundle, read_bundle
from e2s.commerce.payment.documents import FORMS as PAYMENTS
from e2s.commerce.payment.documents import INSTRUCTIONS
from e2s.commerce.payment.instructions import read_instruction
from e2s.commerce.purchasing import load
from e2s.commerce.purchasing.documents import FORMS as CONTRACTS
from e2s.commerce.purchasing.publishing import read_contracts
from e2s.commerce.purchasing.requests import ARGUMENTS, check_call
from e2s.community.file import read_community
from e2s.crypto.acts import read_act
from e2s.crypto.forms import Form
from tests.community.samples import EXAMPLE, least
from tests.fuzz.ground import acts, bundles, pki, play
from tests.fuzz.samples import sample
from tests.fuzz.shapes import bent, bundle_bent, document_bent
from tests.fuzz.target import Target, promised

_CSV = b"""sku,text,class,price,vatRate,unit,keywords
R-0603-10K,"Resistor, 10 k\xce\xa9",resistor,0.0031,19,piece,smd 0603
BOOK-7,"Data book
seventh edition",book,18.69,7,,"a ""quoted"" word"
"""
_CONTRACTS = b"""[[contract]]
organisation = "urn:e2s:market:alpha"
id = "T1"
text = "Payment by card; delivery within seven days."

[[contract.rule]]
kind = "discount"
value = "5"
class = "resistor"

[[contract.rule]]
kind = "price"
value = "0.002"
sku = "R-0603-10K"
"""


# ------------------------------------------------------------------ documents and values


def _canonical(octets: bytes) -> None:
    document = wire.decode(octets)
    promised(wire.encode(document) == octets, "a document has another encoding")
    promised(wire.copied(document) == document, "a copy differs")


def _value(octets: bytes) -> None:
    """Every reader of a single value, on one text."""
    text = octets.decode("utf-8", "surrogatepass") if octets[:1] != b"\xff" else repr(octets)
    for read in (
        lambda: promised(format_instant(parse_instant(text)) == text, "an instant has another form"),
        lambda: parse_number(text),
        lambda: parse_amount(text, "EUR"),
        lambda: parse_amount(text, "JPY"),
        lambda: promised(wire.b64u(wire.unb64u(text)) == text, "octets have another form"),
    ):
        try:
            read()
        except Refusal as refusal:
            promised(refusal.rule, "a refusal names its rule")


def _value_read(octets: bytes) -> None:
    try:
        _value(octets)
    except UnicodeDecodeError as error:
        raise Refusal("not-text", "the target takes text") from error


# ------------------------------------------------------------------ messages of a purchase


def _messages(forms: Mapping[str, Form]) -> Callable[[bytes], None]:
    """A document against the form of its type, and what is worked out from a good one."""

    def read(octets: bytes) -> None:
        document = wire.decode(octets)
        form = forms.get(str(document.get("type")))
        if form is None:
            raise Refusal("wrong-label", "no such message here")
        form.check(document)
        if "total" in document and "lines" in document:
            order.check_sums(document)
            order.classes(document)
        if "until" in document:
            parse_instant(document["until"])

    return read


def _message_seeds(forms: Mapping[str, Form]) -> Callable[[], Iterator[bytes]]:
    """Those of a whole trade, and for forms that it has not a made-up one."""

    def seeds() -> Iterator[bytes]:
        known = {read_act(octets).type: read_act(octets).doc_octets for octets in acts().values()}
        known |= {held["type"]: wire.encode(held) for held in play().opened.values()}
        for label, form in forms.items():
            if label in known:
                yield known[label]
            yield wire.encode(sample(form))

    return seeds


def _instruction(octets: bytes) -> None:
    for form in INSTRUCTIONS.values():
        try:
            read_instruction(octets, form, reader="urn:e2s:market:volt", digest=wire.b64u(bytes(32)))
        except E2SError as refusal:
            promised(refusal.rule, "a refusal names its rule")
    _messages(INSTRUCTIONS)(octets)


def _call(octets: bytes) -> None:
    asked = wire.decode(octets)
    if not isinstance(asked.get("op"), str) or not isinstance(asked.get("args"), dict):
        raise Refusal("bad-call", "a request has op and args")
    check_call(asked["op"], asked["args"])


def _call_seeds() -> Iterator[bytes]:
    trade, digest = wire.b64u(bytes(16)), "sha-256:" + wire.b64u(bytes(32))
    lines = [{"sku": "R-0603-10K", "qty": "1000"}]
    arguments = {
        "search": {"q": "resistor", "class": "resistor", "offset": 0, "limit": 10},
        "item": {"sku": "R-0603-10K"},
        "basket": {"lines": lines},
        "offer": {"trade": trade, "list": digest, "lines": lines, "deliverTo": "1 Street", "buyer": digest},
        "accept": {"trade": trade, "act": wire.b64u(b"act")},
        "pinit": {"trade": trade, "cid": digest, "nC": wire.b64u(bytes(32)), "brand": "b", "issuer": "i"},
        "pay": {"trade": trade, "parcel": wire.b64u(b"parcel")},
        "status": {"trade": trade},
        "receipt": {"trade": trade, "act": wire.b64u(b"act")},
    }
    for op in ARGUMENTS:
        yield wire.encode({"op": op, "args": arguments.get(op, {})})


# ------------------------------------------------------------------ files of people


def _csv(octets: bytes) -> None:
    items = load.read_csv(octets)
    try:
        packed = load.write_items(items)
    except Refusal:
        return
    again = sorted(load.read_items(packed), key=lambda item: item.sku)
    promised(again == sorted(items, key=lambda item: item.sku), "an item file loses items")


def _item_file_seeds() -> Iterator[bytes]:
    yield load.write_items(load.read_csv(_CSV))


def _toml_seeds() -> Iterator[bytes]:
    yield least(range(20_000, 20_004)).encode()
    yield EXAMPLE.encode()


# ------------------------------------------------------------------ evidence


def _archive(octets: bytes) -> None:
    files = archive.read_archive(octets)
    promised(archive.write_archive(files) == octets, "an archive has another encoding")


def _bundle(octets: bytes) -> None:
    opened, faults = open_bundle(octets)
    promised(opened is not None or faults, "a bundle that cannot be read has a fault")
    read_bundle(octets)


def _judged(octets: bytes) -> None:
    """Whatever is wrong is a finding: a judgement raises nothing."""
    try:
        report = judge(octets, pki().anchors)
    except E2SError as refusal:
        raise AssertionError("a judgement raised a refusal") from refusal
    promised(json.dumps(report.document()), "a report can be shown")
    if octets not in bundles() and not report.findings:
        promised(report.outcome, "a judgement has an outcome")


TARGETS = (
    Target(
        name="document",
        read=_canonical,
        seeds=lambda: [wire.encode({"a": ["ü", 1, True, {"b": []}], "é" * 0 + "z": -(2**53) + 1}), b"{}"],
        mutate=document_bent,
    ),
    Target(
        name="value",
        read=_value_read,
        seeds=lambda: [b"2026-05-04T12:00:00Z", b"-12.50", b"0.0031", b"1000", b"AAECAw", b"19"],
        mutate=bent,
        most=256,
    ),
    *(
        Target(
            name=f"messages-{name}",
            read=_messages(forms),
            seeds=_message_seeds(forms),
            mutate=document_bent,
        )
        for name, forms in (("contract", CONTRACTS), ("payment", PAYMENTS), ("bank", STATEMENTS))
    ),
    Target(
        name="messages-instruction",
        read=_instruction,
        seeds=_message_seeds(INSTRUCTIONS),
        mutate=document_bent,
    ),
    Target(name="messages-request", read=_call, seeds=_call_seeds, mutate=document_bent),
    Target(name="catalogue-csv", read=_csv, seeds=lambda: [_CSV], mutate=bent),
    Target(name="item-file", read=load.read_items, seeds=_item_file_seeds, mutate=bent),
    Target(name="contracts-toml", read=read_contracts, seeds=lambda: [_CONTRACTS], mutate=bent),
    Target(name="community-toml", read=read_community, seeds=_toml_seeds, mutate=bent),
    Target(name="archive", read=_archive, seeds=bundles, mutate=bundle_bent, most=256 * 1024, short=60),
    Target(name="bundle", read=_bundle, seeds=bundles, mutate=bundle_bent, most=256 * 1024, short=60),
    Target(
        name="judgement",
        read=_judged,
        seeds=bundles,
        mutate=bundle_bent,
        most=256 * 1024,
        seconds=3.0,
        short=20,
    ),
)
