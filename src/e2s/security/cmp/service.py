"""The CMP door: the lightweight profile (RFC 9483) over HTTP (RFC 9811) before the desk of enrolment.

A message is read strictly, then its protection is proven, then its time; only then is it looked at.  An
answer is protected as the request was: by the secret of the invitation, or by the door's own signature.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import E2SError, Refusal
from e2s.base.http import Request, Response, refused
from e2s.base.refusals import RefusalCounter
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.cmp import store
from e2s.security.cmp.answering import Saying, Speaker
from e2s.security.cmp.answers import (
    NULL,
    read_confirmation,
    read_poll_request,
    revocation_answer,
)
from e2s.security.cmp.confirming import certificate_digest
from e2s.security.cmp.lapsing import DOOR, TOLERANCE
from e2s.security.cmp.message import Message, read_message
from e2s.security.cmp.pieces import StatusInfo, directory_name
from e2s.security.cmp.protection import Shared, check_shared, check_signed, way_protected
from e2s.security.cmp.requests import NO_REQUEST, REQUEST, Named, read_ending, read_request
from e2s.security.cmp.telling import told
from e2s.security.cmp.transactions import Answer, Came, Transactions
from e2s.security.cmp.vocabulary import (
    ANSWERS,
    IMPLICIT_CONFIRM,
    MAX_MESSAGE_BYTES,
    MEDIA_TYPE,
    PROFILE,
    Body,
    Status,
)
from e2s.security.enrolment.asking import Asked, Desk, Holder, Invited, Shown
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.verification.revoked import REASONS, REMOVED

FILE: Final = "cmp.db"
_PROFILE_PATH: Final = "/p/"
_MAX_REFERENCE: Final = 128
_REJECTS_ALL: Final = der.sequence()


def door(desk: Desk, setting: DoorSetting) -> CmpDoor:
    """The door; its transactions are in a database in the setting's folder."""
    return CmpDoor(desk, setting, Database.open(Path(setting.folder) / FILE, store.TABLES))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Heard:
    """One message whose writer is known."""

    message: Message
    speaker: Speaker
    came: Came
    profile: str

    @property
    def shown(self) -> Shown:
        return self.came.shown

    @property
    def shared(self) -> bool:
        return isinstance(self.shown, Invited)


class CmpDoor:
    """Answers CMP requests by POST at any path; :meth:`tick` revokes what was not confirmed in time."""

    def __init__(self, desk: Desk, setting: DoorSetting, database: Database) -> None:
        """``database`` has the store's tables; events leave by its :attr:`outbox`."""
        self.database = database
        self.outbox = store.OUTBOX
        self._desk = desk
        self._setting = setting
        self._transactions = Transactions(desk, database, component=setting.component)
        self._refusals = RefusalCounter(setting.component)

    def __call__(self, request: Request) -> Response:
        """One message, one answer; a refusal is an error message that names its rule."""
        if request.method != "POST":
            return Response(405, b"", {"allow": "POST"})
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != MEDIA_TYPE:
            return Response(415)
        at = self._setting.clock.now()
        try:
            message = read_message(request.body)
        except Refusal as refusal:
            self._note(refusal, at)
            return refused(refusal, 413 if len(request.body) > MAX_MESSAGE_BYTES else 400)
        speaker = Speaker(self._desk, self._setting, message, at)
        headers = {"content-type": MEDIA_TYPE}
        try:
            heard = self._heard(message, speaker, request, at)
            return Response(200, self._answered(heard), headers)
        except E2SError as error:
            self._note(error, at)
            return Response(200, speaker.refuse(error), {**headers, "e2s-rule": error.rule})

    def tick(self, now: datetime) -> None:
        """Revoke certificates that were not confirmed in time, and forget transactions that are over."""
        events = self._refusals.due(now)
        if events:
            with self.database.transaction() as connection:
                self.outbox.sink(connection).append_all(events)
        self._transactions.lapsing.tick(now)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _note(self, error: E2SError, at: datetime) -> None:
        events = self._refusals.note("cmp.refused", error.rule, at)
        if events:
            with self.database.transaction() as connection:
                self.outbox.sink(connection).append_all(events)

    def _heard(self, message: Message, speaker: Speaker, request: Request, at: datetime) -> _Heard:
        """Who wrote the message, and that it is of now."""
        shown = self._shown(message, speaker, request.client)
        time = message.header.time
        if time is None or not at - TOLERANCE <= time <= at + TOLERANCE:
            raise Refusal("cmp-time", "a message says when it was written, and is of now")
        came = Came(
            transaction=message.header.transaction,
            digest=sha256(request.body).digest(),
            shown=shown,
            answered=message.header.answered,
            at=at,
        )
        return _Heard(message=message, speaker=speaker, came=came, profile=_profile(message, request.path))

    def _shown(self, message: Message, speaker: Speaker, client: str) -> Shown:
        way = way_protected(message)
        if way is None:
            certificate = check_signed(message)
            if speaker.protector is None:
                raise Refusal("no-signer", "this door has no key to answer signed messages with")
            return Holder(certificate=certificate, certificates=message.certificates[1:])
        reference = message.header.sender_key
        if not reference or len(reference) > _MAX_REFERENCE or not reference.isascii():
            raise Refusal("no-such-invitation", "the sender's key names the invitation")
        secret = self._desk.secret(reference.decode())
        try:
            check_shared(message, secret)
        except Refusal as refusal:
            if refusal.rule == "cmp-protection":
                self._desk.wrong(reference.decode(), client=client)
            raise
        speaker.protector = Shared(
            reference=reference,
            secret=secret,
            random=self._setting.random,
            way=way,
            sender=directory_name(self._desk.issuer.slices.subject),
        )
        return Invited(reference=reference.decode())

    def _answered(self, heard: _Heard) -> bytes:
        kind, content = heard.message.body
        if kind in ANSWERS:
            return self._certify(heard)
        if kind is Body.POLL_REQ:
            _check_number(read_poll_request(content))
            return self._transactions.poll(heard.came, partial(self._saying, heard))
        if kind is Body.CERT_CONF:
            return self._confirm(heard)
        if kind is Body.RR:
            return self._revoke(heard)
        if kind is Body.GENM:
            return heard.speaker.say(Body.GENP, told(content, self._desk, self._setting, heard.shown)).octets
        raise Refusal("cmp-body", "this is for a client to hear, not for a CA", kind=kind.name.lower())

    def _certify(self, heard: _Heard) -> bytes:
        header, (kind, content) = heard.message.header, heard.message.body
        wished = b""
        if kind is Body.P10CR:
            asked = Asked(
                door=DOOR, transaction=b"", request=content, shown=heard.shown, profile=heard.profile
            )
        else:
            request = read_request(content)
            template, wished = request.template, request.template.subject
            self._check_old(kind, heard.shown, request.old)
            asked = Asked(
                door=DOOR,
                transaction=b"",
                request=request.proven(),
                shown=heard.shown,
                profile=heard.profile,
                names=template.names,
                not_after=template.not_after,
            )
        implicit = header.value(IMPLICIT_CONFIRM) is not None
        say = Saying(
            speaker=heard.speaker,
            desk=self._desk,
            at=heard.came.at,
            kind=kind,
            wished=wished,
            implicit=implicit,
            shared=heard.shared,
        )
        return self._transactions.ask(heard.came, asked, say, kind=kind, implicit=implicit, wished=wished)

    def _check_old(self, kind: Body, shown: Shown, old: Named | None) -> None:
        """A certificate is renewed by its holder, and the one named is the one held (RFC 9483, 4.1.3)."""
        if kind is not Body.KUR:
            if old is not None:
                raise Refusal("cmp-request", "only a renewal names the certificate that it replaces")
            return
        if not isinstance(shown, Holder):
            raise Refusal("cmp-renewal", "a renewal is signed under the certificate that it replaces")
        if old is not None and old != _named(shown.certificate):
            raise Refusal("foreign-certificate", "the certificate to be replaced is not the signer's")

    def _saying(self, heard: _Heard, row: sa.Row[Any]) -> Saying:
        """What is said of a request that waited."""
        return Saying(
            speaker=heard.speaker,
            desk=self._desk,
            at=heard.came.at,
            kind=Body(row.kind),
            wished=bytes(row.wished),
            implicit=bool(row.implicit),
            shared=heard.shared,
            polled=True,
        )

    def _confirm(self, heard: _Heard) -> bytes:
        content = heard.message.body.content

        def taken(certificate: bytes) -> bool:
            if content == _REJECTS_ALL:
                return False
            said = read_confirmation(content)
            _check_number(said.request)
            if not hmac.compare_digest(certificate_digest(certificate, said.algorithm), said.digest):
                raise Refusal("cmp-certificate-hash", "another certificate is confirmed than was given")
            return said.status is None or said.status.granted

        def say(_row: sa.Row[Any]) -> Answer:
            return heard.speaker.say(Body.PKICONF, NULL)

        return self._transactions.confirm(heard.came, taken, say)

    def _revoke(self, heard: _Heard) -> bytes:
        """A holder ends her own certificate (RFC 9483, 4.2); who was invited, one that she got by that."""
        ending = read_ending(heard.message.body.content)
        if ending.named.issuer != self._desk.issuer.slices.subject:
            raise Refusal("cmp-certificate-named", "the certificate is another CA's")
        shown = heard.shown
        if isinstance(shown, Holder) and ending.named != _named(shown.certificate):
            raise Refusal("foreign-certificate", "the certificate to be revoked is not the signer's")
        reason = REASONS.get(ending.reason, REMOVED)
        if reason == REMOVED:
            raise Refusal("cmp-request", "a revocation has one of the reasons of RFC 5280, 5.3.1")
        self._desk.withdraw(ending.named.serial, reason, shown, door=DOOR)
        status = StatusInfo(status=Status.ACCEPTED)
        return heard.speaker.say(Body.RP, revocation_answer((status,))).octets


def _named(certificate: Certificate) -> Named:
    return Named(certificate.slices.issuer, certificate.serial)


def _check_number(number: int) -> None:
    """The one request has its number, and the answer to PKCS #10 another, which old clients overlook."""
    if number not in {REQUEST, NO_REQUEST}:
        raise Refusal("cmp-request", "no such request was asked in this transaction", request=number)


def _profile(message: Message, path: str) -> str:
    """The profile that is asked for: by the header (RFC 9810, 5.1.1.4), or by the path (RFC 9811, 3.3)."""
    value = message.header.value(PROFILE)
    if value is not None:
        whole = der.Reader(value)
        inside = whole.enter()
        whole.done()
        profile = inside.text()
        inside.done()
        return profile
    _, found, rest = path.split("?", 1)[0].partition(_PROFILE_PATH)
    return rest.split("/", 1)[0] if found else ""
