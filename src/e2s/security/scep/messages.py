"""A SCEP message is a signature over an envelope, and says beside it what it is (RFC 8894, 3).

Read strictly: the signature is checked before anything in it is believed; who signed it, the caller judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final, TypeVar

from e2s.base.errors import Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.certificates import Certificate, read_self_made
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.ports import Signer

T = TypeVar("T")

MAX_MESSAGE_BYTES: Final = 64 * 1024
NONCE_BYTES: Final = 16
MAX_TRANSACTION: Final = 255
_MAX_TEXT: Final = 255
_LIMITS: Final = cms.Limits(max_bytes=MAX_MESSAGE_BYTES, max_certificates=8, exact=False, read=read_self_made)
_PRINTABLE: Final = 0x13
_PRINTABLE_OCTETS: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?"
)


class Kind(IntEnum):
    """What a message is (3.2.1.2)."""

    ANSWER = 3
    RENEWAL = 17
    REQUEST = 19
    POLL = 20
    CERTIFICATE = 21
    LIST = 22


class Status(Enum):
    """What became of it (3.2.1.3)."""

    SUCCESS = "0"
    FAILURE = "2"
    PENDING = "3"


class Fail(IntEnum):
    """Why it failed, in SCEP's five words (3.2.1.4)."""

    ALGORITHM = 0
    MESSAGE = 1
    REQUEST = 2
    TIME = 3
    CERTIFICATE = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Message:
    """A message whose signature was checked; ``envelope`` is empty where it carries nothing."""

    kind: Kind
    transaction: bytes
    sender_nonce: bytes
    envelope: bytes = field(repr=False)
    signer: Certificate
    certificates: tuple[Certificate, ...] = field(repr=False)
    recipient_nonce: bytes = b""
    status: Status | None = None
    fail: Fail | None = None
    text: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Heard:
    """A message as it came, its signature unchecked."""

    signed: cms.Signed = field(repr=False)
    kind: Kind
    transaction: bytes
    sender_nonce: bytes

    def checked(self) -> Message:
        """The message; raises :class:`Refusal` ``altered-content``, ``bad-signature``, ``suite-unknown``."""
        signed, other = self.signed, self.signed.other_attributes
        cms.check_signature(signed, b"" if signed.content is None else None)
        status, fail = _said(other, oids.SCEP_PKI_STATUS), _said(other, oids.SCEP_FAIL_INFO)
        try:
            return Message(
                kind=self.kind,
                transaction=self.transaction,
                sender_nonce=self.sender_nonce,
                envelope=signed.content or b"",
                signer=signed.signer_certificate,
                certificates=signed.certificates,
                recipient_nonce=_nonce(other, oids.SCEP_RECIPIENT_NONCE, needed=False),
                status=Status(status.decode("ascii")) if status else None,
                fail=Fail(int(fail)) if fail else None,
                text=_text(other),
            )
        except ValueError as error:
            raise Refusal("bad-message", "the message says a status that there is not") from error


def hear(octets: bytes) -> Heard:
    """Read a message; raises ``too-large``, ``bad-message``, ``nonce-missing`` or ``cms-...``."""
    if len(octets) > MAX_MESSAGE_BYTES:
        raise Refusal("too-large", "the message is larger than may be read", size=len(octets))
    signed = in_der(octets, lambda found: cms.read_signed(found, _LIMITS))
    other = signed.other_attributes
    if signed.content_type != oids.DATA:
        raise Refusal("bad-message", "a message carries an envelope as plain data")
    number, transaction = _said(other, oids.SCEP_MESSAGE_TYPE), _said(other, oids.SCEP_TRANSACTION)
    if not transaction:
        raise Refusal("bad-message", "the message names no transaction")
    try:
        kind = Kind(int(number))
    except ValueError as error:
        raise Refusal("bad-message", "the message is of no kind that there is") from error
    return Heard(
        signed=signed,
        kind=kind,
        transaction=transaction,
        sender_nonce=_nonce(other, oids.SCEP_SENDER_NONCE, needed=True),
    )


def in_der(octets: bytes, read: Callable[[bytes], T]) -> T:
    """What ``read`` makes of CMS, which most devices write in DER; other CMS is brought to it first."""
    try:
        return read(octets)
    except Refusal as refusal:
        if not refusal.rule.startswith("der-"):
            raise
    return read(cms.normalised(octets, max_bytes=MAX_MESSAGE_BYTES))


def read_message(octets: bytes) -> Message:
    """Read a message and check its signature; raises what :func:`hear` and :meth:`Heard.checked` do."""
    return hear(octets).checked()


def written(
    kind: Kind,
    transaction: bytes,
    signer: Signer,
    at: datetime,
    *,
    sender_nonce: bytes,
    envelope: bytes | None = None,
    recipient_nonce: bytes = b"",
    status: Status | None = None,
    fail: Fail | None = None,
    text: str = "",
) -> bytes:
    """A message, DER; without an ``envelope`` it carries nothing (3.3.2.2, 3.3.2.3)."""
    attributes = [
        attribute(oids.SCEP_MESSAGE_TYPE, der.tlv(_PRINTABLE, str(kind.value).encode("ascii"))),
        attribute(oids.SCEP_TRANSACTION, der.tlv(_PRINTABLE, transaction)),
        attribute(oids.SCEP_SENDER_NONCE, der.octet_string(sender_nonce)),
    ]
    if recipient_nonce:
        attributes.append(attribute(oids.SCEP_RECIPIENT_NONCE, der.octet_string(recipient_nonce)))
    if status is not None:
        said = der.tlv(_PRINTABLE, status.value.encode("ascii"))
        attributes.append(attribute(oids.SCEP_PKI_STATUS, said))
    if fail is not None:
        said = der.tlv(_PRINTABLE, str(fail.value).encode("ascii"))
        attributes.append(attribute(oids.SCEP_FAIL_INFO, said))
    if text:
        attributes.append(attribute(oids.SCEP_FAIL_TEXT, der.utf8(text[:_MAX_TEXT])))
    return cms.sign(
        envelope or b"", oids.DATA, signer, at, detached=envelope is None, signed_attributes=attributes
    )


def issuer_and_serial(octets: bytes) -> tuple[bytes, int]:
    """IssuerAndSerialNumber (3.3.4, 3.3.5): the issuer's name, DER, and the serial.

    Raises :class:`Refusal` ``bad-message``.
    """
    try:
        outer = der.Reader(octets)
        both = outer.enter()
        outer.done()
        issuer, serial = both.element(der.SEQUENCE), both.integer(20)
        both.done()
    except Refusal as refusal:
        raise Refusal("bad-message", "a certificate is named by its issuer and serial") from refusal
    return issuer, serial


def issuer_and_subject(octets: bytes) -> tuple[bytes, bytes]:
    """IssuerAndSubject (3.3.3): both names, DER; raises :class:`Refusal` ``bad-message``."""
    try:
        outer = der.Reader(octets)
        both = outer.enter()
        outer.done()
        issuer, subject = both.element(der.SEQUENCE), both.element(der.SEQUENCE)
        both.done()
    except Refusal as refusal:
        raise Refusal("bad-message", "who polls names issuer and subject") from refusal
    return issuer, subject


_FAILS: Final[Mapping[str, Fail]] = MappingProxyType(
    {
        "suite-unknown": Fail.ALGORITHM,
        "cms-content-encryption": Fail.ALGORITHM,
        "key-not-permitted": Fail.ALGORITHM,
        "not-rsa": Fail.ALGORITHM,
        "algorithm-substituted": Fail.ALGORITHM,
        "bad-signature": Fail.MESSAGE,
        "altered-content": Fail.MESSAGE,
        "bad-envelope": Fail.MESSAGE,
        "not-for-me": Fail.MESSAGE,
        "no-possession": Fail.MESSAGE,
        "other-signer": Fail.MESSAGE,
        "too-early": Fail.TIME,
        "expired": Fail.TIME,
        "no-such-certificate": Fail.CERTIFICATE,
        "no-such-request": Fail.CERTIFICATE,
    }
)


def fail_of(rule: str) -> Fail:
    """SCEP's word for a rule; the rule itself stands in failInfoText."""
    return _FAILS.get(rule, Fail.REQUEST)


def _said(other: Mapping[str, bytes], oid: str) -> bytes:
    """The one PrintableString of an attribute, or nothing; raises :class:`Refusal` ``bad-message``."""
    if oid not in other:
        return b""
    try:
        reader = der.Reader(other[oid])
        text = reader.content(_PRINTABLE)
        reader.done()
    except Refusal as refusal:
        raise Refusal("bad-message", "an attribute is one printable text", attribute=oid) from refusal
    if not 0 < len(text) <= MAX_TRANSACTION or not _PRINTABLE_OCTETS.issuperset(text):
        raise Refusal("bad-message", "an attribute is one printable text", attribute=oid)
    return text


def _nonce(other: Mapping[str, bytes], oid: str, *, needed: bool) -> bytes:
    """The nonce of an attribute; raises :class:`Refusal` ``nonce-missing`` or ``bad-message``."""
    if oid not in other:
        if needed:
            raise Refusal("nonce-missing", "a message has a nonce of its sender")
        return b""
    try:
        reader = der.Reader(other[oid])
        nonce = reader.content(der.OCTET_STRING)
        reader.done()
    except Refusal as refusal:
        raise Refusal("bad-message", "a nonce is octets") from refusal
    if len(nonce) != NONCE_BYTES:
        raise Refusal("bad-message", "a nonce has 16 octets", size=len(nonce))
    return nonce


def _text(other: Mapping[str, bytes]) -> str:
    """The text of a failure, for people."""
    if oids.SCEP_FAIL_TEXT not in other:
        return ""
    try:
        return der.Reader(other[oids.SCEP_FAIL_TEXT]).text()[:_MAX_TEXT]
    except Refusal as refusal:
        raise Refusal("bad-message", "why it failed is said in UTF-8") from refusal
