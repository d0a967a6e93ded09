"""A signer lent to the library: X.509, CRL and CSR builders take it for a private key that never comes out.

The library asks any subclass of its key classes to sign, so a key on a card or behind a pass phrase
certifies like one in memory, by the suite of its signer.  Everything but signing refuses.
"""

from __future__ import annotations

from typing import Any, Generic, NoReturn, Protocol, TypeVar, cast

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

from e2s.base.errors import Misuse
from e2s.crypto.kinds import PublicKey, SigningKey, kind_of
from e2s.crypto.ports import Signer
from e2s.crypto.suites import SignatureSuite

Public = TypeVar("Public")
Built_co = TypeVar("Built_co", covariant=True)


class Builder(Protocol[Built_co]):
    """What signs a certificate, a list or a request in the library."""

    def sign(self, private_key: Any, algorithm: Any, *, rsa_padding: Any = None) -> Built_co:
        """The signed whole."""


class Voice(Protocol):
    """What a lent key asks: a signature, and by which suite."""

    @property
    def suite(self) -> SignatureSuite:
        """How :meth:`sign` signs."""

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``."""


def lent(signer: Signer) -> SigningKey:
    """``signer`` as a private key of the library, of the kind of its certificate's key."""
    return lend(signer.certificate.public_key, signer)


def lend(public_key: PublicKey, voice: Voice) -> SigningKey:
    """The private half of ``public_key``, certified or not, as the library has it: ``voice`` signs."""
    key: Any = public_key
    return cast(SigningKey, _LENT[kind_of(key.__class__)](voice, key))


def built(builder: Builder[Built_co], key: SigningKey, suite: SignatureSuite) -> Built_co:
    """What ``builder`` builds, signed with ``key`` by ``suite``."""
    if suite.kind == "rsa":
        padding, hashing = suite.scheme
        return builder.sign(key, hashing, rsa_padding=padding)
    return builder.sign(key, suite.scheme[0].algorithm if suite.kind == "ec" else None)


def _never() -> NoReturn:
    raise Misuse("key-lent-to-sign", "this key only signs and never comes out")


class _Lent(Generic[Public]):
    """What all lent keys share: the public half, and no way to the private one."""

    def __init__(self, signer: Voice, public_key: Public) -> None:
        """``public_key`` is that of the signer's certificate."""
        self._signer = signer
        self._public_key = public_key

    def public_key(self) -> Public:
        """The public half."""
        return self._public_key

    def sign(self, data: Any, context: Any = None) -> bytes:
        """The signer's signature; no suite has a context (RFC 9881, 3)."""
        if context is not None:
            _never()
        return self._signer.sign(bytes(data))

    def sign_mu(self, mu: Any) -> bytes:  # noqa: ARG002
        """Refuses: what is signed must be seen whole."""
        _never()

    def private_bytes(self, *_args: Any, **_named: Any) -> bytes:
        """Refuses."""
        _never()

    def private_bytes_raw(self) -> bytes:
        """Refuses."""
        _never()

    def __copy__(self) -> Any:
        """Itself: there is one key."""
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Itself: there is one key."""
        return self


class LentEllipticKey(_Lent[ec.EllipticCurvePublicKey], ec.EllipticCurvePrivateKey):
    """An elliptic key that only signs."""

    @property
    def curve(self) -> ec.EllipticCurve:
        """The key's curve."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve's order."""
        return self._public_key.key_size

    def sign(self, data: Any, signature_algorithm: Any) -> bytes:  # type: ignore[override]
        """The signer's signature; its suite, not the caller, decides the algorithm."""
        (own,) = self._signer.suite.scheme
        if getattr(signature_algorithm.algorithm, "name", "") != own.algorithm.name:
            _never()
        return self._signer.sign(bytes(data))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:  # noqa: ARG002
        """Refuses."""
        _never()

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """Refuses."""
        _never()


class LentRsaKey(_Lent[rsa.RSAPublicKey], rsa.RSAPrivateKey):
    """An RSA key that only signs."""

    @property
    def key_size(self) -> int:
        """Bits of the modulus."""
        return self._public_key.key_size

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:  # type: ignore[override]
        """The signer's signature; its suite, not the caller, decides the algorithm."""
        own, hashing = self._signer.suite.scheme
        if padding is not own or algorithm.name != hashing.name:
            _never()
        return self._signer.sign(bytes(data))

    def decrypt(self, ciphertext: Any, padding: Any) -> bytes:  # noqa: ARG002
        """Refuses."""
        _never()

    def private_numbers(self) -> rsa.RSAPrivateNumbers:
        """Refuses."""
        _never()


class LentEd25519Key(_Lent[ed25519.Ed25519PublicKey], ed25519.Ed25519PrivateKey):
    """An Ed25519 key that only signs."""


class LentEd448Key(_Lent[ed448.Ed448PublicKey], ed448.Ed448PrivateKey):
    """An Ed448 key that only signs."""


class LentMldsa44Key(_Lent[mldsa.MLDSA44PublicKey], mldsa.MLDSA44PrivateKey):
    """An ML-DSA-44 key that only signs."""


class LentMldsa65Key(_Lent[mldsa.MLDSA65PublicKey], mldsa.MLDSA65PrivateKey):
    """An ML-DSA-65 key that only signs."""


class LentMldsa87Key(_Lent[mldsa.MLDSA87PublicKey], mldsa.MLDSA87PrivateKey):
    """An ML-DSA-87 key that only signs."""


_LENT: dict[str, Any] = {
    "ec": LentEllipticKey,
    "rsa": LentRsaKey,
    "ed25519": LentEd25519Key,
    "ed448": LentEd448Key,
    "ml-dsa-44": LentMldsa44Key,
    "ml-dsa-65": LentMldsa65Key,
    "ml-dsa-87": LentMldsa87Key,
}
