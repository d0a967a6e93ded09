"""Public keys as JSON Web Keys (RFC 7517; RFC 7518, 6; RFC 8037, 2), each in its one form, and thumbprints.

A thumbprint (RFC 7638) is over that form, so it names the key however it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import b64u, unb64u
from e2s.crypto.kinds import PublicKey

#: RFC 7518, 3.3 asks for 2048 bits of a key that signs; larger ones than 8192 cost who verifies too much.
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
_CURVES: Final[Mapping[str, tuple[ec.EllipticCurve, int]]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-384": (ec.SECP384R1(), 48),
    "P-521": (ec.SECP521R1(), 66),
}
_NAMES: Final = {curve.name: name for name, (curve, _size) in _CURVES.items()}
_MEMBERS: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}
#: Members of private keys and of secrets (RFC 7518, 6.2.2, 6.3.2 and 6.4).
_SECRET: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_MAX_EXPONENT_BITS: Final = 32
_ED25519_BYTES: Final = 32


def key_of_jwk(jwk: object) -> PublicKey:
    """The public key that ``jwk`` is; members that say nothing of the key itself are left unread.

    Raises :class:`Refusal` ``bad-jwk``, ``private-jwk`` where it shows a private key or a secret, and
    ``key-not-supported``.
    """
    if not isinstance(jwk, dict):
        raise _bad("a key is a JSON object")
    if any(name in jwk for name in _SECRET):
        raise Refusal("private-jwk", "the key was shown with its private part: it is nobody's secret now")
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _MEMBERS:
        raise Refusal("key-not-supported", "keys are EC, OKP or RSA (RFC 7518, 6.1; RFC 8037, 2)")
    if kind == "RSA":
        return _rsa(_octets(jwk, "n"), _octets(jwk, "e"))
    x = _octets(jwk, "x")
    if kind == "OKP":
        if jwk.get("crv") != "Ed25519":
            raise Refusal("key-not-supported", "the only Edwards curve here is Ed25519")
        if len(x) != _ED25519_BYTES:
            raise _bad("the key is not of its curve's size")
        return ed25519.Ed25519PublicKey.from_public_bytes(x)
    curve = jwk.get("crv")
    if not isinstance(curve, str) or curve not in _CURVES:
        raise Refusal("key-not-supported", "curves are P-256, P-384 and P-521")
    of, size = _CURVES[curve]
    y = _octets(jwk, "y")
    if len(x) != size or len(y) != size:
        raise _bad("the key is not of its curve's size (RFC 7518, 6.2.1.2)")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(of, b"\x04" + x + y)
    except ValueError as error:
        raise _bad("the point is not on the curve") from error


def jwk_of(key: PublicKey) -> wire.Document:
    """The members that make the key, and nothing else; raises :class:`Misuse` ``key-not-supported``."""
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _NAMES:
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        half = len(point) // 2
        return {"kty": "EC", "crv": _NAMES[key.curve.name], "x": b64u(point[:half]), "y": b64u(point[half:])}
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": b64u(key.public_bytes_raw())}
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": b64u(_fewest(numbers.n)), "e": b64u(_fewest(numbers.e))}
    raise Misuse("key-not-supported", "a key of this kind has no form as a JSON Web Key here")


def thumbprint(key: PublicKey) -> str:
    """SHA-256 over the key's required members in order (RFC 7638, 3), base64url."""
    return b64u(sha256(wire.encode(jwk_of(key))).digest())


def _rsa(modulus: bytes, exponent: bytes) -> PublicKey:
    if modulus[:1] in {b"", b"\0"} or exponent[:1] in {b"", b"\0"}:
        raise _bad("a number is in its fewest octets (RFC 7518, 2)")
    n, e = int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")
    if not MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS:
        raise Refusal("key-not-supported", "an RSA key has 2048 to 8192 bits", bits=n.bit_length())
    if e.bit_length() > _MAX_EXPONENT_BITS or e < 3 or not e & 1 or not n & 1:
        raise _bad("these are not the numbers of an RSA key")
    try:
        return rsa.RSAPublicNumbers(e, n).public_key()
    except ValueError as error:
        raise _bad("these are not the numbers of an RSA key") from error


def _octets(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str) or len(value) > 2 * MAX_RSA_BITS // 8:
        raise _bad("a member of the key is missing, or no base64url of a fair length")
    return unb64u(value)


def _fewest(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _bad(message: str) -> Refusal:
    return Refusal("bad-jwk", message)
