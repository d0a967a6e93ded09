"""What a card computes with its keys: the private operation alone, since the host pads and hashes.

The library has no RSA without padding, which PIV asks for: it is computed here, blinded by a random factor,
and checked before it leaves, so that neither its time nor a fault tells the key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from e2s.base.errors import Misuse, Refusal
from e2s.security.smartcard import piv, tlv
from e2s.security.smartcard.memory import CardKey

_EXPONENT: Final = 65537
_CURVES: Final = {piv.P256: ec.SECP256R1(), piv.P384: ec.SECP384R1()}
#: By the size of what is signed: only the size counts, the host has hashed.
_HASHES: Final = {32: hashes.SHA256(), 48: hashes.SHA384()}


def generate(algorithm: int) -> CardKey:
    """A new key of the library's own generator; raises :class:`Misuse` ``bad-algorithm``."""
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm in piv.RSA:
        return rsa.generate_private_key(_EXPONENT, piv.RSA[algorithm] * 8)
    raise Misuse("bad-algorithm", "a card makes no keys of this kind", algorithm=f"{algorithm:02X}")


def algorithm_of(key: CardKey) -> int:
    """The algorithm of a key that is brought; raises :class:`Refusal` ``bad-algorithm``."""
    sizes = piv.RSA if isinstance(key, rsa.RSAPrivateKey) else piv.CURVES
    octets = (key.key_size + 7) // 8
    known = isinstance(key, rsa.RSAPrivateKey) or isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
    for algorithm, size in sizes.items():
        if known and size == octets:
            return algorithm
    raise Refusal("bad-algorithm", "a card holds no keys of this kind", bits=key.key_size)


def public(key: CardKey) -> bytes:
    """The public half as the content of a 7F49 (part 2, table 11)."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        size = (key.key_size + 7) // 8
        return tlv.write(0x81, numbers.n.to_bytes(size, "big")) + tlv.write(
            0x82, numbers.e.to_bytes(3, "big")
        )
    point = key.public_key().public_numbers()
    size = (key.curve.key_size + 7) // 8
    return tlv.write(0x86, b"\x04" + point.x.to_bytes(size, "big") + point.y.to_bytes(size, "big"))


def sign(key: CardKey, data: bytes, random: Callable[[int], bytes]) -> bytes:
    """A signature over a digest (EC, DER), or the private operation on a padded block (RSA).

    Raises :class:`Refusal` ``bad-data`` where the size does not fit.
    """
    if isinstance(key, rsa.RSAPrivateKey):
        return _private(key, data, random)
    size = (key.curve.key_size + 7) // 8
    if not 1 <= len(data) <= size:
        raise Refusal("bad-data", "a digest is as long as the curve at most", size=len(data))
    return key.sign(data.rjust(size, b"\0"), ec.ECDSA(Prehashed(_HASHES[size])))


def agree(key: CardKey, point: bytes) -> bytes:
    """The x co-ordinate shared with ``point``, uncompressed; raises :class:`Refusal` ``bad-data``."""
    if isinstance(key, rsa.RSAPrivateKey):
        raise Refusal("bad-data", "an RSA key agrees with nobody")
    if not point or point[0] != 4:
        raise Refusal("bad-data", "a point is given uncompressed")
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
        return key.exchange(ec.ECDH(), peer)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refusal("bad-data", "this is no point of the key's curve") from error


def _private(key: rsa.RSAPrivateKey, block: bytes, random: Callable[[int], bytes]) -> bytes:
    """RSADP, which is RSASP1 too (RFC 8017, 5.1.2 and 5.2.1)."""
    numbers = key.private_numbers()
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    size = (n.bit_length() + 7) // 8
    value = int.from_bytes(block, "big")
    if len(block) != size or value >= n:
        raise Refusal("bad-data", "a block is as long as the modulus, and less than it", size=len(block))
    factor = 2 + int.from_bytes(random(size), "big") % (n - 3)
    blinded = value * pow(factor, e, n) % n
    by_p = pow(blinded, numbers.dmp1, numbers.p)
    by_q = pow(blinded, numbers.dmq1, numbers.q)
    result = by_q + numbers.q * ((by_p - by_q) * numbers.iqmp % numbers.p)
    if pow(result, e, n) != blinded:
        raise Refusal("card-fault", "a fault was found in the computation")
    return (int(result) * int(pow(factor, -1, n)) % n).to_bytes(size, "big")
