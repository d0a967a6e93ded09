"""Signatures side by side: each names all the others, so that none can be taken away unseen (RFC 5752).

A long-lived document is signed at once by a classical and by a post-quantum key.  It is good only where
every signature that any of them names is there and good: whoever breaks one kind of key has not broken the
document, and whoever takes the stronger signature away has spoilt the weaker one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.attributes import MAX_ATTRIBUTES, MAX_VALUES
from e2s.crypto.cms.said import ess_id
from e2s.crypto.cms.signed import MAX_SIGNERS, Signed, check_signature, is_named
from e2s.crypto.cms.signing import Template, signed_of, signer_info, template_of, wrapped
from e2s.crypto.ports import Signer
from e2s.crypto.suites import SignatureSuite
from e2s.crypto.suites.digests import BY_IDENTIFIER

_TYPE = der.oid(oids.MULTIPLE_SIGNATURES)
#: A SignerInfo's attributes, as the others hash them, by the signer's certificate.
_Blanks = Mapping[Certificate, bytes]


def sign_parallel(
    content: bytes,
    content_type: str,
    signers: Sequence[Signer],
    at: datetime,
    *,
    detached: bool = False,
    certificates: Sequence[Certificate] = (),
) -> bytes:
    """A ContentInfo with ``content`` signed by each of ``signers``, who all say that it is ``at``.

    Read it by :func:`~e2s.crypto.cms.read_signers` and prove it by :func:`check_parallel`.  Raises
    :class:`Misuse` ``cms-parallel`` unless there are two signers or more, each with a certificate of its own.
    """
    if not 2 <= len({one.certificate for one in signers}) == len(signers) <= MAX_SIGNERS:
        raise Misuse("cms-parallel", "two signers or more sign side by side, each by its own certificate")
    digests = {one.suite: one.suite.digest(content).digest() for one in signers}

    def attributes(own: Signer, blanks: _Blanks) -> bytes:
        """RFC 5752, 4.4.1: with empty hashes first, then with those of the others' attributes."""
        names = [_name(own.suite, other, blanks) for other in signers if other is not own]
        named = der.sequence(_TYPE, der.set_of(names))
        return signed_of(own, content_type, digests[own.suite], at, (named,))

    blanks = {one.certificate: attributes(one, {}) for one in signers}
    infos = [signer_info(template_of(one, (), content_type), attributes(one, blanks), one) for one in signers]
    template = _outer(content_type, signers, certificates)
    return wrapped(template, () if detached else (content,), der.set_of(infos))


def _outer(content_type: str, signers: Sequence[Signer], certificates: Sequence[Certificate]) -> Template:
    """What stands round the content and the SignerInfos."""
    digests = {one.suite.digest_algorithm for one in signers}
    inside = {one.der for signer in signers for one in (signer.certificate, *signer.chain)}
    return Template(
        # RFC 5652, 5.1: version 3 unless the content is id-data
        before_content=der.integer(1 if content_type == oids.DATA else 3) + der.set_of(digests),
        content_type=der.oid(content_type),
        after_content=der.set_of(inside | {one.der for one in certificates}, 0xA0),
        before_attributes=b"",
        after_attributes=b"",
    )


def _name(suite: SignatureSuite, other: Signer, blanks: _Blanks) -> bytes:
    """MultipleSignatures (RFC 5752, 3) for ``other`` by a signer of ``suite``."""
    blank = blanks.get(other.certificate)
    return _encoded(
        other.suite.digest_algorithm + other.suite.signature_algorithm,
        suite.digest_algorithm,
        b"" if blank is None else _hash(suite.digest, blank),
        der.sequence(der.octet_string(other.certificate.digest)),
    )


def _encoded(algorithms: bytes, digest_algorithm: bytes, hashed: bytes, certificate: bytes) -> bytes:
    return der.sequence(algorithms, der.sequence(digest_algorithm, der.octet_string(hashed)), certificate)


def _hash(digest: Callable[[bytes], Any], blank: bytes) -> bytes:
    found: bytes = digest(der.tlv(der.SET, blank)).digest()
    return found


def check_parallel(signers: Sequence[Signed], content: bytes | None = None) -> None:
    """Prove that each of ``signers`` signed the content, and that they are all that any of them names.

    ``signers`` are what :func:`~e2s.crypto.cms.read_signers` gives, ``content`` is given if it is detached.
    Raises :class:`Refusal` ``cms-parallel`` where a signature is missing, or is not one of those named, and
    whatever :func:`~e2s.crypto.cms.check_signature` raises.  Whose certificates these are, and whether they
    belong to one person, is the caller's to judge, of each of them.
    """
    if len(signers) < 2:
        raise Refusal("cms-parallel", "there are not two signatures side by side")
    named = [_names(signed) for signed in signers]
    blanks = {one: _blank(one, names) for one, names in zip(signers, named, strict=True)}
    for signed, names in zip(signers, named, strict=True):
        _check_names(signed, names, {one: blank for one, blank in blanks.items() if one is not signed})
    for signed in signers:
        check_signature(signed, content)


class _Name(NamedTuple):
    """A MultipleSignatures as read; ``certificate`` is encoded, and empty where it is absent."""

    algorithms: bytes
    digest_algorithm: bytes
    hashed: bytes
    certificate: bytes


def _names(signed: Signed) -> list[_Name]:
    """Whom a signature names beside itself; raises ``cms-parallel`` if nobody."""
    value = signed.other_attributes.get(oids.MULTIPLE_SIGNATURES)
    if value is None:
        raise Refusal("cms-parallel", "a signature does not name those beside it")
    found = []
    for element in der.Reader(value).elements(der.SEQUENCE, MAX_VALUES):
        reader = der.Reader(element).enter()
        algorithms = reader.element(der.SEQUENCE) + reader.element(der.SEQUENCE)
        hashed = reader.enter()
        certificate = b"" if reader.pos == reader.end else reader.element(der.SEQUENCE)
        reader.done()
        found.append(
            _Name(algorithms, hashed.element(der.SEQUENCE), hashed.content(der.OCTET_STRING), certificate)
        )
        hashed.done()
    return found


def _blank(signed: Signed, names: list[_Name]) -> bytes:
    """The signed attributes as they are hashed: their own hashes of others empty, and in order again."""
    empty = [_encoded(one.algorithms, one.digest_algorithm, b"", one.certificate) for one in names]
    elements = der.Reader(signed.attributes).elements(der.SEQUENCE, MAX_ATTRIBUTES)
    kept = [one for one in elements if der.Reader(one).enter().oid() != oids.MULTIPLE_SIGNATURES]
    return b"".join(sorted((*kept, der.sequence(_TYPE, der.set_of(empty)))))


def _check_names(signed: Signed, names: list[_Name], others: dict[Signed, bytes]) -> None:
    """Each of the others is named once, and nobody else (RFC 5752, 4.6)."""
    if len(names) != len(others):
        raise Refusal("cms-parallel", "a signature that another names is missing, or one too many is there")
    digest = BY_IDENTIFIER.get(signed.digest_algorithm)
    if digest is None:
        raise Refusal("suite-unknown", "the message's algorithms are not accepted")
    left = {one: _hash(digest.new, blank) for one, blank in others.items()}
    for name in names:
        found = next((one for one, hashed in left.items() if _fits(signed, name, one, hashed)), None)
        if found is None:
            raise Refusal("cms-parallel", "a signature names another than those beside it")
        del left[found]


def _fits(signed: Signed, name: _Name, other: Signed, hashed: bytes) -> bool:
    """Whether ``name`` in ``signed`` is that of ``other``, whose attributes hash to ``hashed``."""
    return (
        name.algorithms == other.digest_algorithm + other.signature_algorithm
        and name.digest_algorithm == signed.digest_algorithm
        and hmac.compare_digest(name.hashed, hashed)
        and (not name.certificate or is_named(other.signer_certificate, ess_id(der.Reader(name.certificate))))
    )
