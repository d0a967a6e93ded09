"""Key pairs are made by the name of the suite that they will serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

from e2s.base.errors import Misuse
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.openers import ephemeral, key_for
from e2s.crypto.suites import MIN_RSA_BITS, OLD_SEALINGS, OLD_SIGNATURES, SEALINGS, SIGNATURES

_CURVES: Final = {"p256-sha256": ec.SECP256R1(), "p384-sha384": ec.SECP384R1(), "p521-sha512": ec.SECP521R1()}
#: How many random octets are the key (RFC 8032, 5.1.5 and 5.2.5; FIPS 204, 5.1: the seed), and how.
_SEEDED: Final[Mapping[str, tuple[int, Callable[[bytes], PrivateKey]]]] = {
    "ed25519": (32, ed25519.Ed25519PrivateKey.from_private_bytes),
    "ed448": (57, ed448.Ed448PrivateKey.from_private_bytes),
    "ml-dsa-44": (32, mldsa.MLDSA44PrivateKey.from_seed_bytes),
    "ml-dsa-65": (32, mldsa.MLDSA65PrivateKey.from_seed_bytes),
    "ml-dsa-87": (32, mldsa.MLDSA87PrivateKey.from_seed_bytes),
}


def generate(suite: str, random: Callable[[int], bytes]) -> PrivateKey:
    """A private key for a signature or sealing suite; raises :class:`Misuse` ``suite-unknown``.

    Any key comes from ``random``, but for an RSA key, which comes from the library's own generator.
    """
    sealing = SEALINGS.get(suite) or OLD_SEALINGS.get(suite)
    signature = SIGNATURES.get(suite) or OLD_SIGNATURES.get(suite)
    found = sealing or signature
    if found is None:
        raise Misuse("suite-unknown", "no suite of this name has keys of its own", suite=suite)
    if found.kind == "rsa":
        return rsa.generate_private_key(65537, MIN_RSA_BITS)
    if sealing is not None:
        return key_for(sealing, random)
    if suite in _CURVES:
        return ephemeral(_CURVES[suite], random)
    size, make = _SEEDED[suite]
    return make(random(size))
