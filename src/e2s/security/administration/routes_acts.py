"""Logging in, drafts of what an officer is to sign, and the words that she signed."""

from __future__ import annotations

from typing import Final

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.wire import Document
from e2s.security.administration import answers, asked, words
from e2s.security.administration.desk import Desk
from e2s.security.administration.documents import login_document
from e2s.security.administration.effects import Effect, effect
from e2s.security.administration.policies import back_to
from e2s.security.administration.problems import LoginRefused
from e2s.security.administration.routes import Doors, Here, Known, me_of, problems


@post(
    "/v1/login/challenge",
    rights=(),
    responses=problems(),
    sync_to_thread=True,
    status_code=200,
    security=[{}],
)
def login_challenge(desk: Here, logins: Doors, data: JSONBody[asked.Officer]) -> answers.Challenge:
    """What an officer signs to log in; nothing is said of whether there is such an officer."""
    said = login_document(desk.office, data.officer, logins.audience, logins.challenge())
    return answers.Challenge(document=said, octets=wire.b64u(wire.encode(said)))


@post("/v1/login", rights=(), responses=problems(), sync_to_thread=True, status_code=200, security=[{}])
def login(desk: Here, logins: Doors, data: JSONBody[asked.Signed]) -> answers.Token:
    """A session for the officer who signed the challenge."""
    try:
        token, session = logins.begin(_octets(data.word))
    except Refusal as refusal:
        desk.refused(refusal, what="login")
        raise LoginRefused(refusal) from refusal
    return answers.Token(token=token, me=me_of(desk, session))


@post("/v1/logout", rights=(), responses=problems(), sync_to_thread=True, status_code=204)
def logout(session: Known, logins: Doors, token: NamedDependency[str]) -> None:
    """End the session."""
    del session
    logins.end(token)


@post("/v1/drafts", rights=(), responses=problems(), sync_to_thread=True, status_code=200)
def draft(desk: Here, session: Known, data: JSONBody[asked.Act]) -> answers.Draft:
    """A document for the officer to sign, with what it would change."""
    said, changes = _drafted(desk, session.officer, data)
    return answers.Draft(
        document=said,
        octets=wire.b64u(wire.encode(said)),
        concerns=list(changes.concerns),
        lines=list(changes.lines),
    )


@post("/v1/words", rights=(), responses=problems(), sync_to_thread=True, status_code=200)
def word(desk: Here, session: Known, data: JSONBody[asked.Signed]) -> answers.Taken:
    """Take what the officer signed; a repeat is answered as the first was."""
    octets = _octets(data.word)
    try:
        said = words.read(octets)
        if said.officer != session.officer:
            raise Refusal("other-officer", "the word is another officer's than the session")
    except Refusal as refusal:
        desk.refused(refusal, what="word", session=session.officer)
        raise
    done = words.take(desk, octets)
    return answers.Taken(officer=done.officer, type=done.type, answer=done.answer)


_NOTHING: Final = Effect(lines=(), values=(), concerns=())


def _drafted(desk: Desk, officer: str, act: asked.Act) -> tuple[Document, Effect]:
    """The document of an act, and its effect."""
    match act:
        case asked.ApproveCases(cases=cases):
            said = words.approve_cases(desk, officer, cases)
        case asked.Countersign(approval=approval):
            said = words.countersign(desk, officer, approval)
        case asked.RefuseCase(case=case, why=why):
            said = words.refuse_case(desk, officer, case, why)
        case asked.Revoke(serial=serial, reason=reason):
            return words.withdrawing_of(desk, officer, serial, "revoke", reason)
        case asked.Hold(serial=serial):
            return words.withdrawing_of(desk, officer, serial, "hold")
        case asked.Release(serial=serial):
            return words.withdrawing_of(desk, officer, serial, "release")
        case asked.Propose(policy=policy, content=content, why=why):
            return _proposed(desk, officer, policy, content.encode(), why)
        case asked.GoBack(policy=policy, version=version, why=why):
            return _proposed(desk, officer, policy, back_to(desk, policy, version), why)
        case asked.Decide(proposal=proposal, decision=decision, why=why):
            said = words.decide(desk, officer, proposal, decision, why)
        case asked.DecideRequest(request=request, decision=decision, why=why):
            said = words.decide_request(desk, officer, request, decision, why)
    return said, _NOTHING


def _proposed(desk: Desk, officer: str, policy: str, content: bytes, why: str) -> tuple[Document, Effect]:
    said = words.propose(desk, officer, policy, content, why)
    return said, effect(desk, policy, content)


def _octets(text: str) -> bytes:
    return wire.unb64u(text)


HANDLERS: Final = (login_challenge, login, logout, draft, word)
