"""A private key is behind a port: what holds it may be a file, a card or another process.

``Signer`` and ``Opener`` each do one thing with a key that never comes out; the suite follows the key.
"""

from __future__ import annotations

from typing import Protocol

from e2s.crypto.certificates import Certificate


class Signer(Protocol):
    """Port: signs in the name of a certificate."""

    @property
    def certificate(self) -> Certificate:
        """The signer's certificate."""

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """Its issuers, nearest first, without the root."""

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data`` by the key's suite; may ask the holder for a pass phrase."""


class Opener(Protocol):
    """Port: reaches content keys that were sealed to a certificate."""

    @property
    def certificate(self) -> Certificate:
        """The recipient's certificate."""

    def agree(self, peer_spki: bytes) -> bytes:
        """The raw shared secret with a peer's ephemeral key (SubjectPublicKeyInfo, DER).

        Raises :class:`~e2s.base.errors.Refusal` for a key of another kind or an invalid point.
        """

    def unwrap(self, wrapped: bytes) -> bytes:
        """The content key in an RSA-OAEP (SHA-256, MGF1 with SHA-256) ciphertext; raises ``Refusal``."""
