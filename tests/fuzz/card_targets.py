"""Targets of the card: commands of a host that knows every code, and what it remembers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from e2s.base.errors import Refusal
from e2s.security.keys.generation import generate
from e2s.security.smartcard import apdu, codes, memory, piv, tlv
from e2s.security.smartcard.directory import Directory, read_directory
from e2s.security.smartcard.verifiable import read_verifiable, write_verifiable
from tests.fuzz.ground import the_same
from tests.fuzz.target import Target
from tests.worlds.card import PIN, PUK, Host
from tests.worlds.pki import make_pki

_NONCE, _SECRET = bytes(12), bytes(32)


def _commands(octets: bytes) -> None:
    """One command after another, each with two octets of length before it."""
    with the_same("card"):
        host = Host()
        host.manage()
        host.verify()
        place = 0
        for _ in range(8):
            size = int.from_bytes(octets[place : place + 2], "big")
            place += 2
            answer = apdu.read_answer(host.applet.transmit(octets[place : place + size]))
            place += size
            if answer.status == apdu.UNKNOWN:
                raise AssertionError("the card failed")
            if place >= len(octets):
                break
        memory.unseal(memory.seal(host.kept.memory, _SECRET, bytes), _SECRET)


def _framed(*commands: apdu.Command) -> bytes:
    return b"".join(len(one.encoded()).to_bytes(2, "big") + one.encoded() for one in commands)


def _seeds() -> Iterator[bytes]:
    generate = apdu.Command(ins=0x47, p2=0x9A, data=tlv.write(0xAC, tlv.write(0x80, b"\x11")), expected=256)
    digest = tlv.write(0x7C, tlv.write(0x82, b"") + tlv.write(0x81, bytes(32)))
    sign = apdu.Command(ins=0x87, p1=piv.P256, p2=0x9A, data=digest, expected=256)
    put = apdu.Command(ins=0xDB, p1=0x3F, p2=0xFF, data=bytes.fromhex("5C035FC1055303700100"))
    get = apdu.Command(ins=0xCB, p1=0x3F, p2=0xFF, data=bytes.fromhex("5C035FC105"), expected=8)
    yield _framed(generate, sign, put, get, apdu.Command(ins=0xC0, expected=256))
    verify = apdu.Command(ins=0x20, p2=piv.PIN, data=codes.padded(PIN))
    change = apdu.Command(ins=0x24, p2=piv.PUK, data=PUK + PUK)
    brought = apdu.Command(ins=0xFE, p1=piv.P256, p2=0x82, data=tlv.write(6, bytes(31) + b"\1"))
    yield _framed(verify, change, brought, apdu.Command(ins=0xF7, p2=0x82, expected=256))
    judge = apdu.Command(ins=0x2A, p2=0xBE, data=tlv.write(0x7F21, b"0"))
    yield _framed(judge, apdu.Command(ins=0x84, expected=8), apdu.Command(ins=0xA4, p1=4, data=piv.AID))


def _remembered(octets: bytes) -> memory.Memory:
    """What was sealed by who has the secret, whatever it is."""
    sealed = AESGCM(_SECRET).encrypt(_NONCE, octets, memory.MAGIC)
    return memory.unseal(memory.MAGIC + _NONCE + sealed, _SECRET)


def _memories() -> Iterator[bytes]:
    with the_same("card-memory"):
        host = Host()
        host.manage()
        host.generate(0x9A)
        sealed = memory.seal(host.kept.memory, _SECRET, secrets.token_bytes)
    start = len(memory.MAGIC) + 12
    yield AESGCM(_SECRET).decrypt(sealed[start - 12 : start], sealed[start:], memory.MAGIC)


def _directories() -> Iterator[bytes]:
    with the_same("card-directory"):
        chain = (make_pki().operating,)
    yield Directory(slots={"session": 0x9A, "agreement": 0x9D}, chain=chain).encoded()


def _verifiable() -> Iterator[bytes]:
    with the_same("card-verifiable"):
        signer = generate("p256-sha256", secrets.token_bytes)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    yield write_verifiable(signer.public_key(), issuer=bytes(8), subject=bytes(16), signer=signer)


def _objects(octets: bytes) -> None:
    parts = list(tlv.objects(octets))
    if b"".join(tlv.write(tag, value) for tag, value in parts) != octets:
        # a length may be written longer than it has to be
        raise Refusal("bad-tlv", "not the shortest form")


TARGETS = (
    Target(name="card.commands", read=_commands, seeds=_seeds, most=4096, seconds=3.0),
    Target(name="card.memory", read=_remembered, seeds=_memories),
    Target(name="card.verifiable", read=read_verifiable, seeds=_verifiable),
    Target(name="card.directory", read=read_directory, seeds=_directories),
    Target(name="card.objects", read=_objects, seeds=lambda: [tlv.write(0x7F49, tlv.write(0x86, bytes(65)))]),
)
