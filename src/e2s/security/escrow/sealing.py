"""A private key is sealed under a fresh key of its own, and that one is split among officers.

Whoever deposits does this; what she hands over opens for no single person, nor for the vault.  Every share
and the key itself are committed to, so that a wrong one is found before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from cryptography import x509
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import Document, b64u
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.opening import open_sealed
from e2s.crypto.cms.sealing import seal
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey, kind_of
from e2s.crypto.ports import Opener
from e2s.crypto.suites import sealing_suites_of
from e2s.security.escrow.policy import Policy
from e2s.security.escrow.sharing import SIZE, Share, joined, read_share, split
from e2s.security.escrow.words import digest_of

Random = Callable[[int], bytes]
_NONCE: Final = 12
#: A share is sealed with zeros behind it: envelopes of this size are in the usual form, which opens quickly.
_PADDED: Final = 256
MAX_SEALED_BYTES: Final = 16 * 1024
_KEY, _SHARE = b"e2s/1/escrow-key\0", b"e2s/1/escrow-share\0"
#: What a key that may be kept does not say that it does.
_SIGNING: Final = frozenset(
    (
        *oids.SIGNING.values(),
        oids.COMPONENT,
        oids.EKU_SERVER,
        oids.EKU_CLIENT,
        oids.EKU_CODE,
        oids.EKU_DOCUMENT,
        oids.EKU_OCSP,
        oids.EKU_TIME_STAMPING,
    )
)


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """A deposit before the vault has it: ``said`` goes into its word, the rest is kept beside."""

    said: Document
    key: bytes = field(repr=False)
    shares: Mapping[str, bytes] = field(repr=False)


def check_keepable(certificate: Certificate, key: PrivateKey | None = None) -> None:
    """Raise :class:`Refusal` ``signing-key`` unless the certificate's key only opens what was sealed (K3).

    By its kind, its key usage, which must be said (RFC 5280, 4.2.1.3), and its purposes.  Raises
    :class:`Misuse` ``key-mismatch`` where ``key`` is another.
    """
    usage = certificate.values.get(x509.KeyUsage)
    opens = usage is not None and (usage.key_agreement or usage.key_encipherment or usage.data_encipherment)
    signs = usage is None or (
        usage.digital_signature or usage.content_commitment or usage.key_cert_sign or usage.crl_sign
    )
    if signs or not opens or certificate.ekus & _SIGNING or not sealing_suites_of(certificate.public_key):
        sentence = "keys that sign are not kept: who has one can sign in its holder's name"
        raise Refusal("signing-key", sentence, certificate=certificate.id)
    if key is not None and spki_of(key.public_key()) != certificate.spki:
        raise Misuse("key-mismatch", "the certificate is not for this private key")


def sealed(
    holder: str,
    certificate: Certificate,
    key: PrivateKey,
    policy: Policy,
    random: Random,
    *,
    drill: bool = False,
) -> Sealed:
    """``key`` under a fresh key, and a share of that for each officer of the policy, sealed to hers.

    Raises what :func:`check_keepable` does, and :class:`Refusal` ``other-holder``.
    """
    check_keepable(certificate, key)
    if holder not in certificate.names:
        raise Refusal("other-holder", "the certificate does not name this holder", holder=holder[:255])
    secret, nonce = random(SIZE), random(_NONCE)
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    kept = nonce + AESGCM(secret).encrypt(nonce, plain, certificate.digest)
    shares = split(
        secret,
        threshold=policy.threshold,
        indices=range(1, len(policy.officers) + 1),
        random=random,
        alone=policy.alone,
    )
    boxes, rows = {}, []
    for officer, share in zip(policy.officers, shares, strict=True):
        box, row = boxed(share, officer.name, officer.certificate, certificate, random)
        boxes[officer.name] = box
        rows.append(row)
    said: Document = {
        "policy": policy.id,
        "holder": holder,
        "certificate": b64u(certificate.der),
        "key": commitment_to_key(secret, certificate),
        "sealed": digest_of(kept),
        "drill": drill,
        "shares": rows,
    }
    return Sealed(said=said, key=kept, shares=boxes)


def boxed(
    share: Share, officer: str, to: Certificate, certificate: Certificate, random: Random
) -> tuple[bytes, Document]:
    """The share sealed to an officer, and its row in the word that hands it over."""
    box = seal_share(share, to, random)
    row: Document = {
        "officer": officer,
        "index": share.point,
        "commitment": commitment_to(share, certificate),
        "sealed": digest_of(box),
    }
    return box, row


def seal_share(share: Share, to: Certificate, random: Random) -> bytes:
    """The share, for the holder of ``to`` alone."""
    return seal(share.encoded().ljust(_PADDED, b"\0"), oids.DATA, [to], random)


def open_share(box: bytes, opener: Opener, certificate: Certificate, commitment: str, index: int) -> Share:
    """The share in ``box``; raises ``bad-envelope``, ``wrong-share`` where it is not the one committed to."""
    _, octets = open_sealed(box, opener, max_bytes=MAX_SEALED_BYTES)
    if len(octets) != _PADDED or any(octets[SIZE + 1 :]):
        raise Refusal("bad-share", "a share is followed by zeros")
    share = read_share(octets[: SIZE + 1])
    if share.point != index or commitment_to(share, certificate) != commitment:
        raise Refusal("wrong-share", "the share is not the one that was deposited", index=index)
    return share


def opened(kept: bytes, secret: bytes, certificate: Certificate, commitment: str) -> PrivateKey:
    """The private key; raises :class:`Refusal` ``wrong-shares``, ``altered-deposit``, ``key-mismatch``."""
    if commitment_to_key(secret, certificate) != commitment:
        raise Refusal("wrong-shares", "the shares do not give the key of this deposit")
    try:
        plain = AESGCM(secret).decrypt(kept[:_NONCE], kept[_NONCE:], certificate.digest)
    except (InvalidTag, ValueError) as error:
        raise Refusal("altered-deposit", "what was deposited was altered") from error
    try:
        key = load_der_private_key(plain, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refusal("bad-key", "the deposit holds no key that can be read") from error
    if not kind_of(key.__class__) or spki_of(cast(PrivateKey, key).public_key()) != certificate.spki:
        raise Refusal("key-mismatch", "the deposit holds another key than its certificate's")
    return cast(PrivateKey, key)


def recovered(
    kept: bytes, shares: Sequence[Share], certificate: Certificate, *, threshold: int, commitment: str
) -> PrivateKey:
    """The private key from ``threshold`` of the shares; raises as :func:`opened`, ``too-few-shares``."""
    return opened(kept, joined(shares, threshold=threshold), certificate, commitment)


def commitment_to(share: Share, certificate: Certificate) -> str:
    """What is said of a share without saying it; a share is random, so it hides."""
    return digest_of(_SHARE + certificate.digest + share.encoded())


def commitment_to_key(secret: bytes, certificate: Certificate) -> str:
    """The same of the key that the shares give."""
    return digest_of(_KEY + certificate.digest + secret)
