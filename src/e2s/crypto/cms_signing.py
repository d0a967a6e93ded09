"""SignedData is written by splicing: all that is the signer's own is encoded once, the rest per message.

One SignerInfo with five signed attributes: contentType, messageDigest, signingTime (RFC 5652, 11),
signingCertificateV2 (RFC 5035, 3) and CMSAlgorithmProtection (RFC 6211, 2); nothing unsigned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.crypto.suites import SignatureSuite, protection_of, signature_suite_of

_SIGNED_DATA = der.oid(oids.SIGNED_DATA)
_MARK = 0xA5


@dataclass(frozen=True)
class _Template:
    """The constant octets of one signer's messages of one content type."""

    suite: SignatureSuite
    before_content: bytes
    content_type: bytes
    after_content: bytes
    before_attributes: bytes
    after_attributes: bytes


def sign(
    content: bytes,
    content_type: str,
    signer: Signer,
    at: datetime,
    *,
    detached: bool = False,
    certificates: Sequence[Certificate] = (),
) -> bytes:
    """A ContentInfo with ``content`` signed by ``signer``, who says that it is ``at``.

    The signer's certificate and chain are inside, and ``certificates`` besides; with ``detached`` the
    content is not.
    """
    time = der.time(at)
    template = _template(signer.certificate, tuple(signer.chain), tuple(certificates), content_type)
    suite = template.suite
    head, middle, tail = attribute_parts(signer.certificate, content_type, len(time))
    attributes = b"".join((head, time, middle, suite.digest(content).digest(), tail))
    size = len(attributes)
    signature = signer.sign(der.header(der.SET, size) + attributes)
    info = b"".join(
        (
            template.before_attributes,
            der.header(0xA0, size),
            attributes,
            template.after_attributes,
            der.header(der.OCTET_STRING, len(signature)),
            signature,
        )
    )
    info = der.tlv(der.SET, der.tlv(der.SEQUENCE, info))
    return _wrap(template, () if detached else (content,), info)


def _wrap(template: _Template, content: tuple[bytes, ...], infos: bytes) -> bytes:
    """The ContentInfo round content (none if detached) and SignerInfos, joined once."""
    inner: tuple[bytes, ...] = ()
    size = len(template.content_type)
    if content:
        octets = der.header(der.OCTET_STRING, len(content[0]))
        explicit = der.header(0xA0, len(octets) + len(content[0]))
        inner = (explicit, octets, content[0])
        size += sum(map(len, inner))
    encapsulated = der.header(der.SEQUENCE, size)
    size += len(encapsulated) + len(template.before_content) + len(template.after_content) + len(infos)
    data = der.header(der.SEQUENCE, size)
    explicit = der.header(0xA0, size + len(data))
    size += len(data) + len(explicit) + len(_SIGNED_DATA)
    return b"".join(
        (
            der.header(der.SEQUENCE, size),
            _SIGNED_DATA,
            explicit,
            data,
            template.before_content,
            encapsulated,
            template.content_type,
            *inner,
            template.after_content,
            infos,
        )
    )


@lru_cache(maxsize=256)
def _template(
    certificate: Certificate,
    chain: tuple[Certificate, ...],
    others: tuple[Certificate, ...],
    content_type: str,
) -> _Template:
    """Encode what does not change between messages."""
    suite = signature_suite_of(certificate.public_key)
    kind = der.oid(content_type)
    inside = {one.der for one in (certificate, *chain, *others)}
    return _Template(
        suite=suite,
        # RFC 5652, 5.1: version 3 unless the content is id-data
        before_content=der.integer(1 if content_type == oids.DATA else 3)
        + der.tlv(der.SET, suite.digest_algorithm),
        content_type=kind,
        after_content=der.set_of(inside, 0xA0),
        before_attributes=der.integer(1) + certificate.issuer_and_serial + suite.digest_algorithm,
        after_attributes=suite.signature_algorithm,
    )


def attribute(oid: str, value: bytes) -> bytes:
    """An Attribute with one value."""
    return der.sequence(der.oid(oid), der.tlv(der.SET, value))


def signing_certificate(digest: bytes) -> bytes:
    """SigningCertificateV2 with one ESSCertIDv2, SHA-256 by default, without issuerSerial."""
    return der.sequence(der.sequence(der.sequence(der.octet_string(digest))))


@lru_cache(maxsize=1024)
def attribute_parts(
    certificate: Certificate, content_type: str, time_size: int
) -> tuple[bytes, bytes, bytes]:
    """The five attributes in DER's order, cut where the time and the digest stand.

    The order of a SET OF is decided before any variable octet: the identifiers differ.
    """
    suite = signature_suite_of(certificate.public_key)
    time_mark, digest_mark = bytes((_MARK,)) * time_size, bytes((_MARK,)) * suite.digest_size
    protection = protection_of(suite.digest_algorithm, suite.signature_algorithm)
    time_attribute = attribute(oids.SIGNING_TIME, time_mark)
    digest_attribute = attribute(oids.MESSAGE_DIGEST, der.octet_string(digest_mark))
    ordered = sorted(
        (
            attribute(oids.CONTENT_TYPE, der.oid(content_type)),
            time_attribute,
            digest_attribute,
            attribute(oids.SIGNING_CERTIFICATE_V2, signing_certificate(certificate.digest)),
            attribute(oids.ALGORITHM_PROTECTION, protection),
        )
    )
    time_at, digest_at = ordered.index(time_attribute), ordered.index(digest_attribute)
    if time_at > digest_at:
        raise AssertionError("a signing time is shorter than a message digest, so it comes first")
    head = b"".join(ordered[: time_at + 1])[:-time_size]
    middle = b"".join(ordered[time_at + 1 : digest_at + 1])[: -suite.digest_size]
    return head, middle, b"".join(ordered[digest_at + 1 :])
