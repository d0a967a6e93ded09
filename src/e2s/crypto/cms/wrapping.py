"""One content key goes to each recipient by the way of its key: RecipientInfos as they are written.

KeyTransRecipientInfo and KeyAgreeRecipientInfo (RFC 5652, 6.2), and KEMRecipientInfo (RFC 9629, 3).
All recipients of one agreement suite share one ephemeral key (RFC 5753, 3.1): what differs is their
secret, so each has a key-encryption key of its own.  What never changes of a recipient's part is encoded
once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.openers import key_for, oaep_of
from e2s.crypto.suites import (
    OAEP,
    PKCS1_ALGORITHM,
    WRAP_ALGORITHM,
    Derivation,
    SealingSuite,
    sealing_suite,
    sealing_suite_of,
    sealing_suites_of,
)

MAX_RECIPIENTS: Final = 1000
#: Octets of a content key as written, and wrapped.
KEY_SIZE: Final = 32
WRAPPED_SIZE: Final = KEY_SIZE + 8

#: Tags of the choices of RecipientInfo that are neither plain nor refused.
KEY_AGREEMENT: Final = 0xA1
OTHER: Final = 0xA4
_EC_KEY = der.oid(oids.EC_PUBLIC_KEY)
_ORIGINATORS = {
    "ec": der.sequence(_EC_KEY),
    "x25519": der.sequence(der.oid(oids.X25519)),
    "x448": der.sequence(der.oid(oids.X448)),
}
_ORI_KEM = der.oid(oids.ORI_KEM)
CIPHERTEXT_SIZES = {"ml-kem-768": 1088, "ml-kem-1024": 1568}
_RAW = (Encoding.Raw, PublicFormat.Raw)
_UNCOMPRESSED = (Encoding.X962, PublicFormat.UncompressedPoint)
_OAEP, _PKCS1, _ECDH = oaep_of(OAEP), padding.PKCS1v15(), ec.ECDH()

Random: TypeAlias = Callable[[int], bytes]


class Target:
    """One recipient under one suite: its key, and the octets before and after what varies."""

    __slots__ = ("after", "before", "public_key", "suite")

    def __init__(self, recipient: Certificate, suite: SealingSuite) -> None:
        self.suite = suite
        self.public_key: Any = recipient.public_key
        self.before, self.after = _constants(recipient, suite)


@lru_cache(maxsize=4096)
def target_of(recipient: Certificate, suite: SealingSuite | None) -> Target:
    """The recipient's constants under ``suite`` or its key's default."""
    return Target(recipient, suite or sealing_suite_of(recipient.public_key))


def chosen(recipients: Sequence[Certificate], suites: Sequence[str] = ()) -> list[Target]:
    """Each recipient with the first of ``suites`` that seals to its key, or its default without any.

    Raises :class:`Misuse` ``bad-recipients`` and ``mixed-suites``, :class:`Refusal` ``suite-unknown``.
    """
    if suites:
        wanted = [sealing_suite(name) for name in suites]
        found = [target_of(recipient, _fitting(recipient, wanted)) for recipient in recipients]
    else:
        found = [target_of(recipient, None) for recipient in recipients]
    # one target for one certificate, as long as it is remembered
    if not 0 < len(found) <= MAX_RECIPIENTS or (len(found) > 1 and len(set(found)) != len(found)):
        raise Misuse(
            "bad-recipients", "an envelope has distinct recipients, at least one", most=MAX_RECIPIENTS
        )
    if suites and len({target.suite.old for target in found}) != 1:
        raise Misuse("mixed-suites", "one envelope cannot be both of an old suite and of a new one")
    return found


def _fitting(recipient: Certificate, wanted: Sequence[SealingSuite]) -> SealingSuite:
    of_key = sealing_suites_of(recipient.public_key)
    for suite in wanted:
        if suite in of_key:
            return suite
    raise Refusal(
        "suite-unknown", "none of these suites seals to the recipient's key", recipient=recipient.id
    )


def recipient_infos(targets: Sequence[Target], key: bytes, random: Random) -> list[bytes]:
    """The RecipientInfos that bring ``key``, of :data:`KEY_SIZE` octets, to all of them.

    ``random`` makes the ephemeral keys; OAEP and encapsulation take the library's own octets.
    """
    meter.count("agree", len(targets))
    infos: list[bytes] = []
    group: Sequence[Target]
    groups: dict[SealingSuite, list[Target]] = {}
    if len(targets) > 1:
        for target in targets:
            groups.setdefault(target.suite, []).append(target)
    for suite, group in groups.items() or ((targets[0].suite, targets),):
        if suite.derivation is None:
            infos += _transports(suite, group, key)
        elif suite.kdf_algorithm:
            infos += _encapsulations(suite.derivation, group, key)
        else:
            infos.append(_agreement(suite, suite.derivation, group, key, random))
    return infos


def wrapped(target: Target, key: bytes, random: Random) -> tuple[bytes, bytes]:
    """What varies of the one recipient's part: a point or ciphertext, and the wrapped key if there is one."""
    meter.count("agree")
    suite, derivation = target.suite, target.suite.derivation
    if derivation is None:
        return target.public_key.encrypt(key, _OAEP), b""
    if suite.kdf_algorithm:
        secret, ciphertext = target.public_key.encapsulate()
        return ciphertext, aes_key_wrap(derivation.key(secret, derivation.encapsulation_info, b""), key)
    point, keys = _agreed(suite, derivation, (target,), key, random)
    return point, keys[0]


def _transports(suite: SealingSuite, group: Sequence[Target], key: bytes) -> list[bytes]:
    """KeyTransRecipientInfos (RFC 5652, 6.2.1) by RSA."""
    form = _PKCS1 if suite.algorithm == PKCS1_ALGORITHM else _OAEP
    return [target.before + target.public_key.encrypt(key, form) for target in group]


def _encapsulations(derivation: Derivation, group: Sequence[Target], key: bytes) -> list[bytes]:
    """KEMRecipientInfos (RFC 9629, 3); each recipient has a secret of its own."""
    derive, info, infos = derivation.key, derivation.encapsulation_info, []
    for target in group:
        secret, ciphertext = target.public_key.encapsulate()
        wrapped = aes_key_wrap(derive(secret, info, b""), key)
        infos.append(b"".join((target.before, ciphertext, target.after, wrapped)))
    return infos


def _agreement(
    suite: SealingSuite, derivation: Derivation, group: Sequence[Target], key: bytes, random: Random
) -> bytes:
    """KeyAgreeRecipientInfo (RFC 5652, 6.2.2) with one originator key for all of ``group``."""
    point, keys = _agreed(suite, derivation, group, key, random)
    return agreement_info(
        suite, point, b"".join([target.before + one for target, one in zip(group, keys, strict=True)])
    )


def _agreed(
    suite: SealingSuite, derivation: Derivation, group: Sequence[Target], key: bytes, random: Random
) -> tuple[bytes, list[bytes]]:
    """An ephemeral key's point, and ``key`` wrapped for each of ``group``."""
    own: Any = key_for(suite, random)
    point = own.public_key().public_bytes(*(_RAW if suite.curve is None else _UNCOMPRESSED))
    exchange, derive, info = own.exchange, derivation.key, derivation.agreement_info
    try:
        if suite.curve is None:
            secrets = [exchange(target.public_key) for target in group]
        else:
            secrets = [exchange(_ECDH, target.public_key) for target in group]
    except ValueError as error:
        # RFC 8418, 5: a certificate may bring a point of small order, whose secret everyone knows
        raise Refusal("invalid-point", "a recipient's key is no point to agree with") from error
    return point, [aes_key_wrap(derive(secret, info, b""), key) for secret in secrets]


def agreement_info(suite: SealingSuite, point: bytes, keys: bytes) -> bytes:
    """The KeyAgreeRecipientInfo of an originator's ``point`` and the RecipientEncryptedKeys ``keys``."""
    before = _before(suite, len(point)) + point + suite.algorithm + der.header(der.SEQUENCE, len(keys))
    return b"".join((der.header(KEY_AGREEMENT, len(before) + len(keys)), before, keys))


@lru_cache(maxsize=64)
def _before(suite: SealingSuite, size: int) -> bytes:
    """A KeyAgreeRecipientInfo up to the originator's point of ``size`` octets."""
    key = _ORIGINATORS[suite.kind] + der.header(der.BIT_STRING, size + 1) + b"\x00"
    original = der.header(0xA1, len(key) + size) + key
    return der.integer(3) + der.header(0xA0, len(original) + size) + original


def _constants(recipient: Certificate, suite: SealingSuite) -> tuple[bytes, bytes]:
    """What stands before and after the octets of this message in the recipient's part."""
    if suite.derivation is None:
        size = (recipient.public_key.key_size + 7) // 8  # type: ignore[union-attr]  # an RSA key's
        inside = der.integer(0) + recipient.issuer_and_serial + suite.algorithm + der.header(4, size)
        return der.header(der.SEQUENCE, len(inside) + size) + inside, b""
    if not suite.kdf_algorithm:
        inside = _key_named(recipient) + der.header(der.OCTET_STRING, WRAPPED_SIZE)
        return der.header(der.SEQUENCE, len(inside) + WRAPPED_SIZE) + inside, b""
    size = CIPHERTEXT_SIZES[suite.kind]
    inside = der.integer(0) + _named(recipient) + suite.algorithm + der.header(der.OCTET_STRING, size)
    after = (
        suite.kdf_algorithm
        + der.integer(suite.derivation.size)
        + WRAP_ALGORITHM
        + der.header(der.OCTET_STRING, WRAPPED_SIZE)
    )
    size += len(inside) + len(after) + WRAPPED_SIZE
    head = _ORI_KEM + der.header(der.SEQUENCE, size)
    return der.header(OTHER, len(head) + size) + head + inside, after


def _named(recipient: Certificate) -> bytes:
    """RecipientIdentifier: the key's identifier where the certificate has one, it is shorter."""
    if recipient.key_id is None:
        return recipient.issuer_and_serial
    return der.tlv(0x80, recipient.key_id)


def _key_named(recipient: Certificate) -> bytes:
    """KeyAgreeRecipientIdentifier, likewise."""
    if recipient.key_id is None:
        return recipient.issuer_and_serial
    return der.tlv(0xA0, der.octet_string(recipient.key_id))
