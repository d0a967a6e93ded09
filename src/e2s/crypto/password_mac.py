"""Messages authenticated by a secret that two sides share: an older way (RFC 4211, 4.4), PBMAC1 (RFC 9045).

The identifier brings salt and iterations; whoever wrote it must not decide how long its reader works.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.suites.digests import BY_IDENTIFIER
from e2s.crypto.suites.identifiers import NULL, SHA256, algorithm

#: RFC 4211, 4.4: at least 100.
MIN_ITERATIONS: Final = 100
#: A hundred milliseconds at most.
MAX_ITERATIONS: Final = 100_000
#: The secrets here are drawn, not thought of: to stretch them adds nothing.
ITERATIONS: Final = MIN_ITERATIONS
SALT_SIZE: Final = 16
_MAX_SALT: Final = 128
_MAX_KEY: Final = 64
_KEY_SIZE: Final = 32
_MAX_IDENTIFIER: Final = 512

Way: TypeAlias = Literal["pbm", "pbmac1"]
WAYS: Final[tuple[Way, ...]] = get_args(Way)

#: SHA-1 under HMAC is whole, and what older peers write unless told otherwise.
_MACS: Final = MappingProxyType(
    {
        oids.HMAC_SHA1: "sha1",
        oids.HMAC_SHA1_OLD: "sha1",
        oids.HMAC_SHA256: "sha256",
        oids.HMAC_SHA384: "sha384",
        oids.HMAC_SHA512: "sha512",
    }
)
_HASHED: Final = ("sha256", "sha384", "sha512")


def is_password_mac(identifier: bytes) -> bool:
    """Whether an AlgorithmIdentifier names one of the two ways, whatever its parameters."""
    return way_of(identifier) is not None


def way_of(identifier: bytes) -> Way | None:
    """Which of the ways it names; None for any other algorithm.  Raises ``der-...``."""
    oid = der.Reader(identifier).enter().oid()
    return {oids.PASSWORD_MAC: WAYS[0], oids.PBMAC1: WAYS[1]}.get(oid)


def mac_algorithm(way: Way, random: Callable[[int], bytes], iterations: int = ITERATIONS) -> bytes:
    """An AlgorithmIdentifier with a new salt, SHA-256 throughout; raises ``bad-iterations``."""
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise Misuse("bad-iterations", "so many iterations are not read", iterations=iterations)
    salt, times = der.octet_string(random(SALT_SIZE)), der.integer(iterations)
    hmac_sha256 = algorithm(oids.HMAC_SHA256, NULL)
    if way == "pbm":
        return algorithm(oids.PASSWORD_MAC, der.sequence(salt, SHA256, times, hmac_sha256))
    derivation = algorithm(oids.PBKDF2, der.sequence(salt, times, der.integer(_KEY_SIZE), hmac_sha256))
    return algorithm(oids.PBMAC1, der.sequence(derivation, hmac_sha256))


def password_mac(identifier: bytes, secret: bytes, data: bytes) -> bytes:
    """The MAC over ``data``; metered as ``stretch``.

    Raises :class:`Refusal` ``mac-algorithm``, ``mac-iterations`` or ``der-...``.
    """
    if len(identifier) > _MAX_IDENTIFIER:
        raise _unknown("the MAC's identifier is larger than may be read")
    outer = der.Reader(identifier)
    named = outer.enter()
    outer.done()
    oid = named.oid()
    if oid not in {oids.PASSWORD_MAC, oids.PBMAC1}:
        raise _unknown("the message is authenticated in another way than by PasswordBasedMac or PBMAC1")
    parameters = named.enter()
    named.done()
    key, digest = (_older if oid == oids.PASSWORD_MAC else _newer)(parameters, secret)
    return hmac.digest(key, data, digest)


def _older(parameters: der.Reader, secret: bytes) -> tuple[bytes, str]:
    """PBMParameter: the secret and the salt, hashed again and again."""
    salt = _salt(parameters)
    hashed = BY_IDENTIFIER.get(parameters.element(der.SEQUENCE))
    iterations = _iterations(parameters)
    digest = _mac(parameters)
    parameters.done()
    if hashed is None or hashed.name not in _HASHED:
        raise _unknown("the secret is hashed by a digest that is not accepted")
    meter.count("stretch")
    new, key = hashed.new, secret + salt
    for _ in range(iterations):
        key = new(key).digest()
    return key, digest


def _newer(parameters: der.Reader, secret: bytes) -> tuple[bytes, str]:
    """PBMAC1-params with PBKDF2 (RFC 8018, A.2 and A.5)."""
    derivation = parameters.enter()
    digest = _mac(parameters)
    parameters.done()
    if derivation.oid() != oids.PBKDF2:
        raise _unknown("the key is derived in another way than by PBKDF2")
    inside = derivation.enter()
    derivation.done()
    salt, iterations = _salt(inside), _iterations(inside)
    # RFC 9045, 4: the length is there
    size = inside.integer()
    prf = _mac(inside) if inside.pos != inside.end else "sha1"
    inside.done()
    if not 0 < size <= _MAX_KEY:
        raise _unknown("the key is of a size that is not accepted")
    meter.count("stretch")
    return hashlib.pbkdf2_hmac(prf, secret, salt, iterations, size), digest


def _salt(reader: der.Reader) -> bytes:
    salt = reader.content(der.OCTET_STRING)
    if len(salt) > _MAX_SALT:
        raise _unknown("the salt is larger than may be read")
    return salt


def _iterations(reader: der.Reader) -> int:
    iterations = reader.integer(16)
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise Refusal(
            "mac-iterations",
            f"the secret is stretched {MIN_ITERATIONS} to {MAX_ITERATIONS} times",
            most=MAX_ITERATIONS,
        )
    return iterations


def _mac(reader: der.Reader) -> str:
    """HMAC, its parameters NULL or absent."""
    named = reader.enter()
    digest = _MACS.get(named.oid())
    if named.pos != named.end:
        named.span(der.NULL)
    named.done()
    if digest is None:
        raise _unknown("the MAC is none that is accepted")
    return digest


def _unknown(why: str) -> Refusal:
    return Refusal("mac-algorithm", why)
