"""Key pairs are made by the name of the suite that they will serve."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from e2s.base.errors import Misuse
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.openers import ephemeral
from e2s.crypto.suites import MIN_RSA_BITS, SEALINGS, SIGNATURES

_CURVES = {"p256-sha256": ec.SECP256R1(), "p384-sha384": ec.SECP384R1()}


def generate(suite: str, random: Callable[[int], bytes]) -> PrivateKey:
    """A private key for a signature or sealing suite; raises :class:`Misuse` ``suite-unknown``.

    An elliptic key comes from ``random``; an RSA key from the library's own generator.
    """
    if suite not in SIGNATURES and suite not in SEALINGS:
        raise Misuse("suite-unknown", "no suite of this name has keys of its own", suite=suite)
    curve = SEALINGS[suite].curve if suite in SEALINGS else _CURVES.get(suite)
    if curve is None:
        return rsa.generate_private_key(65537, MIN_RSA_BITS)
    return ephemeral(curve, random)
