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
from e2s.crypto.cms.attributes import Holes, layout
from e2s.crypto.ports import Signer
from e2s.crypto.suites import SignatureSuite, signature_suite_of

_SIGNED_DATA = der.oid(oids.SIGNED_DATA)


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
    holes = Holes(time, suite.digest(content).digest(), signer.certificate.digest)
    attributes = layout(suite, content_type, len(time)).write(holes)
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
