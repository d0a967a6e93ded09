"""What a request should have, as a server says it before anyone asks (RFC 7030, 4.5; RFC 9908).

A server names kinds of keys, signatures, and the alternative names that it will give.  A client takes what it
understands and leaves the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.suites import OLD_SEALINGS, OLD_SIGNATURES, SEALINGS, SIGNATURES
from e2s.crypto.suites.minima import MIN_RSA_BITS
from e2s.security.certificates.extensions import alternative_names
from e2s.security.certificates.names import alternative_name

MAX_BYTES: Final = 16 * 1024
_MOST: Final = 64
_CURVES: Final = {"p256": oids.P256, "p384": oids.P384, "p521": oids.P521}
#: Kinds of keys that are named by one identifier for key and signature.
_OWN: Final = {
    "ed25519": oids.ED25519,
    "ed448": oids.ED448,
    "x25519": oids.X25519,
    "x448": oids.X448,
    "ml-dsa-44": oids.ML_DSA_44,
    "ml-dsa-65": oids.ML_DSA_65,
    "ml-dsa-87": oids.ML_DSA_87,
    "ml-kem-768": oids.ML_KEM_768,
    "ml-kem-1024": oids.ML_KEM_1024,
}


@dataclass(frozen=True)
class CsrAttributes:
    """Identifiers by themselves, and attributes: each type with its values, DER."""

    alone: tuple[str, ...] = ()
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...] = ()

    def encoded(self) -> bytes:
        """CsrAttrs (RFC 8951, 3.4), DER."""
        alone = [der.oid(one) for one in self.alone]
        held = [der.sequence(der.oid(oid), der.set_of(set(values))) for oid, values in self.attributes]
        return der.sequence(*alone, *held)

    @classmethod
    def read(cls, octets: bytes) -> CsrAttributes:
        """Read CsrAttrs; raises :class:`Refusal` ``der-...`` or ``too-large``."""
        if len(octets) > MAX_BYTES:
            raise Refusal("too-large", "the attributes are larger than may be read", size=len(octets))
        der.check(octets)
        outer = der.Reader(octets)
        members = outer.enter().elements(None, _MOST)
        outer.done()
        alone: list[str] = []
        held: list[tuple[str, tuple[bytes, ...]]] = []
        for member in members:
            if member[0] == der.OID:
                alone.append(der.Reader(member).oid())
                continue
            attribute = der.Reader(member).enter()
            oid = attribute.oid()
            held.append((oid, tuple(attribute.enter(der.SET).elements(None, _MOST))))
            attribute.done()
        return cls(tuple(alone), tuple(held))


def wanted(suites: Sequence[str], names: Sequence[str]) -> CsrAttributes:
    """What a request under one of ``suites`` that is to be certified for ``names`` may say."""
    alone: dict[str, None] = {}
    curves: dict[bytes, None] = {}
    rsa = False
    for suite in suites:
        for oid in _signatures(suite):
            alone[oid] = None
        curve = next((oid for part, oid in _CURVES.items() if part in suite.split("-")), "")
        kind = _kind(suite)
        if curve:
            curves[der.oid(curve)] = None
        elif kind == "rsa":
            rsa = True
        elif kind in _OWN:
            alone[_OWN[kind]] = None
    attributes: list[tuple[str, tuple[bytes, ...]]] = []
    if curves:
        attributes.append((oids.EC_PUBLIC_KEY, tuple(curves)))
    if rsa:
        # RFC 7030, 4.5.2 has curves only; the size of a key's modulus is said the same way (RFC 9908)
        attributes.append((oids.RSA, (der.integer(MIN_RSA_BITS),)))
    if names:
        # RFC 9908: extensions with the values that the request is to have
        said = der.sequence(alternative_names(map(alternative_name, names), critical=False))
        attributes.append((oids.EXTENSION_REQUEST, (said,)))
    return CsrAttributes(tuple(alone), tuple(attributes))


def _kind(suite: str) -> str:
    signature = SIGNATURES.get(suite) or OLD_SIGNATURES.get(suite)
    found = signature or SEALINGS.get(suite) or OLD_SEALINGS.get(suite)
    return "" if found is None else found.kind


def _signatures(suite: str) -> Iterator[str]:
    """The identifier of the suite's signature."""
    found = SIGNATURES.get(suite) or OLD_SIGNATURES.get(suite)
    if found is not None:
        yield der.Reader(found.signature_algorithm).enter().oid()
