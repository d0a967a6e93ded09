"""Targets of the room of CMP: messages, what stands in them, MACs, and the door behind a good protection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

from e2s.base import wire
from e2s.base.http import Request
from e2s.base.instants import format_instant
from e2s.base.wire import b64u
from e2s.crypto import der
from e2s.crypto.password_mac import WAYS, mac_algorithm, password_mac
from e2s.network.sessions.link import Door
from e2s.security.cmp import answers, requests
from e2s.security.cmp.header import Header
from e2s.security.cmp.message import Part, read_message, write_message
from e2s.security.cmp.pieces import Information, StatusInfo
from e2s.security.cmp.protection import Shared, Signed, protected_message
from e2s.security.cmp.service import CmpDoor
from e2s.security.cmp.vocabulary import IMPLICIT_CONFIRM, MEDIA_TYPE, Body
from e2s.security.enrolment.linked import read_known
from e2s.security.pki import store as pki_store
from e2s.security.pki.approvals import Judge
from e2s.security.pki.renewals import KNOWN, OWN, RECERTIFY, own_door, renewal_doors
from e2s.security.pki.service import doors
from e2s.security.registration.documents import sign_document
from tests.fuzz.ground import pki, signers, the_same, zeros
from tests.fuzz.shapes import bent, der_bent, document_bent
from tests.fuzz.target import Target, promised
from tests.worlds.enrolment import CA, COMPONENT, NAME, OLGA, OPERATOR, World, key
from tests.worlds.pki import START

BOX = "urn:e2s:market:alpha:box"
STATUS = StatusInfo(status=2, texts=("a-rule: why",), failures=frozenset({2, 25}))
NAMED = requests.Named(der.sequence(), 7)


@cache
def _world() -> tuple[World, CmpDoor, Shared]:
    with the_same("cmp"):
        world = World(Path(mkdtemp(prefix="e2s-fuzz-")))
        reference, secret = world.invite("component", (BOX,))
        door = world.door("cmp")
    assert isinstance(door, CmpDoor)
    return world, door, Shared(reference=reference.encode(), secret=secret, random=zeros)


def _header(**more: Any) -> Header:
    return Header(time=START, transaction=bytes(16), nonce=bytes(16), **more)


@cache
def _bodies() -> tuple[Part, ...]:
    with the_same("cmp-bodies"):
        wished = requests.write_request(
            key(), subject=der.sequence(), names=(BOX,), not_after=START, old=NAMED
        )
    return (
        Part(Body.IR, wished),
        Part(Body.RR, requests.write_ending(requests.Ending(NAMED, 4))),
        Part(Body.CERT_CONF, answers.confirmation(answers.Confirmation(bytes(32), 0, STATUS))),
        Part(Body.POLL_REQ, answers.poll_request(0)),
        Part(Body.GENM, der.sequence(der.sequence(der.oid(IMPLICIT_CONFIRM)))),
        Part(Body.ERROR, answers.error(answers.Error(STATUS, 1, ("why",)))),
        Part(Body.POLL_REP, answers.poll_answer(answers.Wait(0, 30, ("soon",)))),
        Part(Body.RP, answers.revocation_answer((STATUS,))),
        Part(Body.IP, _certified()),
    )


def _certified() -> bytes:
    given = StatusInfo(status=0)
    return answers.Certified(
        request=0, status=given, certificate=pki().operating.der, anchors=(pki().root,)
    ).der


def _messages() -> Iterator[bytes]:
    with the_same("cmp-messages"):
        _, _, shared = _world()
        named = _header(information=(Information(IMPLICIT_CONFIRM, answers.NULL),), texts=("words",))
        for body in _bodies():
            yield protected_message(named, body, shared)
        yield protected_message(_header(), _bodies()[0], Signed(signer=signers()[0]))
        yield write_message(_header(), _bodies()[0])


def _message(octets: bytes) -> None:
    read = read_message(octets)
    again = write_message(read.header, read.body, read.protection, read.certificates)
    promised(again == octets, "a message that was read has another encoding")


def _request(octets: bytes) -> None:
    read = requests.read_request(octets)
    promised(read.template.names is not None, "names are read")
    promised(read.proven().spki == read.template.spki, "another key is proven")


def _contents() -> Iterator[bytes]:
    return (body.content for body in _bodies()[1:])


_READ: tuple[Callable[[bytes], object], ...] = (
    requests.read_ending,
    answers.read_confirmation,
    answers.read_poll_request,
    answers.read_error,
    answers.read_poll_answer,
    answers.read_revocation_answer,
    answers.read_certified,
)


def _reader(read: Callable[[bytes], object]) -> Target:
    name = read.__name__.removeprefix("read_").replace("_", "-")
    return Target(name=f"cmp-{name}", read=read, seeds=_contents, mutate=der_bent, short=40)


def _mac(octets: bytes) -> None:
    promised(len(password_mac(octets, b"secret", b"data")) >= 20, "a MAC is short")


def _macs() -> Iterator[bytes]:
    yield from (mac_algorithm(way, zeros) for way in WAYS)


def _inside(octets: bytes) -> None:
    """The first octet says the kind; whoever knows the secret may write any body."""
    world, door, shared = _world()
    kinds = list(Body)
    body = Part(kinds[octets[0] % len(kinds)], der.Reader(octets[1:]).element()) if len(octets) > 2 else None
    if body is None:
        return
    message = protected_message(_header(), body, shared)
    answer = door(Request("POST", "/cmp", message, {"content-type": MEDIA_TYPE}))
    promised(answer.status in {200, 400, 413}, "no answer")
    if answer.status == 200:
        read_message(answer.body)
    promised(len(world.requests("issued")) <= 1, "an invitation gave more than it gives")


def _insides() -> Iterator[bytes]:
    kinds = list(Body)
    for body in _bodies():
        yield bytes((kinds.index(body.kind),)) + body.content


@cache
def _doors() -> Mapping[str, Door]:
    """The CA's doors for enrolment."""
    world, _, _ = _world()
    judge = Judge(trust=world.trust, authoriser=world.rights, community="market", ca=CA)
    orders = doors(world.authority, judge)
    return {
        **renewal_doors(world.authority, orders),
        **own_door(world.authority, name=NAME, officer=OPERATOR),
    }


def _renewals(octets: bytes) -> None:
    """Whatever enrolment's process says, nothing new is certified."""
    world, _, _ = _world()
    if len(octets) < 2:
        return
    paths = sorted(_doors())
    before = _issued(world)
    try:
        _doors()[paths[octets[0] % len(paths)]](COMPONENT, octets[1:])
    finally:
        promised(_issued(world) == before, "something was certified")


def _issued(world: World) -> int:
    with world.authority.database.reading() as connection:
        return pki_store.last_change(connection)


def _renewal_seeds() -> Iterator[bytes]:
    world, _, _ = _world()
    paths = sorted(_doors())
    with the_same("cmp-renewals"):
        olga = world.officer(OLGA)
    serial = f"{olga.certificate.serial:x}"
    word = sign_document(_registration(), olga, START)
    said: dict[str, dict[str, Any]] = {
        KNOWN: {"type": "e2s/1/known", "serial": serial},
        RECERTIFY: {"type": "e2s/1/issue", "approval": b64u(word), "requests": [b64u(b"none")]},
        OWN: {"type": "e2s/1/renew-own", "certificate": b64u(olga.certificate.der)},
    }
    for path, document in said.items():
        yield bytes((paths.index(path),)) + wire.encode(document)


def _registration() -> wire.Document:
    at, until = format_instant(START), format_instant(START + timedelta(days=1))
    said = {"case": "c", "profile": "person", "names": [BOX], "spki": b64u(bytes(32)), "confidence": ""}
    return {
        "type": "e2s/1/registration",
        "community": "market",
        "ca": CA,
        "officer": OLGA,
        "at": at,
        "until": until,
        "case": "c",
        "orders": [{**said, "evidence": [b64u(bytes(32))]}],
    }


def _renewal_bent(octets: bytes, random: Random) -> bytes:
    return octets[:1] + document_bent(octets[1:], random)


def _known_seeds() -> Iterator[bytes]:
    yield wire.encode(
        {
            "type": "e2s/1/known-certificate",
            "profile": "person",
            "state": "good",
            "certificate": b64u(pki().operating.der),
        }
    )


TARGETS = (
    Target(name="ca-renewals", read=_renewals, seeds=_renewal_seeds, mutate=_renewal_bent, short=60),
    Target(name="ca-known", read=read_known, seeds=_known_seeds, mutate=document_bent),
    Target(name="cmp-message", read=_message, seeds=_messages, mutate=der_bent),
    Target(name="cmp-request", read=_request, seeds=lambda: [_bodies()[0].content], mutate=der_bent),
    *map(_reader, _READ),
    Target(name="cmp-mac", read=_mac, seeds=_macs, mutate=der_bent),
    Target(name="cmp-inside", read=_inside, seeds=_insides, mutate=bent, short=60),
)
