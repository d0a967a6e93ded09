"""A time-stamp token is a SignedData over TSTInfo (RFC 3161, 2.4.2; RFC 5816): given, read, and proven."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import Limits, Signed, check_signature, read_signed
from e2s.crypto.cms.signing import sign
from e2s.crypto.ports import Signer
from e2s.crypto.stamp_requests import (
    MAX_BYTES,
    MAX_NONCE_OCTETS,
    MAX_SERIAL_OCTETS,
    Query,
    read_imprint,
    whole,
)

_LIMITS: Final = Limits(max_bytes=MAX_BYTES, exact=False)
ONE_SECOND: Final = timedelta(seconds=1)
_MAX_EXTENSIONS: Final = 16
_DIRECTORY_NAME: Final = 0xA4
#: A GeneralizedTime with a fraction that does not end in zeros (2.4.2), of which six digits are kept.
_FRACTION: Final = re.compile(rb"(\d{14})\.(\d{0,31}[1-9])Z", re.ASCII)


@dataclass(frozen=True, eq=False, kw_only=True)
class Stamp:
    """A time-stamp token as read; :func:`check_token` proves its signature."""

    at: datetime
    imprint: bytes
    serial: int
    nonce: int | None
    policy: str
    signed: Signed = field(repr=False)
    digest: str = "sha256"
    accuracy: timedelta | None = None
    ordering: bool = False


def grant(
    query: Query,
    signer: Signer,
    *,
    serial: int,
    at: datetime,
    policy: str,
    accuracy: timedelta = ONE_SECOND,
    ordering: bool = False,
    named: bool = False,
) -> bytes:
    """The token for ``query`` at ``at`` under ``policy``; with certificates only if they were asked for.

    The time has fractions with ``ordering``, and where ``accuracy`` is less than a second; with ``named`` the
    token names the authority.
    """
    precise = ordering or accuracy < ONE_SECOND
    info = der.sequence(
        der.integer(1),
        der.oid(policy),
        query.message_imprint,
        der.integer(serial),
        _time(at) if precise else der.generalized_time(at),
        _accuracy(accuracy),
        der.tlv(der.BOOLEAN, b"\xff") if ordering else b"",
        der.integer(query.nonce) if query.nonce is not None else b"",
        der.tlv(0xA0, der.tlv(_DIRECTORY_NAME, signer.certificate.slices.subject)) if named else b"",
    )
    token = sign(info, oids.TST_INFO, signer, at)
    return token if query.wants_certificate else with_certificates(token, ())


def read_token(token: bytes, *, foreign: bool = False, certificates: Sequence[Certificate] = ()) -> Stamp:
    """Read a token strictly; its signature is not checked here.  Raises ``bad-stamp``, ``cms-...``.

    ``certificates`` stand in for those that the token does not carry.  A ``foreign`` authority's may be over
    another digest than SHA-256, date by fractions of a second, and have extensions that are not critical.
    """
    if certificates:
        token = with_certificates(token, certificates, absent=True)
    signed = read_signed(token, _LIMITS)
    if signed.content_type != oids.TST_INFO:
        raise Refusal("bad-stamp", "the signed content is no time stamp", found=signed.content_type)
    if signed.said.certificate_digest is None:
        raise Refusal("bad-stamp", "the authority's certificate is not named by what it signed")
    reader = whole(signed.octets)
    if reader.integer() != 1:
        raise Refusal("bad-stamp", "the time stamp's version is unknown here")
    policy = reader.oid()
    digest, imprint = read_imprint(reader, "bad-stamp", "bad-stamp")
    if digest != "sha256" and not foreign:
        raise Refusal("bad-stamp", "the imprint is not a SHA-256 digest")
    serial = reader.integer(MAX_SERIAL_OCTETS)
    at = _read_time(reader, fractions=foreign)
    accuracy = _read_accuracy(reader) if reader.peek() == der.SEQUENCE else None
    ordering = reader.peek() == der.BOOLEAN
    if ordering and not reader.boolean():
        raise Refusal("bad-stamp", "a default is not written in DER")
    nonce = reader.integer(MAX_NONCE_OCTETS) if reader.peek() == der.INTEGER else None
    if reader.peek() == 0xA0:
        _check_name(reader.content(0xA0), signed.signer_certificate)
    if reader.peek() == 0xA1 and foreign:
        _check_extensions(reader.enter(0xA1))
    if reader.pos != reader.end:
        raise Refusal("bad-stamp", "extensions are not accepted")
    return Stamp(
        at=at,
        imprint=imprint,
        serial=serial,
        nonce=nonce,
        policy=policy,
        signed=signed,
        digest=digest,
        accuracy=accuracy,
        ordering=ordering,
    )


def check_token(
    token: bytes,
    imprint: bytes,
    nonce: int | None = None,
    *,
    digest: str = "sha256",
    foreign: bool = False,
    certificates: Sequence[Certificate] = (),
) -> Stamp:
    """The stamp in a token over ``imprint`` by ``digest``, its signature proven.

    Raises :class:`Refusal` ``wrong-imprint``, ``wrong-nonce`` (where ``nonce`` is given), what
    :func:`read_token` and :func:`~e2s.crypto.cms.check_signature` raise.
    """
    stamp = read_token(token, foreign=foreign, certificates=certificates)
    if stamp.digest != digest or not hmac.compare_digest(stamp.imprint, imprint):
        raise Refusal("wrong-imprint", "the time stamp is over something else")
    if nonce is not None and stamp.nonce != nonce:
        raise Refusal("wrong-nonce", "the time stamp answers another request")
    check_signature(stamp.signed)
    return stamp


def with_certificates(token: bytes, certificates: Sequence[Certificate], *, absent: bool = False) -> bytes:
    """``token`` with these certificates in place of its own: none is signed (RFC 5652, 5.1).

    With ``absent`` those that a token carries stay.
    """
    info = whole(token)
    kind, data = info.element(der.OID), info.enter(0xA0).enter()
    head = [data.element(der.INTEGER), data.element(der.SET), data.element(der.SEQUENCE)]
    own = data.element(0xA0) if data.peek() == 0xA0 else b""
    rest = []
    while data.pos != data.end:
        rest.append(data.element())
    if not (absent and own):
        own = der.set_of({one.der for one in certificates}, 0xA0) if certificates else b""
    inside = der.sequence(*head, own, *rest)
    return der.sequence(kind, der.tlv(0xA0, inside))


def _accuracy(accuracy: timedelta) -> bytes:
    """Accuracy in seconds, millis and micros, each only where it is not nothing (2.4.2)."""
    seconds, micros = divmod(accuracy // timedelta(microseconds=1), 1_000_000)
    millis, micros = divmod(micros, 1000)
    return der.sequence(
        der.integer(seconds) if seconds else b"",
        der.tlv(0x80, der.integer(millis)[2:]) if millis else b"",
        der.tlv(0x81, der.integer(micros)[2:]) if micros else b"",
    )


def _read_accuracy(reader: der.Reader) -> timedelta:
    inside = reader.enter()
    seconds = inside.integer() if inside.peek() == der.INTEGER else 0
    parts = [0, 0]
    for place, tag in enumerate((0x80, 0x81)):
        if inside.peek() == tag:
            parts[place] = der.Reader(der.tlv(der.INTEGER, inside.content(tag))).integer()
    inside.done()
    if not 0 <= seconds < 2**31 or not all(0 <= part < 1000 for part in parts):
        raise Refusal("bad-stamp", "the accuracy is out of its bounds")
    return timedelta(seconds=seconds, milliseconds=parts[0], microseconds=parts[1])


def _time(at: datetime) -> bytes:
    """GenTime to the microsecond, the fraction without zeros at its end."""
    at = at.astimezone(UTC)
    fraction = f".{at.microsecond:06d}".rstrip("0").rstrip(".")
    return der.tlv(der.GENERALIZED_TIME, f"{at.year:04d}{at:%m%d%H%M%S}{fraction}Z".encode())


def _read_time(reader: der.Reader, *, fractions: bool) -> datetime:
    if fractions:
        ahead = der.Reader(reader.data, reader.pos, reader.end)
        match = _FRACTION.fullmatch(ahead.content(der.GENERALIZED_TIME))
        if match:
            reader.element()
            plain = der.tlv(der.GENERALIZED_TIME, match[1] + b"Z")
            micros = int(match[2][:6].ljust(6, b"0"))
            return der.Reader(plain).generalized_time() + timedelta(microseconds=micros)
    return reader.generalized_time()


def _check_name(name: bytes, certificate: Certificate) -> None:
    """The name is a hint, and one of the certificate's (2.4.2): a subject is compared, another form read."""
    der.check(name)
    if name[:1] == b"\xa4" and der.Reader(name).content(_DIRECTORY_NAME) != certificate.slices.subject:
        raise Refusal("bad-stamp", "the authority gives another name than its certificate's")


def _check_extensions(extensions: der.Reader) -> None:
    """None is critical: none is known here (2.4.2)."""
    for one in extensions.elements(der.SEQUENCE, _MAX_EXTENSIONS):
        reader = der.Reader(one).enter()
        reader.oid()
        if reader.peek() == der.BOOLEAN and reader.boolean():
            raise Refusal("bad-stamp", "a critical extension is unknown here")
