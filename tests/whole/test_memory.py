"""No small input costs much: bombs of length, depth, count and deflation are refused within 64 MiB.

Each decoder reads its bombs in a child of this process whose address space may grow by 64 MiB and no
more, and whose processor time is bounded; what is not refused by a rule, or kills the child, fails.
"""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import struct
import traceback
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2s.base import wire
from e2s.base.errors import E2SError
from e2s.client.wallet.card import open_card
from e2s.commerce.bankcard import documents as bankcard
from e2s.commerce.bankcard.evidence import judge
from e2s.commerce.evidence import read_bundle
from e2s.commerce.payment import documents as payment
from e2s.commerce.purchasing import documents as purchasing
from e2s.commerce.purchasing.load import read_csv, read_items
from e2s.commerce.purchasing.publishing import read_contracts
from e2s.community.file import read_community
from e2s.crypto import der, oids
from e2s.crypto.acts import read_act, read_parcel
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.cms import open_sealed, read_signed
from e2s.crypto.forms import Form
from e2s.crypto.keys import read_private_key
from e2s.crypto.stamps import read_request, read_response, read_token
from e2s.network.sessions.calls import read_answer, read_call
from e2s.network.sessions.login import ANSWER_FORM, LOGIN_FORM
from e2s.network.sessions.pages import read_page, read_page_answer
from e2s.network.sessions.records import read_header
from e2s.security.certificates.certify import read_request as read_certification_request
from e2s.security.keys import container
from e2s.security.keys.phrase import Phrase
from e2s.security.verification.crls import CrlIndex
from e2s.server.audit.batch import read_batch
from tests.worlds.pki import make_pki

MOST = 64 * 1024
ROOM = 64 * 2**20
CPU_SECONDS = 20
PKI = make_pki()
OPENER = PKI.opener("buyer-agreement", "urn:e2s:market:alpha:anna")
HOLDER = PKI.issue("card-holder", "urn:e2s:market:bank:h")[0]
FORMS = (
    *purchasing.FORMS.values(),
    *payment.FORMS.values(),
    *bankcard.FORMS.values(),
    LOGIN_FORM,
    ANSWER_FORM,
)
INSTRUCTIONS = tuple(payment.INSTRUCTIONS.values())
Bombs = dict[str, bytes]


# ---------------------------------------------------------------------- bombs of DER
def header(tag: int, length: int) -> bytes:
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets


def nested(tag: int, core: bytes = b"\x05\x00") -> bytes:
    """``core`` in as many definite lengths as fit."""
    while len(core) < MOST - 8:
        size = len(core)
        core = (bytes([tag, size]) if size < 128 else header(tag, size)) + core
    return core


def listed(tag: int, item: bytes) -> bytes:
    body = item * ((MOST - 8) // len(item))
    return header(tag, len(body)) + body


def asn1() -> Bombs:
    content = [
        nested(0x30),
        listed(0x30, b"\x05\x00"),
        listed(0x31, b"\x30\x00"),
        b"\x30\x80" * (MOST // 2),
        header(0x04, 2**31) + bytes(64),
    ]
    kinds = {"signed": oids.SIGNED_DATA, "enveloped": oids.AUTH_ENVELOPED_DATA}
    wrapped = {
        f"{name}-{number}": der.sequence(der.oid(oid), header(0xA0, len(bomb)) + bomb)[:MOST]
        for name, oid in kinds.items()
        for number, bomb in enumerate(content)
    }
    long_oid = b"\x30" + header(0x06, MOST - 16)[1:] + b"\x06" + header(0x06, MOST - 32)[1:]
    return {
        "empty": b"",
        "length-2^31": header(0x30, 2**31) + bytes(100),
        "length-2^63": header(0x30, 2**63) + bytes(100),
        "length-of-126-octets": b"\x30\xfe" + b"\xff" * 126,
        "indefinite-nesting": b"\x30\x80" * (MOST // 2),
        "nested-sequences": nested(0x30),
        "nested-sets": nested(0x31),
        "nested-tags": nested(0xA0),
        "nested-octets": nested(0x24),
        "count-of-nulls": listed(0x30, b"\x05\x00"),
        "count-of-empty-sequences": listed(0x30, b"\x30\x00"),
        "count-of-empty-octet-strings": listed(0x30, b"\x04\x00"),
        "long-integer": der.sequence(header(0x02, MOST - 16) + b"\x7f" * (MOST - 16)),
        "long-oid": der.sequence(header(0x06, MOST - 16) + b"\xff" * (MOST - 17) + b"\x01"),
        "long-tag": b"\x1f" + b"\xff" * (MOST - 2),
        "long-oid-cut": long_oid + b"\xff" * (MOST - 64),
        **wrapped,
    }


def parcels() -> Bombs:
    many = b"\x04\x00" * 32_000
    return {
        **asn1(),
        "many-items": der.sequence(der.utf8("e2s/1/preq"), header(0x30, len(many)) + many),
        "long-label": der.sequence(der.utf8("x" * 60_000), der.sequence()),
    }


def pem() -> Bombs:
    block = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    return {
        **asn1(),
        "many-blocks": block * (MOST // len(block)),
        "no-end": b"-----BEGIN CERTIFICATE-----\n" * (MOST // 28),
        "long-block": b"-----BEGIN CERTIFICATE-----\n" + b"A" * 65_000 + b"\n-----END CERTIFICATE-----\n",
    }


# ---------------------------------------------------------------------- bombs of JSON
def texts() -> Bombs:
    return {
        "empty": b"",
        "deep-lists": b"[" * MOST,
        "deep-objects": b'{"a":' * (MOST // 5),
        "deep-and-closed": b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        "many-members": b"{" + b",".join(b'"%d":0' % n for n in range(6000)) + b"}",
        "many-values": b'{"type":[' + b"0," * 32_000 + b"0]}",
        "many-empty-objects": b'{"type":[' + b"{}," * 21_000 + b"{}]}",
        "long-number": b'{"type":' + b"9" * 60_000 + b"}",
        "exponent": b'{"type":1e999999999}',
        "not-a-number": b'{"type":NaN}',
        "long-text": b'{"type":"' + b"a" * 60_000 + b'"}',
        "escapes": b'{"type":"' + b"\\u0061" * 10_000 + b'"}',
        "surrogates": b'{"type":"' + b"\\ud800" * 10_000 + b'"}',
        "combining": b'{"type":"' + "a\u0301\u0316".encode() * 12_000 + b'"}',
        "zeros": bytes(MOST),
        "spaces": b" " * MOST,
    }


def documents(form: Form) -> Bombs:
    """Right label, and one member after another that is too much."""
    huge: dict[str, object] = {
        "deep": json.loads("[" * 500 + "]" * 500),
        "list": [0] * 30_000,
        "objects": [{}] * 20_000,
        "text": "a" * 60_000,
        "digits": "9" * 60_000,
        "number": 10**4000,
    }
    made = {}
    for member in (*form.members, *form.optional):
        for name, value in huge.items():
            document = {"type": form.type, member: value} if member != "type" else {"type": value}
            made[f"{member}-{name}"] = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
    return made


# ---------------------------------------------------------------------- bombs of files
def tables() -> Bombs:
    head = b"sku,text,class,price,vatRate,unit,keywords\n"
    wide = io.StringIO()
    csv.writer(wide).writerow(range(12_000))
    return {
        "empty": b"",
        "open-quote": head + b'"' + b"a" * 65_000,
        "quotes": head + b'"' * 65_000,
        "wide-header": wide.getvalue().encode(),
        "wide-row": head + b"," * 65_000,
        "empty-lines": head + b"\n" * 65_000,
        "nulls": head + bytes(65_000),
        "long-price": head + b"A,a,a," + b"9" * 65_000 + b",0,piece,\n",
        "exponent": head + b"A,a,a,1e999999999,0,piece,\n",
    }


def deflated() -> Bombs:
    """Some 60 kB each that inflate to 60 MB and more."""
    line = b"A,a,a,1,0,piece,\n"
    return {
        "zeros": zlib.compress(bytes(60_000_000), 9),
        "newlines": zlib.compress(b"\n" * 60_000_000, 9),
        "open-quote": zlib.compress(b'"' + b"a" * 31_000_000, 9),
        "commas": zlib.compress(b"," * 31_000_000, 9),
        "rows": zlib.compress(b"sku,text,class,price,vatRate,unit,keywords\n" + line * 1_800_000, 9)[:MOST],
        "just-under": zlib.compress(b"sku,text,class,price,vatRate,unit,keywords\n" + b"\n" * 33_000_000, 9),
        "cut": zlib.compress(bytes(1_000_000), 9)[:-4],
        "goes-on": zlib.compress(b"a", 9) + bytes(60_000),
        **{f"plain-{name}": bomb for name, bomb in tables().items()},
    }


def archives() -> Bombs:
    def member(size: bytes, kind: bytes = b"0", name: bytes = b"manifest.json") -> bytes:
        block = bytearray(512)
        block[0 : len(name)] = name
        block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
        block[124:136], block[136:148], block[156:157] = size, b"00000000000\0", kind
        block[257:265] = b"ustar\x0000"
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        return bytes(block)

    return {
        "empty": b"",
        "zeros": bytes(61_440),
        "size-8-gib": member(b"77777777777\0") + bytes(9_728),
        "size-base-256": member(b"\x80" + b"\xff" * 11) + bytes(9_728),
        "size-negative": member(b"-0000000001\0") + bytes(9_728),
        "sparse": member(b"77777777777\0", b"S") + bytes(9_728),
        "pax": member(b"00000001000\0", b"x") + b"9" * 512 + bytes(9_216),
        "long-name": member(b"77777777777\0", b"L") + bytes(9_728),
        "many-members": (member(b"00000000000\0") * 119) + bytes(1_024),
        "manifest-deep": member(b"00000140000\0") + b"[" * 49_152 + bytes(1_024 + 9_728),
    }


def keys() -> Bombs:
    def made(**members: object) -> bytes:
        plain = {
            "type": "e2s/1/pse", "kdf": "argon2id", "memory": 8, "passes": 1, "salt": wire.b64u(bytes(16)),
            "cipher": "aes-256-gcm", "sections": [],
        }  # fmt: skip
        head = json.dumps({**plain, **members}, separators=(",", ":"), sort_keys=True).encode()
        return container.MAGIC + wire.len4(head) + bytes(32)

    section = {"label": "a", "nonce": wire.b64u(bytes(12)), "size": 512 * 1024}
    return {
        "empty": b"",
        "header-4-gib": container.MAGIC + b"\xff" * 4 + bytes(100),
        "memory-of-the-bound": made(memory=container.MAX_MEMORY_KIB),
        "scrypt-of-the-bound": made(kdf="scrypt", memory=container.MAX_MEMORY_KIB),
        "memory-1-gib": made(memory=2**20),
        "memory-4-tib": made(memory=2**32),
        "passes": made(passes=2**31),
        "scrypt-1-gib": made(kdf="scrypt", memory=2**20),
        "scrypt-passes": made(kdf="scrypt", passes=2**31),
        "many-sections": made(sections=[section] * 200),
        "large-sections": made(sections=[{**section, "label": str(n)} for n in range(30)]),
        "deep": container.MAGIC + wire.len4(b"[" * 16_000) + b"[" * 16_000 + bytes(32),
    }


def communities() -> Bombs:
    lines = b"\n".join
    return {
        "empty": b"",
        "deep-lists": b"a = " + b"[" * 400,
        "deep-lists-over-lines": b"a = " + lines([b"[" * 400] * 150),
        "deep-tables": b"[" + b".".join([b"a"] * 200) + b"]",
        "deep-tables-again": lines(b"[" + b".".join([b"a%d" % n] * 100) + b"]" for n in range(150)),
        "dotted-keys": lines(b"%s = 1" % b".".join([b"k%d" % n] + [b"a"] * 200) for n in range(140)),
        "inline-tables": b"a = " + b"{a=" * 150,
        "many-keys": lines(b"k%d=0" % n for n in range(7_000)),
        "many-tables": lines(b"[[a]]" for _ in range(10_000)),
        "long-number": b"a = " + b"9" * 480,
        "long-line": b"a = '" + b"x" * 60_000 + b"'",
        "dates": lines(b"k%d=9999-12-31T23:59:60Z" % n for n in range(2_000)),
    }


def contracts() -> Bombs:
    return {name: bomb for name, bomb in {**texts(), **tables()}.items() if bomb.strip()}


def records() -> Bombs:
    return {
        "empty": b"",
        "zeros": bytes(MOST),
        "length-4-gib": struct.pack(">4sBB16sQI", b"E2R1", 1, 1, bytes(16), 1, 2**32 - 256) + bytes(300),
        "last-number": struct.pack(">4sBB16sQI", b"E2R1", 1, 1, bytes(16), 2**64 - 1, 256) + bytes(272),
    }


def unlock(octets: bytes) -> object:
    return container.read(octets).unlock(Phrase("correct horse"))


def judged(octets: bytes) -> object:
    """A judge reports instead of raising; that it reports nothing good is what is wanted here."""
    report = judge(octets, PKI.anchors)
    if report.holds:
        return report
    raise E2SError("bad-bundle", report.findings[0].name)


def in_form(form: Form) -> tuple[Callable[[bytes], object], Callable[[], Bombs]]:
    return (lambda octets: form.check(wire.decode(octets))), (lambda: documents(form))


#: Every decoder of octets that somebody else may have made, and its bombs.
DECODERS: dict[str, tuple[Callable[[bytes], object], Callable[[], Bombs]]] = {
    "cms-signed": (read_signed, asn1),
    "cms-sealed": (lambda octets: open_sealed(octets, OPENER), asn1),
    "cms-legacy": (lambda octets: open_sealed(octets, OPENER, allow_legacy=True), asn1),
    "act": (read_act, asn1),
    "parcel": (lambda octets: read_parcel(octets, "e2s/1/preq"), parcels),
    "certificate": (Certificate.read, pem),
    "certificates": (read_certificates, pem),
    "certification-request": (read_certification_request, asn1),
    "private-key": (read_private_key, pem),
    "crl": (CrlIndex.read, asn1),
    "stamp-request": (read_request, asn1),
    "stamp-response": (read_response, asn1),
    "stamp-token": (read_token, asn1),
    "card": (lambda octets: open_card(octets, OPENER, HOLDER), asn1),
    "document": (lambda octets: LOGIN_FORM.check(wire.decode(octets)), texts),
    "page": (read_page, texts),
    "page-answer": (read_page_answer, parcels),
    "call": (read_call, texts),
    "answer": (read_answer, texts),
    "audit-batch": (read_batch, texts),
    "record": (read_header, records),
    "pse-file": (unlock, keys),
    "community-file": (read_community, communities),
    "contracts": (read_contracts, contracts),
    "csv": (read_csv, tables),
    "item-file": (read_items, deflated),
    "bundle": (read_bundle, archives),
    "judgement": (judged, archives),
    **{form.type: in_form(form) for form in (*FORMS, *INSTRUCTIONS)},
}


def size_now() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def outcomes(read: Callable[[bytes], object], bombs: Bombs) -> Iterator[tuple[str, str]]:
    """What each bomb came to, within the bounds."""
    most = size_now() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    for name, bomb in bombs.items():
        try:
            read(bomb)
        except E2SError as error:
            yield name, f"rule {error.rule}"
        except BaseException:  # noqa: BLE001 - a bomb may do anything
            yield name, traceback.format_exc(limit=-3)
        else:
            yield name, "it was read"


def in_child(read: Callable[[bytes], object], bombs: Bombs) -> dict[str, str]:
    """The outcomes as a forked child found them; the first that is missing killed it."""
    ours, its = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(ours)
            with os.fdopen(its, "w") as told:
                for outcome in outcomes(read, bombs):
                    print(json.dumps(outcome), file=told, flush=True)
        finally:
            os._exit(0)
    os.close(its)
    with os.fdopen(ours) as told:
        found = dict(json.loads(line) for line in told)
    os.waitpid(child, 0)
    return found


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_small_bomb_is_refused_within_bounds(decoder: str) -> None:
    read, make = DECODERS[decoder]
    bombs = make()
    assert all(len(bomb) <= MOST for bomb in bombs.values()), [n for n, b in bombs.items() if len(b) > MOST]
    found = in_child(read, bombs)
    bad = {
        name: found.get(name, "it killed the reader")
        for name in bombs
        if not found.get(name, "").startswith("rule ")
    }
    assert not bad


def test_the_bounds_bound() -> None:
    """The child's bound is felt: what needs more than there is room for fails, and is told."""

    def greedy(octets: bytes) -> object:
        return bytearray(2 * ROOM + len(octets))

    assert "MemoryError" in in_child(greedy, {"greed": bytes(16)})["greed"]
