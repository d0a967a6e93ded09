"""The five signed attributes have one layout per suite and content type: three holes in constant octets.

So they are written by filling the holes and read by comparing all the rest at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.suites import SignatureSuite, protection_of

#: The types of the attributes that E2S always signs.
FIVE: Final = frozenset(
    (
        oids.CONTENT_TYPE,
        oids.MESSAGE_DIGEST,
        oids.SIGNING_TIME,
        oids.SIGNING_CERTIFICATE_V2,
        oids.ALGORITHM_PROTECTION,
    )
)
#: How many attributes a signature may have of one sort, and how many values one of them.
MAX_ATTRIBUTES: Final = 32
MAX_VALUES: Final = 32


def attribute(oid: str, value: bytes) -> bytes:
    """An Attribute with one value."""
    return der.sequence(der.oid(oid), der.tlv(der.SET, value))


def signing_certificate(digest: bytes) -> bytes:
    """SigningCertificateV2 (RFC 5035, 3) with one ESSCertIDv2, SHA-256 by default, without issuerSerial."""
    return der.sequence(der.sequence(der.sequence(der.octet_string(digest))))


class Holes(NamedTuple):
    """What varies between messages: the signing time (a whole Time) and two digests."""

    time: bytes
    message_digest: bytes
    certificate_digest: bytes


class Layout:
    """The attributes of one suite, content type and size of time, in DER's order."""

    __slots__ = ("_constants", "_order", "_size", "_spans")

    def __init__(self, suite: SignatureSuite, content_type: str, time_size: int) -> None:
        """The order of a SET OF is decided before any hole: the attributes' identifiers differ."""
        marks = Holes(b"\xa5" * time_size, b"\xa6" * suite.digest_size, b"\xa7" * 32)
        protection = protection_of(suite.digest_algorithm, suite.signature_algorithm)
        whole = b"".join(
            sorted(
                (
                    attribute(oids.CONTENT_TYPE, der.oid(content_type)),
                    attribute(oids.SIGNING_TIME, marks.time),
                    attribute(oids.MESSAGE_DIGEST, der.octet_string(marks.message_digest)),
                    attribute(oids.SIGNING_CERTIFICATE_V2, signing_certificate(marks.certificate_digest)),
                    attribute(oids.ALGORITHM_PROTECTION, protection),
                )
            )
        )
        self._size = len(whole)
        self._spans = tuple(slice(whole.index(mark), whole.index(mark) + len(mark)) for mark in marks)
        self._order = tuple(sorted(range(3), key=lambda hole: self._spans[hole].start))
        constants, begin = [], 0
        for hole in self._order:
            constants.append(slice(begin, self._spans[hole].start))
            begin = self._spans[hole].stop
        constants.append(slice(begin, self._size))
        self._constants = tuple((where, whole[where]) for where in constants)

    def write(self, holes: Holes) -> bytes:
        """The attributes, without the SET's header."""
        (_, a), (_, b), (_, c), (_, d) = self._constants
        first, second, third = self._order
        return b"".join((a, holes[first], b, holes[second], c, holes[third], d))

    def read(self, attributes: bytes) -> Holes | None:
        """What stands in the holes, or None when anything else differs."""
        if len(attributes) != self._size:
            return None
        for where, constant in self._constants:
            if attributes[where] != constant:
                return None
        time, message, certificate = self._spans
        return Holes(attributes[time], attributes[message], attributes[certificate])


def with_further(five: bytes, further: Sequence[bytes]) -> bytes:
    """The five attributes and ``further`` encoded ones, in DER's order, without the SET's header.

    Raises :class:`Misuse` ``cms-attribute`` for octets that are no Attribute, and for a type that is already
    there (RFC 5652, 5.3: no type twice).
    """
    elements = der.Reader(five).elements(der.SEQUENCE, len(FIVE))
    types = [attribute_type(one) for one in further]
    if len(set(types)) != len(types) or not FIVE.isdisjoint(types):
        raise Misuse("cms-attribute", "a signed attribute is given twice, or is one that is written anyway")
    return b"".join(sorted((*elements, *further)))


def attribute_type(octets: bytes) -> str:
    """The type of one encoded Attribute, its values in order; raises :class:`Misuse` ``cms-attribute``."""
    try:
        der.check(octets)
        reader = der.Reader(octets).enter()
        oid = reader.oid()
        values = reader.enter(der.SET).elements(None, MAX_VALUES)
        reader.done()
        der.check_order(values)
    except Refusal as error:
        raise Misuse("cms-attribute", "the octets are no Attribute", because=error.rule) from error
    if not values:
        raise Misuse("cms-attribute", "an attribute has a value", attribute=oid)
    return oid


@lru_cache(maxsize=256)
def layout(suite: SignatureSuite, content_type: str, time_size: int) -> Layout:
    """The layout, made once."""
    return Layout(suite, content_type, time_size)
