"""What is answered: a certificate, a status, when to ask again, an error (RFC 9810, 5.3; RFC 9483, 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.cmp.pieces import (
    MOST,
    StatusInfo,
    any_value,
    free_text,
    read_free_text,
    read_status_info,
    status_info,
    tagged,
    within,
)

_CA_PUBS, _CERTIFICATE = 1, 0
_HASH_ALGORITHM = 0
NULL: Final = der.tlv(der.NULL, b"")
#: A day: who is asked to wait longer asks before.
MAX_WAIT_SECONDS: Final = 86_400
_MAX_HASH: Final = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class Certified:
    """CertRepMessage with its one CertResponse; ``certificate`` is DER, and empty where there is none."""

    request: int
    status: StatusInfo
    certificate: bytes = b""
    anchors: tuple[Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        """CertRepMessage, DER."""
        pair = der.sequence(tagged(_CERTIFICATE, self.certificate)) if self.certificate else b""
        response = der.sequence(der.integer(self.request), status_info(self.status), pair)
        return der.sequence(
            tagged(_CA_PUBS, der.sequence(*(one.der for one in self.anchors)) if self.anchors else b""),
            der.sequence(response),
        )


def read_certified(content: bytes) -> Certified:
    """CertRepMessage; raises :class:`Refusal` ``cmp-answer``, ``bad-certificate`` or ``der-...``."""
    inside = _whole(content)
    anchors = within(inside, _CA_PUBS, lambda reader: reader.enter().elements(der.SEQUENCE, MOST)) or []
    response = _one(inside)
    inside.done()
    number, status = response.integer(), read_status_info(response)
    certificate = b""
    if response.peek() == der.SEQUENCE:
        pair = response.enter()
        certificate = within(pair, _CERTIFICATE, lambda reader: reader.element(der.SEQUENCE)) or b""
        pair.done()
    response.done()
    if status.granted != bool(certificate):
        raise Refusal("cmp-answer", "a certificate is given where it is granted, and only there")
    return Certified(
        request=number,
        status=status,
        certificate=certificate,
        anchors=tuple(Certificate.read(one) for one in anchors),
    )


class Confirmation(NamedTuple):
    """CertStatus: whether the holder takes the certificate of this digest (5.3.18)."""

    digest: bytes
    request: int
    status: StatusInfo | None = None
    algorithm: bytes = b""


def confirmation(one: Confirmation) -> bytes:
    """CertConfirmContent, DER."""
    return der.sequence(
        der.sequence(
            der.octet_string(one.digest),
            der.integer(one.request),
            status_info(one.status) if one.status else b"",
            tagged(_HASH_ALGORITHM, one.algorithm),
        )
    )


def read_confirmation(content: bytes) -> Confirmation:
    """CertConfirmContent with its one CertStatus; an empty one rejects all that was sent (5.3.18)."""
    inside = _one_of(content)
    digest = inside.content(der.OCTET_STRING)
    number = inside.integer()
    status = read_status_info(inside) if inside.peek() == der.SEQUENCE else None
    algorithm = within(inside, _HASH_ALGORITHM, any_value) or b""
    inside.done()
    if len(digest) > _MAX_HASH:
        raise Refusal("cmp-answer", "the certificate's digest is larger than may be read")
    return Confirmation(digest, number, status, algorithm)


def poll_request(number: int) -> bytes:
    """PollReqContent, DER (5.3.22)."""
    return der.sequence(der.sequence(der.integer(number)))


def read_poll_request(content: bytes) -> int:
    """The number of the one request."""
    inside = _one_of(content)
    number = inside.integer()
    inside.done()
    return number


class Wait(NamedTuple):
    """PollRep: when to ask again."""

    request: int
    seconds: int
    texts: tuple[str, ...] = ()


def poll_answer(wait: Wait) -> bytes:
    """PollRepContent, DER."""
    return der.sequence(
        der.sequence(der.integer(wait.request), der.integer(wait.seconds), free_text(wait.texts))
    )


def read_poll_answer(content: bytes) -> Wait:
    """When to ask again; raises :class:`Refusal` ``cmp-answer`` or ``der-...``."""
    inside = _one_of(content)
    number, seconds = inside.integer(), inside.integer()
    texts = read_free_text(inside) if inside.peek() == der.SEQUENCE else ()
    inside.done()
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise Refusal("cmp-answer", "to be asked to wait so long is no answer", seconds=seconds)
    return Wait(number, seconds, texts)


def revocation_answer(statuses: Sequence[StatusInfo]) -> bytes:
    """RevRepContent, DER (5.3.10)."""
    return der.sequence(der.sequence(*map(status_info, statuses)))


def read_revocation_answer(content: bytes) -> StatusInfo:
    """The one status of RevRepContent; what it says besides is not needed."""
    inside = _whole(content)
    statuses = inside.enter()
    status = read_status_info(statuses)
    statuses.done()
    while inside.pos != inside.end:
        any_value(inside)
    return status


class Error(NamedTuple):
    """ErrorMsgContent (5.3.21)."""

    status: StatusInfo
    code: int | None = None
    details: tuple[str, ...] = ()


def error(one: Error) -> bytes:
    """ErrorMsgContent, DER."""
    code = b"" if one.code is None else der.integer(one.code)
    return der.sequence(status_info(one.status), code, free_text(one.details))


def read_error(content: bytes) -> Error:
    """ErrorMsgContent; raises :class:`Refusal` ``der-...`` or ``cmp-...``."""
    inside = _whole(content)
    status = read_status_info(inside)
    code = inside.integer() if inside.peek() == der.INTEGER else None
    details = read_free_text(inside) if inside.peek() == der.SEQUENCE else ()
    inside.done()
    return Error(status, code, details)


def _whole(content: bytes) -> der.Reader:
    outer = der.Reader(content)
    inside = outer.enter()
    outer.done()
    return inside


def _one(reader: der.Reader) -> der.Reader:
    """The one member of the SEQUENCE OF that comes next."""
    found = reader.enter().elements(der.SEQUENCE, MOST)
    if len(found) != 1:
        raise Refusal("cmp-one-request", "a message speaks of one request", found=len(found))
    return der.Reader(found[0]).enter()


def _one_of(content: bytes) -> der.Reader:
    outer = der.Reader(content)
    inside = _one(outer)
    outer.done()
    return inside
