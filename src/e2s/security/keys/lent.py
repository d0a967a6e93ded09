"""A signer lent to the library: X.509, CRL and CSR builders take it for a private key that never comes out.

The library asks any subclass of its key classes to sign, so a key on a card or behind a pass phrase
certifies like one in memory.  Everything but signing refuses.
"""

from __future__ import annotations

from typing import Any, NoReturn, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from e2s.base.errors import Misuse
from e2s.crypto.kinds import SigningKey
from e2s.crypto.ports import Signer
from e2s.crypto.suites import signature_suite_of


def lent(signer: Signer) -> SigningKey:
    """``signer`` as a private key of the library, of the kind of its certificate's key."""
    key = signer.certificate.public_key
    return (
        LentEllipticKey(signer, key)
        if isinstance(key, ec.EllipticCurvePublicKey)
        else LentRsaKey(signer, cast(rsa.RSAPublicKey, key))
    )


def hash_of(key: SigningKey) -> hashes.SHA256 | hashes.SHA384:
    """The hash of the key's one signature suite, as the library's builders want it named."""
    return hashes.SHA384() if signature_suite_of(key).digest_size == 48 else hashes.SHA256()


def _never() -> NoReturn:
    raise Misuse("key-lent-to-sign", "this key only signs and never comes out")


class LentEllipticKey(ec.EllipticCurvePrivateKey):
    """An elliptic key that only signs."""

    def __init__(self, signer: Signer, public_key: ec.EllipticCurvePublicKey) -> None:
        """``public_key`` is that of the signer's certificate."""
        self._signer = signer
        self._public_key = public_key

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        """The key's curve."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve's order."""
        return self._public_key.key_size

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """The signer's signature; its suite, not the caller, decides the algorithm."""
        if getattr(signature_algorithm.algorithm, "name", "") != hash_of(self).name:
            _never()
        return self._signer.sign(bytes(data))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:  # noqa: ARG002
        """Refuses."""
        _never()

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """Refuses."""
        _never()

    def private_bytes(self, *_args: Any, **_named: Any) -> bytes:
        """Refuses."""
        _never()

    def __copy__(self) -> LentEllipticKey:
        """Itself: there is one key."""
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> LentEllipticKey:
        """Itself: there is one key."""
        return self


class LentRsaKey(rsa.RSAPrivateKey):
    """An RSA key that only signs."""

    def __init__(self, signer: Signer, public_key: rsa.RSAPublicKey) -> None:
        """``public_key`` is that of the signer's certificate."""
        self._signer = signer
        self._public_key = public_key

    def public_key(self) -> rsa.RSAPublicKey:
        """The public half."""
        return self._public_key

    @property
    def key_size(self) -> int:
        """Bits of the modulus."""
        return self._public_key.key_size

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:
        """The signer's signature; its suite, not the caller, decides the algorithm."""
        if padding.name != "EMSA-PKCS1-v1_5" or algorithm.name != hash_of(self).name:
            _never()
        return self._signer.sign(bytes(data))

    def decrypt(self, ciphertext: Any, padding: Any) -> bytes:  # noqa: ARG002
        """Refuses."""
        _never()

    def private_numbers(self) -> rsa.RSAPrivateNumbers:
        """Refuses."""
        _never()

    def private_bytes(self, *_args: Any, **_named: Any) -> bytes:
        """Refuses."""
        _never()

    def __copy__(self) -> LentRsaKey:
        """Itself: there is one key."""
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> LentRsaKey:
        """Itself: there is one key."""
        return self
