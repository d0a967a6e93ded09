"""A TimeStampReq names what is to be dated by its digest alone (RFC 3161, 2.4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der
from e2s.crypto.suites.digests import BY_IDENTIFIER, DIGESTS
from e2s.crypto.suites.identifiers import NULL

MAX_BYTES: Final = 64 * 1024
#: Digests by which an authority dates.  What is weaker, or unknown, is refused (2.4.1).
IMPRINTS: Final = ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512")
#: Bounds of a nonce and of a serial (2.4.2: up to 160 bits), in octets of an INTEGER.
MAX_NONCE_OCTETS: Final = 33
MAX_SERIAL_OCTETS: Final = 21
#: SHA-3 is written without parameters (RFC 8702, 2.1), but OpenSSL writes NULL.
_WITH_NULL: Final = {
    der.sequence(der.Reader(DIGESTS[name].identifiers[0]).enter().element(), NULL): DIGESTS[name]
    for name in IMPRINTS
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Query:
    """A TimeStampReq as read: ``imprint`` by ``digest``, and ``message_imprint`` as it stands there, DER."""

    imprint: bytes
    nonce: int | None
    policy: str | None
    wants_certificate: bool
    digest: str = "sha256"
    message_imprint: bytes = b""


def request(
    imprint: bytes,
    nonce: int | None,
    *,
    digest: str = "sha256",
    policy: str | None = None,
    certificate: bool = True,
) -> bytes:
    """A TimeStampReq for a digest (SHA-256 if not said) that asks for the authority's certificate.

    Raises :class:`Misuse` ``bad-imprint``.
    """
    return der.sequence(
        der.integer(1),
        message_imprint(digest, imprint),
        der.oid(policy) if policy else b"",
        der.integer(nonce) if nonce is not None else b"",
        der.tlv(der.BOOLEAN, b"\xff") if certificate else b"",
    )


def read_request(octets: bytes) -> Query:
    """Read a TimeStampReq.

    Raises :class:`Refusal` ``stamp-algorithm``, ``stamp-extension``, ``stamp-format``,
    ``bad-stamp-request``, ``too-large`` or ``der-...``.
    """
    reader = whole(octets)
    if reader.integer() != 1:
        raise Refusal("bad-stamp-request", "the request's version is unknown here")
    start = reader.pos
    digest, imprint = read_imprint(reader, "stamp-algorithm", "stamp-format")
    asked = octets[start : reader.pos]
    policy = reader.oid() if reader.peek() == der.OID else None
    nonce = reader.integer(MAX_NONCE_OCTETS) if reader.peek() == der.INTEGER else None
    wants = reader.peek() == der.BOOLEAN
    if wants and not reader.boolean():
        raise Refusal("stamp-format", "a default is not written in DER")
    if reader.pos != reader.end:
        if reader.peek() == 0xA0:
            raise Refusal("stamp-extension", "extensions are not accepted")
        reader.done()
    return Query(
        imprint=imprint,
        nonce=nonce,
        policy=policy,
        wants_certificate=wants,
        digest=digest,
        message_imprint=asked,
    )


def message_imprint(digest: str, octets: bytes) -> bytes:
    """A MessageImprint; raises :class:`Misuse` ``bad-imprint`` unless the octets are such a digest."""
    known = DIGESTS.get(digest) if digest in IMPRINTS else None
    if known is None or len(octets) != known.size:
        raise Misuse("bad-imprint", "the imprint is no digest of this name", digest=digest)
    return der.sequence(known.identifiers[0], der.octet_string(octets))


def read_imprint(reader: der.Reader, unknown: str, wrong: str) -> tuple[str, bytes]:
    """Name and octets of a MessageImprint; ``unknown`` and ``wrong`` are the rules of its refusals."""
    imprint = reader.enter()
    algorithm = imprint.element(der.SEQUENCE)
    octets = imprint.content(der.OCTET_STRING)
    imprint.done()
    found = BY_IDENTIFIER.get(algorithm) or _WITH_NULL.get(algorithm)
    if found is None or found.name not in IMPRINTS:
        raise Refusal(unknown, "the imprint is by a digest that is not accepted")
    if len(octets) != found.size:
        raise Refusal(wrong, "the imprint is of another size than its digest")
    return found.name, octets


def whole(octets: bytes) -> der.Reader:
    """The content of one whole SEQUENCE of bounded size."""
    if len(octets) > MAX_BYTES:
        raise Refusal("too-large", "the time stamp is larger than may be read", size=len(octets))
    outer = der.Reader(octets)
    reader = outer.enter()
    outer.done()
    return reader
