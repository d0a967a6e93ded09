"""One signature over one header and payload: JWS in its flattened form (RFC 7515, 7.2.2), all of it signed.

Who reads names the key; the key says which algorithms sign by it.  Nothing stands outside of the signature.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import Document, b64u, unb64u
from e2s.crypto.jose.objects import MAX_BYTES, read_object
from e2s.crypto.kinds import PrivateKey, PublicKey

#: Asymmetric algorithms that are read (RFC 7518, 3.1; RFC 8037, 3.1).
ALGORITHMS: Final = ("ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256")
_MEMBERS: Final = {"protected", "payload", "signature"}
_MAX_HEADER: Final = 8 * 1024
_MAX_SIGNATURE: Final = 1024
#: RFC 7518, 3.2: a key at least as long as the digest.
_MIN_SECRET: Final = 32
#: Base64url has none of JSON's own marks: the usual form is read without a reader of JSON.
_FLAT: Final = re.compile(
    rb'\{"protected":"([A-Za-z0-9_-]*+)","payload":"([A-Za-z0-9_-]*+)","signature":"([A-Za-z0-9_-]*+)"\}'
)


@dataclass(frozen=True, kw_only=True)
class _Elliptic:
    """How keys of one curve sign: the halves of a signature have ``size`` octets (RFC 7518, 3.4)."""

    algorithm: str
    scheme: ec.ECDSA
    size: int


_ELLIPTIC: Final[Mapping[str, _Elliptic]] = {
    "secp256r1": _Elliptic(algorithm="ES256", scheme=ec.ECDSA(hashes.SHA256()), size=32),
    "secp384r1": _Elliptic(algorithm="ES384", scheme=ec.ECDSA(hashes.SHA384()), size=48),
    "secp521r1": _Elliptic(algorithm="ES512", scheme=ec.ECDSA(hashes.SHA512()), size=66),
}
_PKCS1: Final = padding.PKCS1v15()
_PSS: Final = padding.PSS(padding.MGF1(hashes.SHA256()), 32)


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A message that was read, not verified yet: ``header`` is all protected, ``covered`` what is signed."""

    header: Document
    payload: bytes
    signature: bytes
    covered: bytes

    @property
    def algorithm(self) -> str:
        """What the header says of the signature."""
        return str(self.header["alg"])


def read(octets: bytes, most: int = MAX_BYTES) -> Signed:
    """Read a flattened JWS; raises :class:`Refusal` ``bad-jws``, ``bad-json`` or ``too-large``.

    A member beside ``protected``, ``payload`` and ``signature`` is refused, and so is any header that wants
    something understood (``crit``, RFC 7515, 4.1.11; ``b64``, RFC 7797, 3).
    """
    if len(octets) > most:
        raise Refusal("too-large", "the message is larger than may be read", size=len(octets))
    usual = _FLAT.fullmatch(octets)
    if usual:
        protected, payload, signature = (part.decode("ascii") for part in usual.groups())
    else:
        protected, payload, signature = _parts(read_object(octets, most))
    if len(protected) > _MAX_HEADER or len(signature) > 2 * _MAX_SIGNATURE:
        raise _bad("the header or the signature is larger than may be read")
    header = read_object(unb64u(protected))
    if "crit" in header or "b64" in header:
        raise _bad("the header wants something understood that is not known here")
    if not isinstance(header.get("alg"), str):
        raise _bad("the header names no algorithm (RFC 7515, 4.1.1)")
    return Signed(
        header=header,
        payload=unb64u(payload),
        signature=unb64u(signature),
        covered=f"{protected}.{payload}".encode("ascii"),
    )


def read_document(document: object, most: int = MAX_BYTES) -> Signed:
    """The same of a JWS that is a member of another's payload."""
    protected, payload, signature = _parts(document)
    return read(_flat(protected, payload, signature), most)


def _parts(document: object) -> tuple[str, str, str]:
    if not isinstance(document, dict) or document.keys() != _MEMBERS:
        raise _bad("a signed message has exactly protected, payload and signature")
    protected, payload, signature = document["protected"], document["payload"], document["signature"]
    if not (isinstance(protected, str) and isinstance(payload, str) and isinstance(signature, str)):
        raise _bad("protected, payload and signature are text")
    if not (protected.isascii() and payload.isascii() and signature.isascii()):
        raise Refusal("bad-base64", "octets are written in base64url without padding")
    return protected, payload, signature


def check(signed: Signed, key: PublicKey) -> None:
    """Refuse a message that ``key`` did not sign.

    Raises :class:`Refusal` ``wrong-algorithm`` where the header names another algorithm than the key has, and
    ``bad-signature``.
    """
    permitted = algorithms_of(key)
    if signed.algorithm not in permitted:
        raise Refusal(
            "wrong-algorithm", "the key does not sign by this algorithm", permitted=" ".join(permitted)
        )
    if not _good(key, signed.algorithm, signed.signature, signed.covered):
        raise Refusal("bad-signature", "the message is not signed by the key that it names")


def algorithms_of(key: PublicKey | PrivateKey) -> tuple[str, ...]:
    """By which algorithms a key signs, the default first; none for a key that has no form here."""
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        known = _ELLIPTIC.get(key.curve.name)
        return (known.algorithm,) if known else ()
    if isinstance(key, ed25519.Ed25519PublicKey | ed25519.Ed25519PrivateKey):
        return ("EdDSA",)
    return ("RS256", "PS256") if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey) else ()


def _good(key: PublicKey, algorithm: str, signature: bytes, covered: bytes) -> bool:
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            known = _ELLIPTIC[key.curve.name]
            if len(signature) != 2 * known.size:
                return False
            r, s = (
                int.from_bytes(half, "big") for half in (signature[: known.size], signature[known.size :])
            )
            key.verify(encode_dss_signature(r, s), covered, known.scheme)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, covered)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, covered, _PSS if algorithm == "PS256" else _PKCS1, hashes.SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def sign(header: Mapping[str, Any], payload: bytes, key: PrivateKey) -> bytes:
    """A flattened JWS by the key's default algorithm, which the header gets.

    Raises :class:`Misuse` ``key-not-supported``.
    """
    permitted = algorithms_of(key)
    if not permitted:
        raise Misuse("key-not-supported", "a key of this kind signs no JSON here")
    protected = b64u(wire.encode({**header, "alg": permitted[0]}))
    body = b64u(payload)
    return _flat(protected, body, b64u(_signature(key, f"{protected}.{body}".encode("ascii"))))


def _signature(key: PrivateKey, covered: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        known = _ELLIPTIC[key.curve.name]
        r, s = decode_dss_signature(key.sign(covered, known.scheme))
        return r.to_bytes(known.size, "big") + s.to_bytes(known.size, "big")
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(covered)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(covered, _PKCS1, hashes.SHA256())
    raise Misuse("key-not-supported", "a key of this kind signs no JSON here")


def check_mac(signed: Signed, secret: bytes) -> None:
    """Refuse a message without the HMAC-SHA256 of ``secret``, compared in constant time.

    Raises :class:`Refusal` ``wrong-algorithm``, ``bad-mac``, and ``weak-secret`` for one under 256 bits
    (RFC 7518, 3.2).
    """
    if signed.algorithm != "HS256":
        raise Refusal("wrong-algorithm", "a shared secret is used with HS256 alone", permitted="HS256")
    if len(secret) < _MIN_SECRET:
        raise Refusal("weak-secret", "the secret is too short for HS256")
    if not hmac.compare_digest(hmac.digest(secret, signed.covered, "sha256"), signed.signature):
        raise Refusal("bad-mac", "the message is not by who knows the secret")


def sign_mac(header: Mapping[str, Any], payload: bytes, secret: bytes) -> bytes:
    """A flattened JWS by HS256; raises :class:`Misuse` ``weak-secret``."""
    if len(secret) < _MIN_SECRET:
        raise Misuse("weak-secret", "the secret is too short for HS256")
    protected = b64u(wire.encode({**header, "alg": "HS256"}))
    body = b64u(payload)
    return _flat(protected, body, b64u(hmac.digest(secret, f"{protected}.{body}".encode("ascii"), "sha256")))


def _flat(protected: str, payload: str, signature: str) -> bytes:
    return f'{{"protected":"{protected}","payload":"{payload}","signature":"{signature}"}}'.encode("ascii")


def _bad(message: str) -> Refusal:
    return Refusal("bad-jws", message)
