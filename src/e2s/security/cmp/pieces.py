"""Forms that many messages share: explicit tags, free text, information, names, statuses (RFC 9810, 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.security.cmp.vocabulary import Failure, Status

_T = TypeVar("_T")
MOST: Final = 32
_MAX_TEXT: Final = 2000
_DIRECTORY_NAME: Final = 0xA4
#: Of a BIT STRING with 27 named bits.
_MAX_FAILURE_OCTETS: Final = 5
NO_NAME: Final = der.tlv(_DIRECTORY_NAME, der.sequence())


class Information(NamedTuple):
    """InfoTypeAndValue: ``value`` is DER, or empty where there is none."""

    oid: str
    value: bytes = b""


@dataclass(frozen=True, kw_only=True)
class StatusInfo:
    """PKIStatusInfo (5.2.3)."""

    status: int
    texts: tuple[str, ...] = ()
    failures: frozenset[int] = frozenset()

    @property
    def granted(self) -> bool:
        """Whether what was asked for is given."""
        return self.status in {Status.ACCEPTED, Status.GRANTED_WITH_MODS}


def tagged(number: int, content: bytes) -> bytes:
    """``content`` under an explicit context tag; nothing where there is none."""
    return der.tlv(0xA0 | number, content) if content else b""


def within(reader: der.Reader, number: int, read: Callable[[der.Reader], _T]) -> _T | None:
    """What ``read`` finds under the explicit tag, where that comes next, and nothing behind it."""
    if reader.peek() != 0xA0 | number:
        return None
    inside = reader.enter(0xA0 | number)
    found = read(inside)
    inside.done()
    return found


def any_value(reader: der.Reader) -> bytes:
    """Any one element, proven to be DER."""
    found = reader.element()
    der.check(found)
    return found


def directory_name(name: bytes) -> bytes:
    """A GeneralName of a distinguished name, DER."""
    return der.tlv(_DIRECTORY_NAME, name)


def name_within(general: bytes) -> bytes:
    """The distinguished name of a GeneralName; empty for any other form."""
    return der.Reader(general).content(_DIRECTORY_NAME) if general[:1] == b"\xa4" else b""


def free_text(texts: Sequence[str]) -> bytes:
    """A PKIFreeText; nothing without texts."""
    return der.sequence(*map(der.utf8, texts)) if texts else b""


def read_free_text(reader: der.Reader) -> tuple[str, ...]:
    """The texts of a PKIFreeText."""
    inside = reader.enter()
    texts: list[str] = []
    while inside.pos != inside.end:
        text = inside.text()
        if len(text) > _MAX_TEXT or len(texts) == MOST:
            raise Refusal("cmp-text", "the message says more than is read")
        texts.append(text)
    if not texts:
        raise Refusal("cmp-text", "a list of texts has one at least")
    return tuple(texts)


def information(items: Sequence[Information]) -> bytes:
    """A SEQUENCE OF InfoTypeAndValue; nothing without items."""
    return der.sequence(*(der.sequence(der.oid(one.oid), one.value) for one in items)) if items else b""


def read_information(reader: der.Reader) -> tuple[Information, ...]:
    """The pieces of a SEQUENCE OF InfoTypeAndValue, of which there may be none."""
    found = []
    for one in reader.enter().elements(der.SEQUENCE, MOST):
        piece = der.Reader(one).enter()
        oid = piece.oid()
        found.append(Information(oid, any_value(piece) if piece.pos != piece.end else b""))
        piece.done()
    return tuple(found)


def status_info(status: StatusInfo) -> bytes:
    """A PKIStatusInfo, DER."""
    bits = 0
    for failure in status.failures:
        bits |= 1 << failure
    return der.sequence(der.integer(status.status), free_text(status.texts), _named_bits(bits))


def read_status_info(reader: der.Reader) -> StatusInfo:
    """A PKIStatusInfo."""
    inside = reader.enter()
    status = inside.integer()
    texts = read_free_text(inside) if inside.peek() == der.SEQUENCE else ()
    bits = _read_named_bits(inside.content(der.BIT_STRING)) if inside.peek() == der.BIT_STRING else 0
    inside.done()
    if not 0 <= status <= max(Status) + 1:
        raise Refusal("cmp-status", "the status is unknown", status=status)
    failures = frozenset(n for n in range(8 * _MAX_FAILURE_OCTETS) if bits >> n & 1)
    return StatusInfo(status=status, texts=texts, failures=failures)


def refusal_status(refusal_rule: str, message: str, failure: Failure) -> StatusInfo:
    """What a refusal says as a status: its rule stands first in the text."""
    text = f"{refusal_rule}: {message}"[:_MAX_TEXT]
    return StatusInfo(status=Status.REJECTION, texts=(text,), failures=frozenset({failure}))


def _named_bits(bits: int) -> bytes:
    """A BIT STRING of named bits without zeros at its end (X.690, 11.2.2); nothing where none is set."""
    if not bits:
        return b""
    size = bits.bit_length()
    octets = bytearray((size + 7) // 8)
    for n in range(size):
        if bits >> n & 1:
            octets[n // 8] |= 0x80 >> n % 8
    return der.tlv(der.BIT_STRING, bytes((-size % 8,)) + bytes(octets))


def _read_named_bits(content: bytes) -> int:
    if not 2 <= len(content) <= 1 + _MAX_FAILURE_OCTETS or content[0] > 7:
        raise Refusal("cmp-status", "the failures are no bits that can be read")
    bits = sum(1 << n for n in range(8 * (len(content) - 1)) if content[1 + n // 8] & 0x80 >> n % 8)
    if _named_bits(bits) != der.tlv(der.BIT_STRING, content):
        raise Refusal("cmp-status", "the failures are not in their shortest form")
    return bits
