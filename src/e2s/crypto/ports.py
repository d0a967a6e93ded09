"""A private key is behind a port: what holds it may be a file, a card or another process.

``Signer`` and ``Opener`` each do one thing with a key that never comes out.  A key has suites, and a
signer signs by one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from e2s.crypto.certificates import Certificate
from e2s.crypto.suites import OAEP, SignatureSuite, Transport


class Signer(Protocol):
    """Port: signs in the name of a certificate."""

    @property
    def certificate(self) -> Certificate:
        """The signer's certificate."""

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """Its issuers, nearest first, without the root."""

    @property
    def suite(self) -> SignatureSuite:
        """How :meth:`sign` signs: one of the suites of the certificate's key."""

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data`` by :attr:`suite`; may ask the holder for a pass phrase."""


@runtime_checkable
class SignerOfMany(Protocol):
    """Port: what a signer also is that signs many at less cost than each by itself."""

    def sign_all(self, data: Sequence[bytes]) -> list[bytes]:
        """The signatures over each of ``data``, in their order."""


@runtime_checkable
class Renewed(Protocol):
    """Port: what a signer also is whose certificate may be renewed while it is used."""

    @property
    def now(self) -> Signer:
        """The signer as it stands: what is begun with it is ended with it."""


class Opener(Protocol):
    """Port: reaches content keys that were sealed to a certificate."""

    @property
    def certificate(self) -> Certificate:
        """The recipient's certificate."""

    def agree(self, peer_spki: bytes) -> bytes:
        """The raw shared secret with a peer's ephemeral key (SubjectPublicKeyInfo, DER).

        Raises :class:`~e2s.base.errors.Refusal` for a key of another kind or an invalid point.
        """

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The secret in a ciphertext of the key's encapsulation; an altered one gives one known to nobody.

        Raises :class:`~e2s.base.errors.Refusal` for a key of another kind or a ciphertext of another size.
        """

    def unwrap(self, wrapped: bytes, transport: Transport = OAEP) -> bytes:
        """The content key in an RSA-OAEP ciphertext (SHA-256 throughout if not said); raises ``Refusal``."""

    def unwrap_old(self, wrapped: bytes, size: int) -> bytes:
        """The content key of ``size`` octets in a PKCS#1 v1.5 ciphertext, of old peers only.

        Where there is none of that size, a key in its place that nobody knows, the same one for the same
        ciphertext; so nothing tells a good ciphertext from a bad one (RFC 3218, 2.3).
        """
