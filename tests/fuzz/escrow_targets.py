"""Targets of the room of escrow: words about cases, transcripts, statements, policies, shares, what is deposited."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from e2s.base import wire
from e2s.base.instants import format_instant
from e2s.crypto import oids
from e2s.crypto.cms.signing import sign
from e2s.security.escrow import cases, comparing, policy
from e2s.security.escrow.judging import judge_transcript
from e2s.security.escrow.policy import policy_of, read_policy
from e2s.security.escrow.sharing import read_share
from e2s.security.escrow.transcript import read_transcript, transcript
from e2s.security.escrow.words import APPROVAL, CASE, DEPOSIT, ENTRY, POLICY, RECEIPT, STOP, read, sign_at
from e2s.security.registration.documents import sign_document
from tests.fuzz.ground import pki, the_same
from tests.fuzz.shapes import bent, der_bent, document_bent
from tests.fuzz.target import Target, promised
from tests.worlds.escrow import RITA, World


@cache
def _world() -> World:
    with the_same("escrow"):
        world = World(Path(mkdtemp(prefix="e2s-fuzz-")), pki())
        world.deposit()
    return world


@cache
def _story() -> bytes:
    """The transcript of a case that was received."""
    world = _world()
    with the_same("escrow-story"):
        begin = world.clock.at
        case = world.released()
        world.receive(case)
        octets = transcript(world.vault, case)
    world.clock.at = begin
    return octets


@cache
def _case() -> wire.Document:
    world = _world()
    with world.vault.database.reading() as connection:
        ident = world.vault.kept(connection, world.deposit())[1].id
    with the_same("escrow-case"):
        return cases.case_document(
            world.vault, RITA, [ident], [world.lena.certificate], number="1", basis="inquiry", reason="why"
        )


def _word(octets: bytes) -> None:
    word = read(octets, CASE, APPROVAL, STOP, RECEIPT, ENTRY, DEPOSIT, POLICY)
    promised(word.id == read(octets, CASE, APPROVAL, STOP, RECEIPT, ENTRY, DEPOSIT, POLICY).id, "one name")


def _word_seeds() -> Iterator[bytes]:
    document = read_transcript(_story()).document
    yield wire.unb64u(document["case"])
    for name in ("words", "entries"):
        yield wire.unb64u(document[name][0])
    yield wire.unb64u(document["policies"][0]["policy"])
    yield wire.unb64u(document["deposits"][0]["deposit"])


def _document(octets: bytes) -> None:
    """What who may open cases might sign is taken whole or refused."""
    world = _world()
    document = wire.decode(octets)
    document["at"] = format_instant(world.clock.at)
    answer = cases.take(world.vault, sign_document(document, world.rita.signer, world.clock.at))
    promised(answer["state"] == "open", "only a case is opened")


def _told(octets: bytes) -> None:
    """Whatever a vault signs as a transcript is judged; only the story that happened is good."""
    world = _world()
    document = wire.decode(octets, 1 << 20)
    given = read_transcript(_story())
    found = judge_transcript(sign(octets, oids.DATA, world.signer, given.at), [world.pki.root])
    promised(found.state == "received", "the case was received")
    promised(document["entries"] == given.document["entries"], "its entries are those")


def _policy(octets: bytes) -> None:
    document = wire.decode(octets)
    POLICY.check(document)
    found = policy_of(document)
    promised(found.alone or 2 <= found.threshold <= len(found.officers), "several officers")


def _policy_seeds() -> Iterator[bytes]:
    world = _world()
    with world.vault.database.reading() as connection:
        yield world.vault.word_pairs(connection)[0][0].content


def _statement(octets: bytes) -> None:
    comparing.read_statement(octets, [_world().pki.root])


def _trust_seeds() -> Iterator[bytes]:
    world = _world()
    stated = comparing.read_statement(comparing.statement(world.vault), [world.pki.root])
    said = comparing.trust_document(stated, stated, world.pia.name, world.clock.at, world.clock.at)
    yield sign_at(said, world.pia.signer)


TARGETS = (
    Target(name="escrow-word", read=_word, seeds=_word_seeds, mutate=der_bent),
    Target(
        name="escrow-case",
        read=_document,
        seeds=lambda: [wire.encode(_case())],
        mutate=document_bent,
        short=40,
    ),
    Target(
        name="escrow-transcript",
        read=_told,
        seeds=lambda: [wire.encode(read_transcript(_story()).document)],
        mutate=document_bent,
        most=256 * 1024,
        short=40,
    ),
    Target(
        name="escrow-transcript-octets",
        read=lambda octets: judge_transcript(octets, [_world().pki.root]),
        seeds=lambda: [_story()],
        mutate=bent,
        most=256 * 1024,
        short=40,
    ),
    Target(name="escrow-policy", read=_policy, seeds=_policy_seeds, mutate=document_bent, short=60),
    Target(
        name="escrow-statement",
        read=_statement,
        seeds=lambda: [comparing.statement(_world().vault)],
        mutate=document_bent,
        most=64 * 1024,
        short=40,
    ),
    Target(
        name="escrow-trust",
        read=lambda octets: read(octets, comparing.TRUST),
        seeds=_trust_seeds,
        mutate=der_bent,
        short=60,
    ),
    Target(
        name="escrow-conditions",
        read=read_policy,
        seeds=lambda: [Path(policy.__file__).with_name("policy.toml").read_bytes()],
        mutate=bent,
    ),
    Target(name="escrow-share", read=read_share, seeds=lambda: [b"\1" * 33], mutate=bent, most=64),
)
