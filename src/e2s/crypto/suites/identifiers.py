"""AlgorithmIdentifiers as they are written (RFC 5280, 4.1.1.2): an identifier and its parameters, DER."""

from __future__ import annotations

from typing import Final

from e2s.crypto import der, oids


def algorithm(oid: str, *parameters: bytes) -> bytes:
    """An AlgorithmIdentifier; without ``parameters`` they are absent."""
    return der.sequence(der.oid(oid), *parameters)


NULL: Final = der.tlv(der.NULL, b"")
SHA256: Final = algorithm(oids.SHA256)
SHA384: Final = algorithm(oids.SHA384)
#: SHA-256 as written (parameters absent) and as also read (RFC 5754, 2).
SHA256_ALGORITHMS: Final = (SHA256, algorithm(oids.SHA256, NULL))
