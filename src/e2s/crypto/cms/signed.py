"""SignedData is read strictly or not at all, and read before it is believed.

:func:`read_signed` parses; :func:`check_signature` proves who signed; whether that certificate is to be
trusted is the verifier's word.  Exact reading takes only what E2S writes: one signer, its five signed
attributes, the key's own suite.  :data:`FOREIGN` takes other products' messages: still DER and with
signed attributes, but attributes may be fewer or more, and any suite that fits the key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.glance import Glance, Known, glance, remember
from e2s.crypto.cms.said import NONE, Said, said_of, unsigned_of
from e2s.crypto.suites import SignatureSuite, foreign_suite, protection_of, signature_suite_of

_EXPLICIT_0 = 0xA0
_EXPLICIT_1 = 0xA1
_KEY_ID = 0x80
_V1, _V3 = b"\x01", b"\x03"
_MAX_CRLS = 32
#: All certificates together: 32 of the largest post-quantum keys, far from 32 as large as one may be.
_MAX_CERTIFICATE_BYTES = 256 * 1024
MAX_SIGNERS = 16


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is read, whether only E2S's own form is, and what reads a certificate inside."""

    max_bytes: int = 4 * 1024 * 1024
    max_certificates: int = 16
    exact: bool = True
    read: Callable[[bytes], Certificate] = Certificate.read


EXACT = Limits()
FOREIGN = Limits(max_bytes=256 * 1024 * 1024, max_certificates=32, exact=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class Signed:
    """A SignedData as read; nothing is proven before :func:`check_signature`."""

    content_type: str
    content: bytes | None
    certificates: tuple[Certificate, ...]
    crls: tuple[bytes, ...]
    signer_certificate: Certificate
    signature: bytes
    said: Said = field(repr=False)
    digest_algorithm: bytes = field(repr=False)
    signature_algorithm: bytes = field(repr=False)
    attributes: bytes = field(repr=False)
    #: Values of unsigned attributes by type, in others' messages only: nothing proves them.
    unsigned: Mapping[str, bytes] = field(repr=False)
    by_key_id: bool = field(default=False, repr=False)
    exact: bool = True

    @property
    def other_attributes(self) -> Mapping[str, bytes]:
        """Values of the signed attributes beyond the five by type, in others' messages only.

        Where a type has several values, one stands encoded after the other.
        """
        return self.said.other

    @property
    def at(self) -> datetime:
        """The time at which the signer says to have signed; raises ``cms-signing-time`` if it says none."""
        if self.said.signing_time is None:
            raise Refusal("cms-signing-time", "the signer gives no signing time")
        return self.said.signing_time

    @property
    def octets(self) -> bytes:
        """The content, which must be inside; raises ``cms-detached``."""
        if self.content is None:
            raise Refusal("cms-detached", "the content is not inside the message")
        return self.content

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the content inside."""
        return hashlib.sha256(self.octets).digest()


def read_signed(octets: bytes, limits: Limits = EXACT) -> Signed:
    """Read a ContentInfo with SignedData of exactly one signer.

    Raises :class:`Refusal` ``der-...``, ``cms-...``, ``too-large`` or ``bad-certificate``.
    """
    _check_size(octets, limits)
    seen = glance(octets)
    if seen is not None and len(seen[0].certificates) <= limits.max_certificates:
        return _glanced(*seen, exact=limits.exact)
    outer, infos = _signed_data(octets, limits)
    if infos.peek() != der.SEQUENCE:
        raise Refusal("cms-one-signer", "a message has exactly one signer")
    info = infos.enter()
    if infos.pos != infos.end:
        raise Refusal("cms-one-signer", "a message has exactly one signer")
    algorithm, signed = _signer_info(info, outer)
    if oids.MULTIPLE_SIGNATURES in signed.other_attributes:
        raise Refusal("cms-parallel", "the signature names others beside it that are not there")
    if outer.digest_algorithms != algorithm:
        raise Refusal("cms-digest-algorithms", "the message's digest is not its signer's")
    _check_version(outer, (signed,))
    if limits.exact:
        remember(signed.certificates, signed.signer_certificate)
    return signed


def _check_size(octets: bytes, limits: Limits) -> None:
    if len(octets) > limits.max_bytes:
        raise Refusal("too-large", "the message is larger than may be read", size=len(octets))


def _glanced(known: Known, seen: Glance, *, exact: bool) -> Signed:
    """The message of a signer who was recognised."""
    return Signed(
        content_type=seen.content_type,
        content=seen.content,
        certificates=known.certificates,
        crls=(),
        signer_certificate=known.certificate,
        signature=seen.signature,
        said=seen.said,
        digest_algorithm=known.suite.digest_algorithm,
        signature_algorithm=known.suite.signature_algorithm,
        attributes=seen.attributes,
        unsigned=NONE,
        exact=exact,
    )


def read_signers(octets: bytes, limits: Limits = FOREIGN) -> tuple[Signed, ...]:
    """Read a ContentInfo with SignedData of one or more signers: each of them with the whole message.

    Raises what :func:`read_signed` does.  Which of them must be good is the caller's word.
    """
    _check_size(octets, limits)
    outer, infos = _signed_data(octets, limits)
    found = infos.elements(der.SEQUENCE, MAX_SIGNERS)
    if not found:
        raise Refusal("cms-one-signer", "a message has a signer")
    algorithms = der.Reader(outer.digest_algorithms).elements(der.SEQUENCE, MAX_SIGNERS)
    for members in (found, algorithms):
        der.check_order(members)
    read = [_signer_info(der.Reader(one).enter(), outer) for one in found]
    # RFC 5652, 5.1 lets more digests be named than are used; nobody needs them
    if set(algorithms) != {algorithm for algorithm, _signed in read}:
        raise Refusal("cms-digest-algorithms", "the message's digests are not its signers'")
    signers = tuple(signed for _algorithm, signed in read)
    _check_version(outer, signers)
    return signers


class _Outer(NamedTuple):
    """What a SignedData says besides its SignerInfos."""

    version: bytes
    digest_algorithms: bytes
    content_type: str
    content: bytes | None
    certificates: tuple[Certificate, ...]
    crls: tuple[bytes, ...]
    limits: Limits


def _signed_data(octets: bytes, limits: Limits) -> tuple[_Outer, der.Reader]:
    """SignedData in a ContentInfo (RFC 5652, 3 and 5.1), and its SignerInfos unread."""
    whole = der.Reader(octets)
    info = whole.enter()
    whole.done()
    if info.oid() != oids.SIGNED_DATA:
        raise Refusal("cms-content-info", "the message is no SignedData")
    explicit = info.enter(_EXPLICIT_0)
    info.done()
    data = explicit.enter()
    explicit.done()
    version = data.content(der.INTEGER)
    algorithms = data.content(der.SET)
    encapsulated = data.enter()
    content_type = encapsulated.oid()
    content = None
    if encapsulated.pos != encapsulated.end:
        explicit = encapsulated.enter(_EXPLICIT_0)
        content = explicit.content(der.OCTET_STRING)
        explicit.done()
        encapsulated.done()
    certificates = _certificates(data, limits)
    crls = _crls(data, limits)
    infos = data.enter(der.SET)
    data.done()
    return _Outer(version, algorithms, content_type, content, certificates, crls, limits), infos


def _check_version(outer: _Outer, signers: tuple[Signed, ...]) -> None:
    """RFC 5652, 5.1: 3 if a signer is named by key or the content is not id-data, else 1."""
    third = outer.content_type != oids.DATA or any(signed.by_key_id for signed in signers)
    if outer.version != (_V3 if third else _V1):
        raise Refusal("cms-version", "the version does not follow from the content")


def _certificates(data: der.Reader, limits: Limits) -> tuple[Certificate, ...]:
    """CertificateSet (RFC 5652, 10.2.3): plain certificates only, in order when exact."""
    if data.peek() != _EXPLICIT_0:
        return ()
    found = data.enter(_EXPLICIT_0).elements(der.SEQUENCE, limits.max_certificates)
    if sum(map(len, found)) > _MAX_CERTIFICATE_BYTES:
        raise Refusal("too-large", "the certificates together are larger than may be read")
    if limits.exact:
        der.check_order(found)
    return tuple(map(limits.read, found))


def _crls(data: der.Reader, limits: Limits) -> tuple[bytes, ...]:
    """RevocationInfoChoices (RFC 5652, 10.2.1): CRLs only; none in E2S's own messages."""
    if data.peek() != _EXPLICIT_1:
        return ()
    if limits.exact:
        raise Refusal("cms-crls", "revocation data does not travel inside a message")
    # whoever uses a list reads it strictly; here it is only kept
    return tuple(data.enter(_EXPLICIT_1).elements(der.SEQUENCE, _MAX_CRLS))


def _signer_info(info: der.Reader, outer: _Outer) -> tuple[bytes, Signed]:
    """SignerInfo (RFC 5652, 5.3) in the message ``outer``, and its digest's AlgorithmIdentifier."""
    exact = outer.limits.exact
    version = info.content(der.INTEGER)
    by_key_id = version == _V3 and not exact
    if version != _V1 and not by_key_id:
        raise Refusal("cms-version", "the signer's version is unknown here")
    signer = info.content(_KEY_ID) if by_key_id else info.element(der.SEQUENCE)
    digest_algorithm = info.element(der.SEQUENCE)
    if info.peek() != _EXPLICIT_0:
        raise Refusal("cms-signed-attributes", "a signature always covers attributes")
    attributes = info.content(_EXPLICIT_0)
    signature_algorithm = info.element(der.SEQUENCE)
    signature = info.content(der.OCTET_STRING)
    unsigned = NONE if info.pos == info.end else _unsigned(info, exact=exact)
    certificate = _signer(signer, outer.certificates, by_key_id=by_key_id)
    return digest_algorithm, Signed(
        content_type=outer.content_type,
        content=outer.content,
        certificates=outer.certificates,
        crls=outer.crls,
        signer_certificate=certificate,
        signature=signature,
        said=said_of(attributes, outer.content_type, certificate, exact=exact),
        digest_algorithm=digest_algorithm,
        signature_algorithm=signature_algorithm,
        attributes=attributes,
        unsigned=unsigned,
        by_key_id=by_key_id,
        exact=exact,
    )


def _unsigned(info: der.Reader, *, exact: bool) -> Mapping[str, bytes]:
    """The unsigned attributes at the end of a SignerInfo."""
    if exact:
        raise Refusal("cms-unsigned-attributes", "nothing unsigned stands beside a signature")
    found = unsigned_of(info.enter(_EXPLICIT_1))
    info.done()
    return found


def _signer(signer: bytes, certificates: tuple[Certificate, ...], *, by_key_id: bool) -> Certificate:
    """The certificate inside that ``signer`` names."""
    for certificate in certificates:
        if signer == (certificate.key_id if by_key_id else certificate.issuer_and_serial):
            return certificate
    raise Refusal("cms-signer-certificate", "the signer's certificate is not inside")


def check_signature(signed: Signed, content: bytes | None = None) -> None:
    """Prove that the signer's key signed this content as it is labelled; ``content`` if it is detached.

    Raises :class:`Refusal` ``altered-content``, ``wrong-certificate``, ``algorithm-substituted``,
    ``bad-signature`` or ``suite-unknown``.
    """
    if (content is None) == (signed.content is None):
        raise Misuse("cms-detached", "give the content exactly when it is not inside")
    suite = suite_of(signed)
    if content is None and suite.digest is hashlib.sha256:
        digest = signed.digest
    else:
        digest = suite.digest(signed.octets if content is None else content).digest()
    check_digest(signed, suite, digest)


def check_digest(signed: Signed, suite: SignatureSuite, digest: bytes) -> None:
    """Prove that the signer's key signed content of this ``digest`` by ``suite``; raises the same."""
    if not hmac.compare_digest(digest, signed.said.message_digest):
        raise Refusal("altered-content", "the content is not what was signed")
    _check_certificate(signed)
    meter.count("verify")
    data = der.tlv(der.SET, signed.attributes)
    if not suite.verified(signed.signer_certificate.public_key, signed.signature, data):
        raise Refusal("bad-signature", "the signature is not that of the signer's key")


def suite_of(signed: Signed) -> SignatureSuite:
    """The suite to verify with; the algorithms named must be protected and, if exact, the key's own."""
    key = signed.signer_certificate.public_key
    algorithms = (signed.digest_algorithm, signed.signature_algorithm)
    if signed.said.protection not in {None, protection_of(*algorithms)}:
        raise Refusal("algorithm-substituted", "the algorithms are not those that the signer named")
    if not signed.exact:
        return foreign_suite(key, *algorithms, signed.signer_certificate.spki)
    suite = signature_suite_of(key)
    if algorithms != (suite.digest_algorithm, suite.signature_algorithm):
        raise Refusal("algorithm-substituted", "the algorithms are not those of the signer's key")
    return suite


def _check_certificate(signed: Signed) -> None:
    """The signature must name this very certificate (RFC 5035, 5.4), if it names one."""
    if signed.said.certificate_digest is None:
        return
    if not is_named(signed.signer_certificate, signed.said.certificate_digest):
        raise Refusal("wrong-certificate", "the signature names another certificate")


def is_named(certificate: Certificate, by: tuple[str, bytes]) -> bool:
    """Whether hash name and digest are the certificate's; raises ``suite-unknown`` for no name."""
    name, named = by
    if not name:
        raise Refusal("suite-unknown", "the certificate is named by an unknown digest")
    digest = certificate.digest if name == "sha256" else hashlib.new(name, certificate.der).digest()
    return hmac.compare_digest(digest, named)
