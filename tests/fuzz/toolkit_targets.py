"""Targets of what the toolkit reads besides E2S's own messages: BER, compression, receipts, several signers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import resources
from random import Random

from e2s.base.errors import Refusal
from e2s.crypto import ber, cms, der, oids
from e2s.crypto.cms.capabilities import read_capabilities
from e2s.crypto.cms.receipts import Names, ReceiptRequest
from e2s.crypto.suites import read_rows
from tests.fuzz.ground import CONTENT, openers, signed, signers, the_same, zeros
from tests.fuzz.shapes import bent, der_bent
from tests.fuzz.target import Target, promised
from tests.worlds.pki import START

_ASKED: tuple[Names, ...] = (("anna@example.org", "urn:e2s:market:alpha:anna"),)


# ------------------------------------------------------------------ BER


#: Levels of a message above its certificates, which stay DER in whatever holds them.
OUTER = 4
_ALL = 24


def loosened(octets: bytes, random: Random, depth: int = OUTER) -> bytes:
    """DER as others may write it, to this depth: indefinite lengths, long lengths, strings in pieces."""
    made = b""
    reader = der.Reader(octets)
    while reader.pos != reader.end:
        tag = reader.peek()
        content = reader.content(tag)
        if tag & 0x20 and depth:
            content = loosened(content, random, depth - 1)
        elif tag == der.OCTET_STRING and content and random.random() < 0.5:
            half = random.randrange(len(content) + 1)
            content = der.octet_string(content[:half]) + der.octet_string(content[half:])
            tag |= 0x20
        if tag & 0x20 and random.random() < 0.5:
            made += bytes((tag, 0x80)) + content + b"\0\0"
        elif random.random() < 0.3:
            made += bytes((tag, 0x84)) + len(content).to_bytes(4, "big") + content
        else:
            made += der.tlv(tag, content)
    return made


def ber_bent(octets: bytes, random: Random) -> bytes:
    """The DER altered within its form, and loosened again; now and then just octets."""
    if random.random() < 0.6:
        with suppress(Refusal):
            return loosened(der_bent(ber.normalised(octets), random), random, random.choice((OUTER, _ALL)))
    return bent(octets, random)


def _ber_seeds() -> Iterator[bytes]:
    chance = Random(1)
    envelopes = [cms.seal(CONTENT, oids.DATA, [one.certificate], zeros) for one in openers()[:2]]
    for message in (*signed(), *envelopes, cms.compress(CONTENT)):
        yield message
        yield loosened(message, chance)
        yield loosened(message, chance, _ALL)


def _ber(octets: bytes) -> None:
    made = ber.normalised(octets)
    promised(ber.normalised(made) == made, "what was brought to DER is brought to something else")
    promised(len(made) <= len(octets), "DER is longer than the BER that it comes from")


def _ber_message(octets: bytes) -> None:
    made = cms.normalised(octets)
    promised(cms.normalised(made) == made, "what was brought to DER is brought to something else")
    for read in (
        lambda: cms.check_signature(cms.read_signed(made, cms.FOREIGN)),
        lambda: cms.decompress(made),
    ):
        try:
            read()
        except Refusal as refusal:
            promised(refusal.rule, "a refusal names its rule")


# ------------------------------------------------------------------ compression


def _compressed(octets: bytes) -> None:
    kind, content = cms.decompress(octets, max_bytes=64 * 1024)
    promised(cms.decompress(cms.compress(content, kind)) == (kind, content), "content is compressed away")


def _compressed_seeds() -> Iterator[bytes]:
    yield cms.compress(CONTENT)
    yield cms.compress(bytes(60_000), oids.ACT)
    yield cms.compress(b"")


# ------------------------------------------------------------------ receipts and capabilities


@cache
def _asking() -> cms.Signed:
    request = cms.request_attribute(ReceiptRequest(content_id=b"one", to=_ASKED, of=_ASKED, first_tier=False))
    with the_same("receipts"):
        message = cms.sign(CONTENT, oids.DATA, signers()[0], START, signed_attributes=(request,))
    return cms.read_signed(message, cms.FOREIGN)


def _receipt(octets: bytes) -> None:
    receipt = cms.check_receipt(octets, _asking())
    promised(receipt.signer_certificate, "a receipt is by somebody")


def _receipt_seeds() -> Iterator[bytes]:
    yield cms.receipt_for(_asking(), signers()[1], START)
    yield cms.receipt_for(_asking(), signers()[0], START)


def _asked(octets: bytes) -> None:
    """A message with these octets as its further signed attribute, signed by somebody with a good key."""
    try:
        message = cms.sign(CONTENT, oids.DATA, signers()[0], START, signed_attributes=(octets,))
    except Refusal as refusal:
        raise Refusal("cms-attribute", "the octets are no attribute") from refusal
    found = cms.read_signed(message, cms.FOREIGN)
    cms.check_signature(found)
    cms.request_in(found)
    cms.capabilities_of(found)


def _attribute_seeds() -> Iterator[bytes]:
    yield cms.request_attribute(ReceiptRequest(content_id=b"one", to=_ASKED))
    yield cms.request_attribute(ReceiptRequest(content_id=b"one", to=_ASKED, of=_ASKED))
    yield cms.request_attribute(ReceiptRequest(content_id=b"one", to=_ASKED * 3, first_tier=True))
    yield cms.capabilities_attribute()


def _capability_seeds() -> Iterator[bytes]:
    attribute = der.Reader(cms.capabilities_attribute()).enter()
    attribute.oid()
    yield attribute.enter(der.SET).element()


# ------------------------------------------------------------------ several signers


def _parallel(octets: bytes) -> None:
    found = cms.read_signers(octets)
    cms.check_parallel(found)
    known = {one.certificate for one in signers()}
    mine = {one.signer_certificate for one in found} <= known
    promised(not mine or found[0].octets == CONTENT, "a signature holds for what was never signed")


def _parallel_seeds() -> Iterator[bytes]:
    yield cms.sign_parallel(CONTENT, oids.DATA, signers()[:2], START)
    yield cms.sign_parallel(CONTENT, oids.ACT, signers(), START)


# ------------------------------------------------------------------ the table of suites


def _table() -> Iterator[bytes]:
    yield resources.files("e2s.crypto.suites").joinpath("policy.toml").read_bytes()
    about = b'[[document]]\nname = "A"\nedition = "1"\nlocations = ["DE", "US-NSS", "*"]\n'
    row = b'use = ["authentication"], mechanism = "ecdsa", minimum = 250, status = "permitted", clause = "2"'
    yield about + b"row = [{ " + row + b", maximum = 900, since = 2020-01-01, until = 2035-12-31 }]\n"


TARGETS = (
    Target(name="suite-table", read=read_rows, seeds=_table, mutate=bent, most=64 * 1024),
    Target(name="ber", read=_ber, seeds=_ber_seeds, mutate=ber_bent),
    Target(name="ber-message", read=_ber_message, seeds=_ber_seeds, mutate=ber_bent),
    Target(name="cms-compressed", read=_compressed, seeds=_compressed_seeds, mutate=der_bent, most=4096),
    Target(name="cms-receipt", read=_receipt, seeds=_receipt_seeds, mutate=der_bent),
    Target(name="cms-further-attribute", read=_asked, seeds=_attribute_seeds, mutate=der_bent, most=4096),
    Target(
        name="cms-capabilities", read=read_capabilities, seeds=_capability_seeds, mutate=der_bent, most=4096
    ),
    Target(name="cms-parallel", read=_parallel, seeds=_parallel_seeds, mutate=der_bent),
)
