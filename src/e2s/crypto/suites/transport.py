"""How RSA carries a content key: OAEP in the form that is written, in those that others write, and before it.

A form is known by its AlgorithmIdentifier (RFC 4055, 4.1).  SHA-1 in OAEP and PKCS#1 v1.5 are read, and the
latter written, for old peers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.suites.identifiers import NULL, algorithm

MAX_LABEL: Final = 64


@dataclass(frozen=True)
class Transport:
    """RSA-OAEP: its digest, that of its mask, and its label."""

    digest: str = "sha256"
    mask_digest: str = "sha256"
    label: bytes = b""


#: What is written: SHA-256 throughout and no label.
OAEP: Final = Transport()

_DIGESTS: Final = {
    "sha1": oids.SHA1,
    "sha224": oids.SHA224,
    "sha256": oids.SHA256,
    "sha384": oids.SHA384,
    "sha512": oids.SHA512,
}
#: Digests as written (with NULL) and as also read (RFC 4055, 2.1).
_BY_ALGORITHM: Final = {
    written: name for name, oid in _DIGESTS.items() for written in (algorithm(oid, NULL), algorithm(oid))
}


def _oaep(sha256: bytes) -> bytes:
    parameters = der.sequence(der.tlv(0xA0, sha256), der.tlv(0xA1, algorithm(oids.MGF1, sha256)))
    return algorithm(oids.RSA_OAEP, parameters)


OAEP_ALGORITHM: Final = _oaep(algorithm(oids.SHA256, NULL))
OAEP_ALGORITHMS: Final = frozenset((OAEP_ALGORITHM, _oaep(algorithm(oids.SHA256))))
#: PKCS#1 v1.5 (RFC 3370, 4.2.1).
PKCS1_ALGORITHM: Final = algorithm(oids.RSA, NULL)


@lru_cache(maxsize=64)
def foreign_transport(identifier: bytes) -> Transport:
    """The OAEP of an AlgorithmIdentifier with any known digests; raises :class:`Refusal` ``suite-unknown``.

    Absent parameters mean what RFC 4055, 4.1 says: SHA-1 and no label; written out, they are read too.
    """
    try:
        outer = der.Reader(identifier)
        found = _foreign(outer.enter())
        outer.done()
    except (KeyError, Refusal) as error:
        raise _unknown() from error
    if len(found.label) > MAX_LABEL:
        raise _unknown()
    return found


def _foreign(reader: der.Reader) -> Transport:
    if reader.oid() != oids.RSA_OAEP:
        raise _unknown()
    parameters = reader.enter()
    reader.done()
    digest, mask, label = "sha1", "sha1", b""
    if parameters.peek() == 0xA0:
        digest = _BY_ALGORITHM[parameters.content(0xA0)]
    if parameters.peek() == 0xA1:
        mask = _BY_ALGORITHM[_of(oids.MGF1, parameters.enter(0xA1))]
    if parameters.peek() == 0xA2:
        source = _of(oids.P_SPECIFIED, parameters.enter(0xA2))
        label = der.Reader(source).content(der.OCTET_STRING)
    parameters.done()
    return Transport(digest, mask, label)


def _of(oid: str, reader: der.Reader) -> bytes:
    """The parameters of an AlgorithmIdentifier that must be ``oid``'s."""
    inside = reader.enter()
    reader.done()
    if inside.oid() != oid:
        raise _unknown()
    parameters = inside.element()
    inside.done()
    return parameters


def _unknown() -> Refusal:
    return Refusal("suite-unknown", "the content key is carried in a way that is not accepted")
