"""The envelope that E2S writes to one recipient is read by comparing: all but its holes is known beforehand.

Whatever differs in any octet is left to the reader of :mod:`e2s.crypto.cms.unwrapping`, which says why.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.sealing import TAG_SIZE, constants
from e2s.crypto.cms.unwrapping import ORIGINATORS, Agreed, Encapsulated, Recipient, Transported
from e2s.crypto.cms.wrapping import CIPHERTEXT_SIZES, WRAPPED_SIZE, agreement_info, target_of
from e2s.crypto.suites import WRAP_ALGORITHM, SealingSuite, sealing_suite_of

_KIND = der.oid(oids.AUTH_ENVELOPED_DATA)
_VERSION = der.integer(0)
_HEAD = Struct(f">HH{len(_KIND)}sHHHH{len(_VERSION)}s")
#: Where the RecipientInfos begin when every length around them takes two octets.
_START: Final = _HEAD.size
_SIZES: Final = range(0x100 + _START, 0x10000)


class Usual(NamedTuple):
    """What stands in the holes of an envelope; ``start`` and ``stop`` are the ciphertext's."""

    recipient: Recipient
    content_type: str
    nonce: bytes
    start: int
    stop: int
    tag: bytes


class _Form:
    """The RecipientInfos to one certificate: two holes (or one) in constant octets."""

    __slots__ = ("_between", "_holes", "_last", "_originator", "_suite", "first", "size")

    def __init__(self, certificate: Certificate, suite: SealingSuite) -> None:
        one, two, whole = _marked(certificate, suite)
        infos = der.tlv(der.SET, whole)
        self._suite = suite
        kind = suite.curve.name if suite.curve else suite.kind
        self._originator = ORIGINATORS[kind].algorithm if kind in ORIGINATORS else b""
        self.size = len(infos)
        begin = infos.index(one)
        end = begin + len(one)
        second = infos.index(two) if two else len(infos)
        #: The octets before the first hole.
        self.first = infos[:begin]
        self._between = infos[end:second]
        self._last = infos[second + len(two) :]
        self._holes = (_START + begin, _START + end, _START + second, _START + second + len(two))

    def read(self, octets: bytes) -> Recipient | None:
        """The recipient, or None when it is another, or in another form."""
        begin, end, second, rest = self._holes
        if (
            not octets.startswith(self.first, _START)
            or not octets.startswith(self._between, end)
            or not octets.startswith(self._last, rest)
        ):
            return None
        suite, one, two = self._suite, octets[begin:end], octets[second:rest]
        if suite.derivation is None:
            return Transported(suite.algorithm, one)
        if suite.kdf_algorithm:
            size = suite.derivation.size
            return Encapsulated(suite.algorithm, one, suite.kdf_algorithm, size, b"", WRAP_ALGORITHM, two)
        return Agreed(suite.algorithm, two, (self._originator, b"\0" + one), b"")


def _marked(certificate: Certificate, suite: SealingSuite) -> tuple[bytes, bytes, bytes]:
    """The marks of both holes, and the RecipientInfo with them inside."""
    target, two = target_of(certificate, suite), b"\xa6" * WRAPPED_SIZE
    if suite.derivation is None:
        one = b"\xa5" * ((target.public_key.key_size + 7) // 8)
        return one, b"", target.before + one
    if suite.kdf_algorithm:
        one = b"\xa5" * CIPHERTEXT_SIZES[suite.kind]
        return one, two, target.before + one + target.after + two
    size = ORIGINATORS[suite.curve.name if suite.curve else suite.kind].size - 1
    one = b"\xa5" * size
    return one, two, agreement_info(suite, one, target.before + two)


@lru_cache(maxsize=1024)
def _form(certificate: Certificate) -> _Form | None:
    """The form of what is sealed to ``certificate`` alone, if anything is."""
    try:
        return _Form(certificate, sealing_suite_of(certificate.public_key))
    except Refusal:
        return None


def read_usual(octets: bytes, certificate: Certificate) -> Usual | None:
    """What an envelope to ``certificate`` alone says, or None when it is another or in another form."""
    size = len(octets)
    form = _form(certificate)
    if form is None or size not in _SIZES:
        return None
    inside = size - 8 - len(_KIND)
    if _HEAD.unpack_from(octets) != (0x3082, size - 4, _KIND, 0xA082, inside, 0x3082, inside - 4, _VERSION):
        return None
    recipient = form.read(octets)
    return None if recipient is None else _content(octets, _START + form.size, recipient)


def _content(octets: bytes, at: int, recipient: Recipient) -> Usual | None:
    """The holes of what follows the RecipientInfos, which end at ``at``."""
    size = len(octets)
    # a SEQUENCE of two octets of length, then the content type
    kind = at + 4
    if size < kind + 2 or octets[kind] != der.OID:
        return None
    try:
        content_type = der.dotted(octets[kind + 2 : kind + 2 + octets[kind + 1]])
    except Refusal:
        return None
    first, second, after = constants(content_type)
    nonce = kind + len(first)
    begin = nonce + 12 + len(second)
    stop = size - TAG_SIZE - len(after)
    length = stop - begin
    # the ciphertext's own header is of one octet of length, or of two after a mark
    start = begin + 2 if length - 2 < 0x80 else begin + 3 if length - 3 < 0x100 else begin + 4
    if (
        stop - start < 0
        or octets[begin:start] != der.header(0x80, stop - start)
        or octets[at:kind] != b"\x30\x82" + (stop - kind).to_bytes(2)
        or stop - kind < 0x100
        or not octets.startswith(first, kind)
        or not octets.startswith(second, nonce + 12)
        or octets[stop : size - TAG_SIZE] != after
    ):
        return None
    return Usual(recipient, content_type, octets[nonce : nonce + 12], start, stop, octets[size - TAG_SIZE :])
