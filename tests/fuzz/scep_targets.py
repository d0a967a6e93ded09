"""Targets of SCEP: messages and what is in them, certificates that devices make, and the door."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from e2s.base.errors import Refusal
from e2s.base.http import Handler, Request, Response
from e2s.crypto import der
from e2s.crypto.certificates import read_self_made
from e2s.security.enrolment.invitations import code_of
from e2s.security.scep.messages import Kind, issuer_and_serial, issuer_and_subject, read_message
from tests.fuzz.ground import pki, the_same
from tests.fuzz.shapes import bent, der_bent
from tests.fuzz.target import Target, promised
from tests.worlds.enrolment import ANNA, World
from tests.worlds.pki import SetClock
from tests.worlds.scep import Device, request_of


@cache
def _device() -> tuple[Handler, Device, str]:
    with the_same("scep door"):
        clock = SetClock()
        world = World(Path(mkdtemp(prefix="e2s-fuzz-")), clock=clock)
        handler = world.door("scep")

        def later(request: Request) -> Response:
            clock.forward(milliseconds=10)
            return handler(request)

        return later, Device(later, clock.now()), code_of(*world.invite(uses=1000))


def _messages() -> Iterator[bytes]:
    _, device, code = _device()
    yield device.message(
        Kind.REQUEST, request_of(device.key, ANNA, code), transaction=secrets.token_hex(4).encode()
    )
    yield device.message(Kind.CERTIFICATE, der.sequence(pki().operating.slices.subject, der.integer(7)))


def _message(octets: bytes) -> None:
    message = read_message(octets)
    promised(
        len(message.sender_nonce) == 16 and message.transaction, "a message has a nonce and a transaction"
    )


def _door(octets: bytes) -> None:
    """Whatever comes is answered: by SCEP's words where it can be, by HTTP where it is no message."""
    answer = _device()[0](Request("POST", "/scep?operation=PKIOperation", octets))
    promised(answer.status == 200 or answer.headers["e2s-rule"], "a refusal says its rule")
    if answer.status == 200:
        promised(read_message(answer.body).status is not None, "an answer says what became of it")


def _query(octets: bytes) -> None:
    answer = _device()[0](Request("GET", "/scep?" + octets.decode("latin-1")))
    promised(answer.status == 200 or answer.headers["e2s-rule"], "a refusal says its rule")


def _pairs() -> Iterator[bytes]:
    subject = pki().operating.slices.subject
    yield der.sequence(subject, der.integer(1 << 100))
    yield der.sequence(subject, subject)


def _pair(octets: bytes) -> None:
    """No pair is both."""
    try:
        issuer_and_serial(octets)
    except Refusal:
        issuer_and_subject(octets)


TARGETS = (
    Target(name="scep-message", read=_message, seeds=_messages, mutate=der_bent),
    Target(name="scep-names", read=_pair, seeds=_pairs, mutate=der_bent),
    Target(
        name="scep-certificate", read=read_self_made, seeds=lambda: [_device()[1].own.der], mutate=der_bent
    ),
    Target(name="scep-door", read=_door, seeds=_messages, mutate=der_bent, short=40),
    Target(
        name="scep-query",
        read=_query,
        seeds=lambda: [b"operation=GetCACaps", b"operation=PKIOperation&message=MIIB%2B"],
        mutate=bent,
        short=60,
    ),
)
