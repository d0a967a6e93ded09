"""Targets of what is read a piece at a time: it must agree with the same message read in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, BinaryIO

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import cms, der, oids, pem
from e2s.crypto.cms import streaming
from tests.fuzz.ground import CONTENT, openers, signed, signers, zeros
from tests.fuzz.shapes import pem_bent
from tests.fuzz.target import Target, promised
from tests.fuzz.toolkit_targets import ber_bent, loosened
from tests.worlds.pki import START


def _file(octets: bytes = b"") -> BinaryIO:
    """A file in memory: streams are read from files and nothing else."""
    file = os.fdopen(os.memfd_create("fuzz"), "w+b")
    file.write(octets)
    file.seek(0)
    return file


def _held(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _signed(octets: bytes) -> None:
    """Proven a piece at a time, and in memory: what is good in memory is good in a stream."""
    found, refusal = None, None
    with _file(octets) as source, _file() as out:
        try:
            found = streaming.verify(source, out)
        except (Refusal, Misuse) as refused:
            refusal = refused
        said = _held(out)
    whole = _in_memory(octets)
    promised(whole is None or found is not None, f"a stream refuses what is good in memory: {refusal}")
    promised(whole is None or said == whole, "a stream says other than the message in memory")
    if refusal is not None:
        raise refusal
    if found is not None and found.signed.signer_certificate in {one.certificate for one in signers()}:
        promised(said == CONTENT, "a signature holds for what was never signed")


def _in_memory(octets: bytes) -> bytes | None:
    try:
        message = cms.read_signed(octets, cms.FOREIGN)
        cms.check_signature(message)
    except (Refusal, Misuse):
        return None
    return message.octets


def _sealed(octets: bytes) -> None:
    """The same of envelopes, for each kind of key."""
    refusal = None
    for opener in _named(octets):
        opened = None
        with _file(octets) as source, _file() as out:
            try:
                opened = streaming.open_sealed(source, out, opener, allow_legacy=True)
            except Refusal as refused:
                refusal = refused
            said = _held(out)
        try:
            kind, content = cms.open_sealed(octets, opener, allow_legacy=True)
        except Refusal:
            good = opened is None or not opened.authenticated or said == CONTENT
            promised(good, "what was altered opened a piece at a time")
            continue
        if opened is None and not _strict(octets):
            continue  # memory does not look into others' recipients, a stream brings them to DER
        promised(opened is not None, f"a stream refuses what opens in memory: {refusal}")
        promised(opened is None or opened.content_type == kind, "the content's types differ")
        promised(said == content, "the contents differ")
    if refusal is not None:
        raise refusal


def _named(octets: bytes) -> list[Any]:
    """The openers whom the octets name, or the first."""
    found = [one for one in openers() if (one.certificate.key_id or b"?") in octets]
    found += [one for one in openers() if one.certificate.issuer_and_serial in octets]
    return found or [openers()[0]]


def _strict(octets: bytes) -> bool:
    try:
        der.check(octets)
    except Refusal:
        return False
    return True


def _armour(octets: bytes) -> None:
    with _file(octets) as source, _file() as out:
        promised(streaming.is_armoured(source) or source.tell() == 0, "looking moves the file")
        streaming.unarmour(source, len(octets), out)
        promised(pem.unarmoured(octets) == _held(out), "a stream reads other armour than memory does")


def _loose(messages: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    def seeds() -> Iterator[bytes]:
        for message in messages():
            yield message
            yield loosened(message, Random(len(message)))

    return seeds


def _signed_seeds() -> Iterator[bytes]:
    yield from signed()
    yield cms.sign(CONTENT, oids.ACT, signers()[0], START)


def _sealed_seeds() -> Iterator[bytes]:
    for one in openers():
        yield cms.seal(CONTENT, oids.ACT, [one.certificate], zeros)
    yield cms.seal(CONTENT, oids.DATA, [one.certificate for one in openers()], zeros)
    yield cms.seal_legacy(CONTENT, oids.DATA, [openers()[0].certificate], zeros)


TARGETS = (
    Target(name="stream-signed", read=_signed, seeds=_loose(_signed_seeds), mutate=ber_bent),
    Target(name="stream-sealed", read=_sealed, seeds=_loose(_sealed_seeds), mutate=ber_bent),
    Target(name="stream-armour", read=_armour, seeds=lambda: map(pem.armoured, signed()), mutate=pem_bent),
)
