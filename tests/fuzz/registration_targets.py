"""Targets of the room of registration: officers' words, the CA's answers, sheets, policies, a spool's answers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from e2s.base import wire
from e2s.base.errors import Unreachable
from e2s.base.instants import format_instant
from e2s.security.pki import spool
from e2s.security.registration import acts
from e2s.security.registration.applicants import judge_rows
from e2s.security.registration.documents import (
    CASE_FORMS,
    read_issued,
    read_withdrawn,
    read_word,
    sign_document,
)
from e2s.security.registration.evidence import read_evidence
from e2s.security.registration.policy import read_policy
from e2s.security.registration.sheets import request_of_pem
from tests.fuzz.ground import pki, the_same
from tests.fuzz.shapes import bent, der_bent, document_bent
from tests.fuzz.target import Target, promised
from tests.worlds.pki import START
from tests.worlds.registration import OLGA, World, a_row, csr, csr_pem, sheet


@cache
def _world() -> World:
    with the_same("registration"):
        return World(Path(mkdtemp(prefix="e2s-fuzz-")), pki())


@cache
def _opened() -> wire.Document:
    """One document: said again, it is answered again."""
    office = _world().office
    with the_same("opened"):
        request = csr()
    return acts.open_document(
        office, OLGA, profile="person", party="alpha", title="Anna", request=request, protection="card"
    )


def _word_seeds() -> Iterator[bytes]:
    yield acts.signed(_opened(), _world().olga)


def _word(octets: bytes) -> None:
    word = read_word(octets, CASE_FORMS)
    promised(word.id == read_word(octets, CASE_FORMS).id, "a word has one name")


def _document(octets: bytes) -> None:
    """What an officer's own tool might sign is taken whole or refused, and changes nothing that is refused."""
    document = wire.decode(octets)
    document["at"] = format_instant(START)
    answer = acts.take(_world().office, sign_document(document, _world().olga, START))
    promised(answer["state"] == "opened", "only a case is opened")


def _answer_seeds() -> Iterator[bytes]:
    chain, spki = [wire.b64u(pki().operating.der)], wire.b64u(bytes(32))
    results = [{"spki": spki, "certificate": chain[0]}, {"spki": spki, "rule": "a-rule", "message": "why"}]
    yield wire.encode({"type": "e2s/1/issued", "chain": chain, "results": results})


def _withdrawn_seeds() -> Iterator[bytes]:
    at = format_instant(START)
    yield wire.encode({"type": "e2s/1/withdrawn", "serial": "a1", "act": "revoke", "at": at})


def _sheet(octets: bytes) -> None:
    """Every row is ok or refused, and a name that is given out in trial is given once."""
    names = [
        judged.name
        for judged, _ in judge_rows(_world().office, io.BytesIO(octets), _world().folder, OLGA, "b-none")
        if judged.result == "ok"
    ]
    promised(len(set(names)) == len(names), "a name is one person's")


def _sheet_seeds() -> Iterator[bytes]:
    with the_same("sheet"):
        rows = [a_row(1), a_row(2), a_row(3, person="anna"), a_row(4)]
    yield sheet(rows[:3]).getvalue()
    yield sheet(rows[3:], delimiter=";").getvalue()


def _evidence_seeds() -> Iterator[bytes]:
    yield _world().seen().encoded()


def _policy_seeds() -> Iterator[bytes]:
    yield (Path(acts.__file__).parent / "policy.toml").read_bytes()


def _spooled(octets: bytes) -> None:
    try:
        spool._opened(octets)
    except Unreachable:
        return


def _spooled_seeds() -> Iterator[bytes]:
    yield b"\0answer"
    yield b"\1" + wire.encode({"rule": "a-rule", "message": "why", "facts": {"n": 1}})


def _pem_seeds() -> Iterator[bytes]:
    with the_same("pem"):
        yield csr_pem().encode()


TARGETS = (
    Target(name="case-word", read=_word, seeds=_word_seeds, mutate=der_bent),
    Target(
        name="case-document",
        read=_document,
        seeds=lambda: [wire.encode(_opened())],
        mutate=document_bent,
        short=60,
    ),
    Target(name="ca-answer", read=read_issued, seeds=_answer_seeds, mutate=document_bent),
    Target(name="ca-withdrawn", read=read_withdrawn, seeds=_withdrawn_seeds, mutate=document_bent),
    Target(name="registration-sheet", read=_sheet, seeds=_sheet_seeds, mutate=bent),
    Target(
        name="evidence-record",
        read=lambda octets: read_evidence(wire.decode(octets)),
        seeds=_evidence_seeds,
        mutate=document_bent,
    ),
    Target(name="evidence-policy", read=read_policy, seeds=_policy_seeds, mutate=bent),
    Target(name="spool-answer", read=_spooled, seeds=_spooled_seeds, mutate=bent),
    Target(
        name="request-pem",
        read=lambda octets: request_of_pem(octets.decode("latin-1")),
        seeds=_pem_seeds,
        mutate=bent,
    ),
)
