"""The client's side of CMP: ask, wait, look at what came, confirm (RFC 9483, 4).

It takes nothing that is not protected by the secret, or signed by whom the caller trusts, and nothing that
answers another message than its own.  A certificate that is not for its key is rejected, not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Exchange, Request, expect
from e2s.base.instants import Clock
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey
from e2s.security.cmp.answers import (
    NULL,
    Certified,
    Confirmation,
    confirmation,
    poll_request,
    read_certified,
    read_error,
    read_poll_answer,
    read_revocation_answer,
)
from e2s.security.cmp.confirming import ALGORITHM, certificate_digest, fixed
from e2s.security.cmp.enrolled import Enrolled, Waiting
from e2s.security.cmp.header import NONCE_SIZE, TRANSACTION_SIZE, VERSIONS, Header
from e2s.security.cmp.lapsing import TOLERANCE
from e2s.security.cmp.message import Message, Part, read_message
from e2s.security.cmp.pieces import (
    Information,
    StatusInfo,
    directory_name,
    information,
    read_information,
)
from e2s.security.cmp.protection import (
    Protector,
    Shared,
    Signed,
    check_shared,
    check_signed,
    protected_message,
    way_protected,
)
from e2s.security.cmp.requests import (
    NO_REQUEST,
    REQUEST,
    Ending,
    Named,
    write_ending,
    write_request,
)
from e2s.security.cmp.vocabulary import (
    ANSWERS,
    CA_CERTIFICATES,
    IMPLICIT_CONFIRM,
    MEDIA_TYPE,
    PROFILE,
    Body,
    Failure,
    Status,
)
from e2s.security.verification.revoked import REASONS

#: Refuses a certificate whose signature on an answer is not to be believed; given those beside it too.
Judge: TypeAlias = Callable[[Certificate, Sequence[Certificate]], None]

PATH: Final = "/.well-known/cmp"
_MOST_CERTIFICATES: Final = 32
_CODES: Final = {name: code for code, name in REASONS.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class CmpClient:
    """Speaks to one CMP server at ``origin`` and ``path``; what it sends is protected by ``protector``.

    ``judge`` decides about signed answers; without one only answers under the shared secret are taken.
    ``recipient`` is the CA's distinguished name, DER, where it is known.  ``implicit``: the server need not
    wait for a confirmation.
    """

    exchange: Exchange
    origin: str
    protector: Protector
    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    judge: Judge | None = None
    path: str = PATH
    recipient: bytes = b"0\0"
    profile: str = ""
    implicit: bool = True

    def initial(
        self,
        key: PrivateKey,
        *,
        subject: bytes,
        names: tuple[str, ...] = (),
        not_after: datetime | None = None,
    ) -> Enrolled | Waiting:
        """A first certificate for ``key`` (ir); raises :class:`Refusal` of the server's rule."""
        content = write_request(key, subject=subject, names=names, not_after=not_after)
        return self._enrol(Body.IR, content, _spki(key))

    def further(
        self,
        key: PrivateKey,
        *,
        subject: bytes,
        names: tuple[str, ...] = (),
        not_after: datetime | None = None,
    ) -> Enrolled | Waiting:
        """A further certificate (cr)."""
        content = write_request(key, subject=subject, names=names, not_after=not_after)
        return self._enrol(Body.CR, content, _spki(key))

    def by_pkcs10(self, request: bytes, spki: bytes) -> Enrolled | Waiting:
        """A certificate for a PKCS #10 request, DER, of the key ``spki`` (p10cr)."""
        return self._enrol(Body.P10CR, request, spki)

    def renew(self, key: PrivateKey, *, names: tuple[str, ...] = ()) -> Enrolled | Waiting:
        """The certificate that the messages are signed under, for ``key`` (kur).

        Raises :class:`Refusal` ``cmp-renewal`` where they are not signed.
        """
        if not isinstance(self.protector, Signed):
            raise Refusal("cmp-renewal", "a renewal is signed under the certificate that it replaces")
        held = self.protector.signer.certificate
        content = write_request(
            key, subject=held.slices.subject, names=names, old=Named(held.slices.issuer, held.serial)
        )
        return self._enrol(Body.KUR, content, _spki(key))

    def ask_again(self, waiting: Waiting) -> Enrolled | Waiting:
        """What became of a request that waits (pollReq)."""
        number = NO_REQUEST if waiting.kind is Body.P10CR else REQUEST
        answer = self._send(
            Body.POLL_REQ,
            poll_request(number),
            transaction=waiting.transaction,
            answered=waiting.nonce,
            expected=(ANSWERS[waiting.kind], Body.POLL_REP),
        )
        return self._came(waiting.kind, waiting.spki, answer)

    def revoke(self, certificate: Certificate, reason: str = "unspecified") -> None:
        """End a certificate (rr); raises :class:`Refusal` of the server's rule."""
        named = Named(certificate.slices.issuer, certificate.serial)
        content = write_ending(Ending(named, _CODES[reason]))
        answer = self._send(Body.RR, content, expected=(Body.RP,))
        _or_refuse(read_revocation_answer(answer.body.content))

    def ca_certificates(self) -> tuple[Certificate, ...]:
        """The CA's certificate and those above it (genm)."""
        asked = information((Information(CA_CERTIFICATES),))
        answer = self._send(Body.GENM, asked, expected=(Body.GENP,))
        for one in read_information(der.Reader(answer.body.content)):
            if one.oid == CA_CERTIFICATES and one.value:
                found = der.Reader(one.value).enter().elements(der.SEQUENCE, _MOST_CERTIFICATES)
                return tuple(map(Certificate.read, found))
        return ()

    def _enrol(self, kind: Body, content: bytes, spki: bytes) -> Enrolled | Waiting:
        return self._came(kind, spki, self._send(kind, content, expected=(ANSWERS[kind],)))

    def _came(self, kind: Body, spki: bytes, answer: Message) -> Enrolled | Waiting:
        """The certificate, confirmed where the server waits for that; or when to ask again."""
        header = answer.header
        if answer.body.kind is Body.POLL_REP:
            return self._waiting(kind, spki, answer, read_poll_answer(answer.body.content).seconds)
        came = read_certified(answer.body.content)
        if came.status.status == Status.WAITING:
            return self._waiting(kind, spki, answer, 0)
        _or_refuse(came.status)
        certificate = Certificate.read(came.certificate)
        good = certificate.spki == spki
        if not (self.implicit and header.value(IMPLICIT_CONFIRM) is not None):
            self._confirm(answer, came, accepted=good)
        if not good:
            raise Refusal("cmp-answer", "the certificate that came is for another key")
        shared = isinstance(self.protector, Shared)
        return Enrolled(
            certificate=certificate,
            certificates=answer.certificates,
            anchors=came.anchors if shared else (),
        )

    def _waiting(self, kind: Body, spki: bytes, answer: Message, seconds: int) -> Waiting:
        header = answer.header
        return Waiting(
            transaction=header.transaction, kind=kind, spki=spki, nonce=header.nonce, seconds=seconds
        )

    def _confirm(self, answer: Message, came: Certified, *, accepted: bool) -> None:
        """Take the certificate, or reject it (5.3.18)."""
        algorithm = b"" if fixed(came.certificate) else ALGORITHM
        rejected = StatusInfo(status=Status.REJECTION, failures=frozenset({Failure.INCORRECT_DATA}))
        said = Confirmation(
            certificate_digest(came.certificate, algorithm),
            came.request,
            None if accepted else rejected,
            algorithm,
        )
        header = answer.header
        self._send(
            Body.CERT_CONF,
            confirmation(said),
            transaction=header.transaction,
            answered=header.nonce,
            expected=(Body.PKICONF,),
            version=VERSIONS[-1] if algorithm else VERSIONS[0],
        )

    def _send(
        self,
        kind: Body,
        content: bytes,
        *,
        expected: Sequence[Body],
        transaction: bytes = b"",
        answered: bytes = b"",
        version: int = VERSIONS[0],
    ) -> Message:
        """One message, and its answer once it is proven; raises :class:`Refusal` or :class:`Unreachable`."""
        wishes = []
        if kind in ANSWERS and self.implicit:
            wishes.append(Information(IMPLICIT_CONFIRM, NULL))
        if kind in ANSWERS and self.profile:
            wishes.append(Information(PROFILE, der.sequence(der.utf8(self.profile))))
        header = Header(
            version=VERSIONS[-1] if self.profile else version,
            recipient=directory_name(self.recipient),
            time=self.clock.now(),
            transaction=transaction or self.random(TRANSACTION_SIZE),
            nonce=self.random(NONCE_SIZE),
            answered=answered,
            information=tuple(wishes),
        )
        octets = protected_message(header, Part(kind, content), self.protector)
        asked = Request("POST", self.path, octets, {"content-type": MEDIA_TYPE})
        answer = read_message(expect(self.exchange.send(self.origin, asked), what="CMP"))
        self._check(header, answer)
        if answer.body.kind is Body.ERROR:
            _or_refuse(read_error(answer.body.content).status)
        if answer.body.kind not in expected:
            raise Refusal("cmp-answer", "another kind of answer came", kind=answer.body.kind.name.lower())
        return answer

    def _check(self, asked: Header, answer: Message) -> None:
        """The answer is to this message, of now, and by whom it should be.

        What is not protected is no refusal either: it tells nothing.  Raises :class:`Unreachable`
        ``cmp-unprotected`` then, for the sender may repeat.
        """
        header = answer.header
        if not answer.protection and answer.body.kind is Body.ERROR:
            said = " ".join(read_error(answer.body.content).status.texts)[:200]
            raise Unreachable("cmp-unprotected", f"somebody says, unprotected: {said}")
        if header.transaction != asked.transaction or header.answered != asked.nonce:
            raise Refusal("cmp-nonce", "the answer is to another message")
        now = self.clock.now()
        if header.time is None or not now - TOLERANCE <= header.time <= now + TOLERANCE:
            raise Refusal("cmp-time", "the answer is not of now")
        if way_protected(answer) is None:
            certificate = check_signed(answer)
            if self.judge is None:
                raise Refusal("cmp-protection", "a signed answer was not expected")
            self.judge(certificate, answer.certificates)
        elif isinstance(self.protector, Shared):
            check_shared(answer, self.protector.secret)
        else:
            raise Refusal("cmp-protection", "no secret is shared with who answers")


def _spki(key: PrivateKey) -> bytes:
    return spki_of(key.public_key())


def _or_refuse(status: StatusInfo) -> None:
    """Raise the :class:`Refusal` that a status is, by the rule that its text begins with."""
    if status.granted or status.status == Status.WAITING:
        return
    text = " ".join(status.texts)[:500]
    rule, found, sentence = text.partition(": ")
    if not found or not rule.replace("-", "").isalnum() or not rule.islower():
        rule, sentence = "peer-refused", text
    failures = ",".join(str(one) for one in sorted(status.failures))
    raise Refusal(rule, sentence or "the server refused", failures=failures or None)
