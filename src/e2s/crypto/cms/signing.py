"""SignedData is written by splicing: all that is the signer's own is encoded once, the rest per message.

One SignerInfo with five signed attributes: contentType, messageDigest, signingTime (RFC 5652, 11),
signingCertificateV2 (RFC 5035, 3) and CMSAlgorithmProtection (RFC 6211, 2), and besides what the caller
gives.  E2S's own acts have those five and nothing unsigned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from e2s.base.errors import Misuse
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.attributes import MAX_ATTRIBUTES, Holes, attribute_type, layout, with_further
from e2s.crypto.ports import Signer
from e2s.crypto.suites import SignatureSuite, check_suite

_SIGNED_DATA = der.oid(oids.SIGNED_DATA)


@dataclass(frozen=True)
class Template:
    """The constant octets of one signer's messages of one content type."""

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
    signed_attributes: Sequence[bytes] = (),
    unsigned_attributes: Sequence[bytes] = (),
) -> bytes:
    """A ContentInfo with ``content`` signed by ``signer``'s suite, who says that it is ``at``.

    The signer's certificate and chain are inside, and ``certificates`` besides; with ``detached`` the
    content is not.  ``signed_attributes`` (besides the five) and ``unsigned_attributes`` are each an encoded
    Attribute; a message with any is read only under :data:`~e2s.crypto.cms.FOREIGN`.  Raises
    :class:`Misuse` ``cms-attribute`` or ``wrong-suite``.
    """
    suite = signer.suite
    digest = suite.digest(content).digest()
    template = template_of(signer, certificates, content_type)
    attributes = signed_of(signer, content_type, digest, at, signed_attributes)
    info = signer_info(template, attributes, signer, unsigned_attributes)
    return wrapped(template, () if detached else (content,), der.tlv(der.SET, info))


def signed_of(
    signer: Signer, content_type: str, digest: bytes, at: datetime, further: Sequence[bytes] = ()
) -> bytes:
    """The signed attributes over ``digest``, without the SET's header."""
    time = der.time(at)
    holes = Holes(time, digest, signer.certificate.digest)
    attributes = layout(signer.suite, content_type, len(time)).write(holes)
    return with_further(attributes, further) if further else attributes


def signer_info(
    template: Template, attributes: bytes, signer: Signer, unsigned_attributes: Sequence[bytes] = ()
) -> bytes:
    """The SignerInfo (RFC 5652, 5.3), its attributes signed by ``signer``."""
    size = len(attributes)
    signature = signer.sign(der.header(der.SET, size) + attributes)
    info = (
        template.before_attributes,
        der.header(0xA0, size),
        attributes,
        template.after_attributes,
        der.header(der.OCTET_STRING, len(signature)),
        signature,
        _unsigned(unsigned_attributes) if unsigned_attributes else b"",
    )
    return der.tlv(der.SEQUENCE, b"".join(info))


def _unsigned(attributes: Sequence[bytes]) -> bytes:
    """The unsigned attributes; one type may stand there several times (RFC 5652, 11.4)."""
    for one in attributes:
        attribute_type(one)
    if len(attributes) > MAX_ATTRIBUTES:
        raise Misuse("cms-attribute", "more attributes than are read", most=MAX_ATTRIBUTES)
    return der.set_of(attributes, 0xA1)


def wrapped(template: Template, content: tuple[bytes, ...], infos: bytes) -> bytes:
    """The ContentInfo round content (none if detached) and SignerInfos, joined once."""
    if not content:
        return b"".join(around(template, None, infos))
    before, after = around(template, len(content[0]), infos)
    return b"".join((before, content[0], after))


def around(template: Template, size: int | None, infos: bytes) -> tuple[bytes, bytes]:
    """What stands before and after ``size`` octets of content (None if detached) in the ContentInfo."""
    inner = b""
    inside = len(template.content_type)
    if size is not None:
        octets = der.header(der.OCTET_STRING, size)
        inner = der.header(0xA0, len(octets) + size) + octets
        inside += len(inner) + size
    encapsulated = der.header(der.SEQUENCE, inside)
    inside += len(encapsulated) + len(template.before_content) + len(template.after_content) + len(infos)
    data = der.header(der.SEQUENCE, inside)
    explicit = der.header(0xA0, inside + len(data))
    inside += len(data) + len(explicit) + len(_SIGNED_DATA)
    before = (
        der.header(der.SEQUENCE, inside),
        _SIGNED_DATA,
        explicit,
        data,
        template.before_content,
        encapsulated,
        template.content_type,
        inner,
    )
    return b"".join(before), template.after_content + infos


def template_of(signer: Signer, certificates: Sequence[Certificate], content_type: str) -> Template:
    """The template of a signer's messages; raises :class:`Misuse` ``wrong-suite``."""
    return _template(signer.certificate, tuple(signer.chain), tuple(certificates), content_type, signer.suite)


@lru_cache(maxsize=256)
def _template(
    certificate: Certificate,
    chain: tuple[Certificate, ...],
    others: tuple[Certificate, ...],
    content_type: str,
    suite: SignatureSuite,
) -> Template:
    """Encode what does not change between messages."""
    check_suite(suite, certificate.public_key, certificate.spki)
    inside = {one.der for one in (certificate, *chain, *others)}
    return Template(
        # RFC 5652, 5.1: version 3 unless the content is id-data
        before_content=der.integer(1 if content_type == oids.DATA else 3)
        + der.tlv(der.SET, suite.digest_algorithm),
        content_type=der.oid(content_type),
        after_content=der.set_of(inside, 0xA0),
        before_attributes=der.integer(1) + certificate.issuer_and_serial + suite.digest_algorithm,
        after_attributes=suite.signature_algorithm,
    )
