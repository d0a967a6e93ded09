"""Rules about keys: how each kind is encoded, and what its key usage may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.suites import MAX_RSA_BITS, MIN_RSA_BITS
from e2s.crypto.suites.identifiers import NULL, algorithm
from e2s.security.certificates.extensions import (
    CONTENT_COMMITMENT,
    CRL_SIGN,
    DIGITAL_SIGNATURE,
    KEY_AGREEMENT,
    KEY_CERT_SIGN,
    KEY_ENCIPHERMENT,
)
from e2s.security.certificates.lint_names import Finding
from e2s.security.certificates.tbs import Tbs

_SIGNS: Final = DIGITAL_SIGNATURE | CONTENT_COMMITMENT | KEY_CERT_SIGN | CRL_SIGN
#: What agrees or transports; one key does not sign too.
_SECRET: Final = KEY_AGREEMENT | KEY_ENCIPHERMENT


class _Kind(NamedTuple):
    """The octets of a key, the first one's value where it is fixed, its usages and their clause."""

    size: int
    first: int | None
    usages: int
    clause: str


_EC: Final = "RFC 8813, 3"
_EDWARDS: Final = "RFC 9295, 3"
_ML_DSA: Final = "RFC 9881, 5"
_ML_KEM: Final = "RFC 9935, 5"
_KINDS: Final = {
    algorithm(oids.EC_PUBLIC_KEY, der.oid(oids.P256)): _Kind(65, 4, _SIGNS | KEY_AGREEMENT, _EC),
    algorithm(oids.EC_PUBLIC_KEY, der.oid(oids.P384)): _Kind(97, 4, _SIGNS | KEY_AGREEMENT, _EC),
    algorithm(oids.EC_PUBLIC_KEY, der.oid(oids.P521)): _Kind(133, 4, _SIGNS | KEY_AGREEMENT, _EC),
    algorithm(oids.ED25519): _Kind(32, None, _SIGNS, _EDWARDS),
    algorithm(oids.ED448): _Kind(57, None, _SIGNS, _EDWARDS),
    algorithm(oids.X25519): _Kind(32, None, KEY_AGREEMENT, _EDWARDS),
    algorithm(oids.X448): _Kind(56, None, KEY_AGREEMENT, _EDWARDS),
    algorithm(oids.ML_DSA_44): _Kind(1312, None, _SIGNS, _ML_DSA),
    algorithm(oids.ML_DSA_65): _Kind(1952, None, _SIGNS, _ML_DSA),
    algorithm(oids.ML_DSA_87): _Kind(2592, None, _SIGNS, _ML_DSA),
    algorithm(oids.ML_KEM_768): _Kind(1184, None, KEY_ENCIPHERMENT, _ML_KEM),
    algorithm(oids.ML_KEM_1024): _Kind(1568, None, KEY_ENCIPHERMENT, _ML_KEM),
}
_RSA: Final = algorithm(oids.RSA, NULL)
_MIN_EXPONENT: Final = 65_537
_MAX_EXPONENT_BITS: Final = 64


def key_findings(tbs: Tbs) -> Iterator[Finding]:
    """The key's encoding, and whether its usage fits its kind."""
    try:
        reader = der.Reader(tbs.spki).enter()
        named = reader.element(der.SEQUENCE)
        bits = reader.content(der.BIT_STRING)
        reader.done()
        oid = der.Reader(named).enter().oid()
    except Refusal as refusal:
        yield Finding("lint-key", f"the key cannot be read: {refusal.message} (RFC 5280, 4.1.2.7)")
        return
    if bits[:1] != b"\0":
        yield Finding("lint-key", "a key is whole octets (RFC 5280, 4.1.2.7)")
    key = bits[1:]
    if named == _RSA or oid == oids.RSA_PSS:
        yield from _rsa(key)
        # RFC 4055, 1.2: a key for RSASSA-PSS transports nothing
        usages, clause = (_SIGNS | KEY_ENCIPHERMENT if named == _RSA else _SIGNS), "RFC 4055, 1.2"
    elif named in _KINDS:
        size, first, usages, clause = _KINDS[named]
        if len(key) != size or (first is not None and key[0] != first):
            yield Finding("lint-key", f"a key of this kind has {size} octets ({clause})")
    else:
        yield Finding("lint-key", "no suite has keys so named (RFC 5280, 4.1.2.7)")
        return
    yield from _usage(tbs, usages, clause)


def usage_bits(tbs: Tbs) -> int | None:
    """The first octet of the key usage, or None; raises :class:`Refusal`."""
    value = tbs.value(oids.KEY_USAGE)
    if value is None:
        return None
    outer = der.Reader(value)
    content = outer.content(der.BIT_STRING)
    outer.done()
    if len(content) not in {2, 3}:
        raise Refusal("lint-key-usage", "a key usage has at least one bit (RFC 5280, 4.2.1.3)")
    unused, last = content[0], content[-1]
    # X.690, 11.2.2: a list of named bits ends with one that is set
    if unused > 7 or not last or (last & -last).bit_length() - 1 != unused:
        raise Refusal("lint-key-usage", "a key usage is written without its last zeros (X.690, 11.2.2)")
    if len(content) == 3:
        raise Refusal("lint-key-usage", "a key that only deciphers or enciphers is of no use here (4.2.1.3)")
    return content[1]


def _usage(tbs: Tbs, usages: int, clause: str) -> Iterator[Finding]:
    try:
        bits = usage_bits(tbs)
    except Refusal as refusal:
        yield Finding("lint-key-usage", refusal.message)
        return
    if bits is None:
        yield Finding("lint-key-usage", "what the key does is said (RFC 5280, 4.2.1.3)")
        return
    if bits & ~usages:
        yield Finding("lint-key-usage", f"a key of this kind does not do that ({clause})")
    if bits & _SECRET and bits & ~_SECRET:
        yield Finding("lint-key-usage", "a key that signs does not agree, nor transport (SP 800-57, 5.2)")
    if bool(bits & KEY_CERT_SIGN) != tbs.ca:
        yield Finding(
            "lint-key-usage", "a CA, and no other, signs certificates (RFC 5280, 4.2.1.3 and 4.2.1.9)"
        )
    if bits & CRL_SIGN and not tbs.ca:
        yield Finding("lint-key-usage", "only a CA signs lists here (RFC 5280, 4.2.1.3)")


def _rsa(key: bytes) -> Iterator[Finding]:
    """RSAPublicKey (RFC 8017, A.1.1)."""
    try:
        outer = der.Reader(key)
        reader = outer.enter()
        outer.done()
        modulus, exponent = reader.integer(MAX_RSA_BITS // 8 + 1), reader.integer(MAX_RSA_BITS // 8)
        reader.done()
    except Refusal as refusal:
        yield Finding("lint-key", f"the key cannot be read: {refusal.message} (RFC 8017, A.1.1)")
        return
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS or modulus < 0 or not modulus & 1:
        yield Finding(
            "lint-key", f"an RSA modulus is odd, of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits (SP 800-57)"
        )
    if exponent < _MIN_EXPONENT or not exponent & 1 or exponent.bit_length() > _MAX_EXPONENT_BITS:
        yield Finding("lint-key", "an RSA exponent is odd, from 65537 to 64 bits (FIPS 186-5, A.1.1)")
