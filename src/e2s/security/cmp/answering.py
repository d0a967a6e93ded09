"""Answers as they are said: to whom, in which transaction, protected as the request was (RFC 9483, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Renewed
from e2s.security.cmp.answers import NULL, Certified, Error, Wait, error, poll_answer
from e2s.security.cmp.header import NONCE_SIZE, Header
from e2s.security.cmp.message import Message, Part, write_message
from e2s.security.cmp.pieces import Information, StatusInfo, directory_name, refusal_status
from e2s.security.cmp.protection import Protector, Signed, protected_message
from e2s.security.cmp.requests import NO_REQUEST, REQUEST
from e2s.security.cmp.transactions import CONFIRMING, Answer
from e2s.security.cmp.vocabulary import (
    ANSWERS,
    CONFIRM_WAIT_TIME,
    IMPLICIT_CONFIRM,
    Body,
    Failure,
    Status,
    failure_of,
)
from e2s.security.enrolment.asking import Desk, Issued, Pending
from e2s.security.enrolment.setting import DoorSetting

_MAX_DETAILS: Final = 300


class Speaker:
    """Says answers to one message; :attr:`protector` is set once its writer is known."""

    def __init__(self, desk: Desk, setting: DoorSetting, message: Message, at: datetime) -> None:
        """Until then answers are signed, where there is a signer, and unprotected otherwise."""
        self._desk = desk
        self._setting = setting
        self._message = message
        self._at = at
        held: object = setting.signer
        signer = held.now if isinstance(held, Renewed) else setting.signer
        self.protector: Protector | None = Signed(signer=signer) if signer else None

    def say(
        self,
        kind: Body,
        content: bytes,
        *,
        information: Sequence[Information] = (),
        certificates: Sequence[Certificate] = (),
        certificate: bytes = b"",
    ) -> Answer:
        """An answer of this kind."""
        nonce = self._setting.random(NONCE_SIZE)
        asked = self._message.header
        header = Header(
            version=asked.version,
            sender=directory_name(self._desk.issuer.slices.subject),
            recipient=asked.sender,
            time=self._at,
            transaction=asked.transaction,
            nonce=nonce,
            answered=asked.nonce,
            information=tuple(information),
        )
        body = Part(kind, content)
        if self.protector is None:
            return Answer(octets=write_message(header, body), nonce=nonce)
        octets = protected_message(header, body, self.protector, certificates)
        return Answer(octets=octets, nonce=nonce, certificate=certificate)

    def refuse(self, refused: E2SError) -> bytes:
        """An error message that names the rule (RFC 9810, 5.3.21)."""
        failure = Failure.SYSTEM_UNAVAIL if isinstance(refused, Unreachable) else failure_of(refused.rule)
        status = refusal_status(refused.rule, refused.message, failure)
        return self.say(Body.ERROR, error(Error(status, None, (refused.rule,)))).octets


@dataclass(frozen=True, eq=False, kw_only=True)
class Saying:
    """What the desk said of one request, in CMP's words.

    ``kind`` is that of the request, ``wished`` the subject that it asked for; ``shared``: the client knows a
    secret, and is told the anchor.  ``polled``: it asked once more.
    """

    speaker: Speaker
    desk: Desk
    at: datetime
    kind: Body
    wished: bytes
    implicit: bool
    shared: bool
    polled: bool = False

    def __call__(self, found: Issued | Pending | Refusal) -> Answer:
        """The answer."""
        answer, number = ANSWERS[self.kind], request_number(self.kind)
        if isinstance(found, Pending):
            if self.polled:
                return self.speaker.say(Body.POLL_REP, poll_answer(Wait(number, found.retry_seconds)))
            return self.speaker.say(answer, Certified(request=number, status=_WAITING).der)
        if isinstance(found, Refusal):
            status = refusal_status(found.rule, found.message, failure_of(found.rule))
            return self.speaker.say(answer, Certified(request=number, status=status).der)
        given = Certified(
            request=number,
            status=StatusInfo(status=self._granted(found.certificate)),
            certificate=found.certificate,
            anchors=(self.desk.root,) if self.kind is Body.IR and self.shared else (),
        )
        return self.speaker.say(
            answer,
            given.der,
            information=(self._confirming(),),
            certificates=[Certificate.read(one) for one in found.chain],
            certificate=found.certificate,
        )

    def _granted(self, certificate: bytes) -> Status:
        """Whether it has the subject that was asked for."""
        same = not self.wished or self.wished == Certificate.read(certificate).slices.subject
        return Status.ACCEPTED if same else Status.GRANTED_WITH_MODS

    def _confirming(self) -> Information:
        """That nothing is to be confirmed, or until when."""
        if self.implicit:
            return Information(IMPLICIT_CONFIRM, NULL)
        return Information(CONFIRM_WAIT_TIME, der.generalized_time(self.at + CONFIRMING))


def request_number(kind: Body) -> int:
    """What the answer calls the request (RFC 9483, 4.1.4)."""
    return NO_REQUEST if kind is Body.P10CR else REQUEST


_WAITING: Final = StatusInfo(status=Status.WAITING)
