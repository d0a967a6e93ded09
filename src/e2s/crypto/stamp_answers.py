"""A TimeStampResp grants a token, or says why not in a name and in words (RFC 3161, 2.4.2)."""

from __future__ import annotations

from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.stamp_requests import whole

_GRANTED: Final = frozenset((0, 1))
_REJECTION: Final = 2
_MAX_TEXTS: Final = 8
_MAX_SHOWN: Final = 200
#: PKIFailureInfo by the number of its bit.
_NAMES: Final = {
    0: "badAlg",
    2: "badRequest",
    5: "badDataFormat",
    14: "timeNotAvailable",
    15: "unacceptedPolicy",
    16: "unacceptedExtension",
    17: "addInfoNotAvailable",
    25: "systemFailure",
}
#: Which failure an authority's refusal is; of any other rule, the request was in a wrong format.
FAILURES: Final = {
    "stamp-algorithm": "badAlg",
    "bad-stamp-request": "badRequest",
    "stamp-no-time": "timeNotAvailable",
    "stamp-policy": "unacceptedPolicy",
    "stamp-extension": "unacceptedExtension",
    "stamp-system": "systemFailure",
}
_BITS: Final = {name: bit for bit, name in _NAMES.items()}
_STATUSES: Final = ("granted", "grantedWithMods", "rejection", "waiting", "revocationWarning", "revoked")


def granted(token: bytes) -> bytes:
    """The TimeStampResp that grants ``token``."""
    return der.sequence(der.sequence(der.integer(0)), token)


def reject(text: str, rule: str = "bad-stamp-request") -> bytes:
    """A TimeStampResp that grants nothing and says why, in words and as the failure of ``rule``."""
    bit = _BITS[FAILURES.get(rule, "badDataFormat")]
    # a named bit string has no trailing zero bits (X.690, 11.2.2)
    bits = bytes([7 - bit % 8]) + bytes(bit // 8) + bytes([0x80 >> bit % 8])
    failure = der.tlv(der.BIT_STRING, bits)
    return der.sequence(der.sequence(der.integer(_REJECTION), der.sequence(der.utf8(text)), failure))


def read_response(octets: bytes) -> bytes:
    """The token of a TimeStampResp.

    Raises :class:`Refusal` ``stamp-not-granted`` with the authority's ``status``, ``failure`` and ``text``
    as facts, or ``der-...``.
    """
    reader = whole(octets)
    status = reader.enter()
    number = status.integer()
    text = _text(status)
    failure = status.content(der.BIT_STRING) if status.peek() == der.BIT_STRING else b""
    status.done()
    if number not in _GRANTED or reader.pos == reader.end:
        said = _STATUSES[number] if 0 <= number < len(_STATUSES) else "unknown"
        raise Refusal(
            "stamp-not-granted",
            "the authority gave no time stamp",
            status=said,
            failure=_failures(failure),
            text=text,
        )
    token = reader.element(der.SEQUENCE)
    reader.done()
    return token


def _text(status: der.Reader) -> str:
    """PKIFreeText, on one line and short enough to show."""
    if status.peek() != der.SEQUENCE:
        return ""
    texts = status.enter()
    parts: list[str] = []
    while texts.pos != texts.end and len(parts) < _MAX_TEXTS:
        parts.append(texts.text())
    texts.done()
    shown = " ".join(parts)[:_MAX_SHOWN]
    return "".join(one if one.isprintable() else "?" for one in shown)


def _failures(bits: bytes) -> str:
    """The names of the bits that are set."""
    octets = bits[1:5]
    found = [n for n in range(8 * len(octets)) if octets[n // 8] & 0x80 >> n % 8]
    return " ".join(_NAMES.get(n, f"bit-{n}") for n in found)
