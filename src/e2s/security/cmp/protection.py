"""Who wrote a message: who shares the secret, or the holder of a certificate (RFC 9810, 5.1.3; RFC 9481)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.password_mac import Way, mac_algorithm, password_mac, way_of
from e2s.crypto.ports import Signer
from e2s.security.cmp.header import Header
from e2s.security.cmp.message import Message, Part, protected_part, write_message
from e2s.security.cmp.pieces import directory_name, name_within
from e2s.security.verification import signatures


class Protector(Protocol):
    """Port: protects messages in one's name."""

    @property
    def certificates(self) -> Sequence[Certificate]:
        """Those that stand beside the message."""

    def begin(self, header: Header) -> Header:
        """The header with its sender, key and algorithm."""

    def protect(self, header: Header, protected: bytes) -> bytes:
        """The protection over what is protected."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Protects by a secret that both sides know; ``sender`` is a GeneralName that stays as it is if empty."""

    reference: bytes
    secret: bytes = field(repr=False)
    random: Callable[[int], bytes] = field(repr=False)
    way: Way = "pbmac1"
    sender: bytes = b""
    certificates: tuple[Certificate, ...] = field(default=(), repr=False)

    def begin(self, header: Header) -> Header:
        """The reference names the secret (RFC 9483, 3.1)."""
        return replace(
            header,
            sender=self.sender or header.sender,
            sender_key=self.reference,
            algorithm=mac_algorithm(self.way, self.random),
        )

    def protect(self, header: Header, protected: bytes) -> bytes:
        """The MAC."""
        return password_mac(header.algorithm, self.secret, protected)


@dataclass(frozen=True, kw_only=True)
class Signed:
    """Protects by a signature; the signer's certificate stands first beside the message (RFC 9483, 3.3)."""

    signer: Signer

    @property
    def certificates(self) -> Sequence[Certificate]:
        """The signer's, and its issuers'."""
        return (self.signer.certificate, *self.signer.chain)

    def begin(self, header: Header) -> Header:
        """The sender is the certificate's subject, the key its identifier."""
        certificate = self.signer.certificate
        return replace(
            header,
            sender=directory_name(certificate.slices.subject),
            sender_key=certificate.key_id or b"",
            algorithm=self.signer.suite.signature_algorithm,
        )

    def protect(self, header: Header, protected: bytes) -> bytes:  # noqa: ARG002 - as the port
        """The signature."""
        return self.signer.sign(protected)


def protected_message(
    header: Header, body: Part, protector: Protector, certificates: Sequence[Certificate] = ()
) -> bytes:
    """A message in the name of ``protector``, with ``certificates`` beside it, DER."""
    header = protector.begin(header)
    protection = protector.protect(header, protected_part(header, body))
    beside = tuple(dict.fromkeys((*protector.certificates, *certificates)))
    return write_message(header, body, protection, beside)


def way_protected(message: Message) -> Way | None:
    """By which way of sharing a secret it is protected; None for a signature.

    Raises :class:`Refusal` ``cmp-unprotected``.
    """
    if not message.protection:
        raise Refusal("cmp-unprotected", "the message is not protected")
    return way_of(message.header.algorithm)


def check_shared(message: Message, secret: bytes) -> None:
    """Raise :class:`Refusal` ``cmp-protection`` unless whoever knows ``secret`` wrote the message.

    Raises ``mac-algorithm`` or ``mac-iterations`` where it is computed in a way that is not accepted.
    """
    if not hmac.compare_digest(
        password_mac(message.header.algorithm, secret, message.protected), message.protection
    ):
        raise Refusal("cmp-protection", "the message was not written by who knows the secret, or was altered")


def check_signed(message: Message) -> Certificate:
    """The certificate whose key signed the message; whether it is to be trusted is another question.

    It stands first beside the message, and is the sender's (RFC 9483, 3.1 and 3.3).  Raises :class:`Refusal`
    ``cmp-no-certificate``, ``cmp-sender`` or ``cmp-protection``.
    """
    if not message.certificates:
        raise Refusal("cmp-no-certificate", "the signer's certificate stands beside a signed message")
    return check_signed_by(message, message.certificates[0])


def check_signed_by(message: Message, certificate: Certificate) -> Certificate:
    """``certificate``, whose key signed the message; raises as :func:`check_signed` does."""
    header, slices = message.header, certificate.slices
    if name_within(header.sender) != slices.subject:
        raise Refusal("cmp-sender", "the sender is another than the signer's certificate names")
    if header.sender_key and certificate.key_id is not None and header.sender_key != certificate.key_id:
        raise Refusal("cmp-sender", "the sender's key is another than the signer's certificate names")
    if not signatures.good(
        certificate.public_key, header.algorithm, message.protection, message.protected, certificate.spki
    ):
        raise Refusal("cmp-protection", "the message is not signed by its sender, or was altered")
    return certificate
