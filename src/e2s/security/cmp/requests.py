"""What is asked for: a certificate for a proven key, or the end of one (RFC 4211, 3 and 4; RFC 9810, 5.3).

One request stands in a message (RFC 9483, 4.1.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey, PublicKey, kind_of, signing
from e2s.crypto.suites import signature_suite_of
from e2s.security.certificates.possession import Proven
from e2s.security.cmp.pieces import MOST, any_value, directory_name, name_within
from e2s.security.cmp.templates import Template, names_extension, read_template
from e2s.security.cmp.vocabulary import OLD_CERTIFICATE
from e2s.security.verification import signatures

_RA_VERIFIED, _BY_SIGNATURE, _BY_ENCIPHERMENT, _BY_AGREEMENT = 0x80, 0xA1, 0xA2, 0xA3
#: What a request is numbered: 0, and -1 in the answer to PKCS #10 (RFC 9483, 4.1.1 and 4.1.4).
REQUEST: Final = 0
NO_REQUEST: Final = -1
_MAX_SERIAL: Final = 20


class Named(NamedTuple):
    """CertId: a certificate by its issuer's distinguished name, DER, and serial."""

    issuer: bytes
    serial: int


@dataclass(frozen=True, eq=False, kw_only=True)
class CertRequest:
    """One CertReqMsg; ``signed`` is the CertRequest as it stands, over which possession is proven."""

    template: Template
    old: Named | None
    signed: bytes
    proof: bytes

    def proven(self) -> Proven:
        """The key that is asked for; raises :class:`Refusal` ``cmp-possession`` or ``suite-unknown``."""
        key = _key(self.template.spki)
        if not self.proof:
            raise _unproven("nothing proves possession of the key")
        if self.proof[0] == _RA_VERIFIED:
            raise _unproven("possession is proven here, whoever says that it was proven elsewhere")
        if self.proof[0] != _BY_SIGNATURE:
            raise _unproven(
                "a key that does not sign is asked for by PKCS #10 with a statement of possession (RFC 9883)"
            )
        reader = der.Reader(self.proof).enter(_BY_SIGNATURE)
        if reader.peek() == 0xA0:
            raise _unproven("what is signed is the request itself (RFC 4211, 4.1)")
        algorithm, bits = reader.element(der.SEQUENCE), reader.content(der.BIT_STRING)
        reader.done()
        signature_suite_of(key)
        spki = self.template.spki
        if bits[:1] != b"\0" or not signatures.good(key, algorithm, bits[1:], self.signed, spki):
            raise _unproven("the request is not signed by the key that it names")
        return Proven(key, spki)


def _key(spki: bytes) -> PublicKey:
    if not spki:
        raise Refusal("cmp-template", "a request names the key that it is for")
    try:
        key = load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refusal("cmp-template", "the key cannot be read") from error
    if not kind_of(key.__class__):
        raise Refusal("suite-unknown", "no suite uses a key of this kind")
    return cast(PublicKey, key)


def read_request(content: bytes) -> CertRequest:
    """The one request of CertReqMessages.

    Raises :class:`Refusal` ``cmp-one-request``, ``cmp-template``, ``cmp-request`` or ``der-...``.
    """
    inside = _only(content)
    begin = inside.pos
    asked = inside.enter()
    signed = inside.data[begin : inside.pos]
    if asked.integer() != REQUEST:
        raise Refusal("cmp-request", "the one request is numbered 0")
    template = read_template(asked)
    old = _old(asked) if asked.pos != asked.end else None
    asked.done()
    proof = b""
    if inside.peek() in {_RA_VERIFIED, _BY_SIGNATURE, _BY_ENCIPHERMENT, _BY_AGREEMENT}:
        proof = inside.element()
        der.check(proof)
    if inside.pos != inside.end:
        for one in inside.enter().elements(der.SEQUENCE, MOST):
            der.check(one)
    inside.done()
    return CertRequest(template=template, old=old, signed=signed, proof=proof)


def _only(content: bytes) -> der.Reader:
    """The one member of a SEQUENCE OF."""
    whole = der.Reader(content)
    messages = whole.enter()
    whole.done()
    found = messages.elements(der.SEQUENCE, MOST)
    if len(found) != 1:
        raise Refusal("cmp-one-request", "a message asks for one thing", found=len(found))
    return der.Reader(found[0]).enter()


def _old(asked: der.Reader) -> Named | None:
    """The certificate that is to be replaced, of the controls (RFC 4211, 6.5); others are wishes."""
    old = None
    for one in asked.enter().elements(der.SEQUENCE, MOST):
        control = der.Reader(one).enter()
        oid = control.oid()
        value = any_value(control)
        control.done()
        if oid == OLD_CERTIFICATE:
            if old is not None:
                raise Refusal("cmp-request", "a request replaces one certificate")
            old = read_named(value)
    return old


def write_request(
    key: PrivateKey,
    *,
    subject: bytes,
    names: tuple[str, ...] = (),
    not_after: datetime | None = None,
    old: Named | None = None,
) -> bytes:
    """CertReqMessages that ask for a certificate of ``key``, proven by its signature."""
    template = Template(
        subject=subject,
        spki=spki_of(key.public_key()),
        not_after=not_after,
        extensions=names_extension(names),
    )
    controls = b""
    if old is not None:
        controls = der.sequence(der.sequence(der.oid(OLD_CERTIFICATE), named(old)))
    asked = der.sequence(der.integer(REQUEST), template.der, controls)
    suite = signature_suite_of(key)
    signature = suite.sign(signing(key), asked)
    proof = der.tlv(_BY_SIGNATURE, suite.signature_algorithm + der.tlv(der.BIT_STRING, b"\0" + signature))
    return der.sequence(der.sequence(asked, proof))


def named(one: Named) -> bytes:
    """A CertId, DER."""
    return der.sequence(directory_name(one.issuer), der.integer(one.serial))


def read_named(octets: bytes) -> Named:
    """A CertId; raises :class:`Refusal` ``cmp-request`` or ``der-...``."""
    whole = der.Reader(octets)
    inside = whole.enter()
    whole.done()
    issuer, serial = name_within(inside.element()), inside.integer(_MAX_SERIAL)
    inside.done()
    if not issuer or serial <= 0:
        raise Refusal("cmp-request", "a certificate is named by its issuer and a positive serial")
    return Named(issuer, serial)


class Ending(NamedTuple):
    """What is to be revoked, and why: the number of RFC 5280, 5.3.1."""

    named: Named
    reason: int = 0


def read_ending(content: bytes) -> Ending:
    """The one RevDetails of RevReqContent (RFC 9810, 5.3.9; RFC 9483, 4.2)."""
    inside = _only(content)
    template = read_template(inside)
    reason = _reason(inside) if inside.pos != inside.end else 0
    inside.done()
    if not (template.serial and template.issuer):
        raise Refusal("cmp-certificate-named", "what is to be revoked is named by issuer and serial")
    return Ending(Named(template.issuer, template.serial), reason)


def _reason(inside: der.Reader) -> int:
    reason = 0
    for one in inside.enter().elements(der.SEQUENCE, MOST):
        extension = der.Reader(one).enter()
        oid = extension.oid()
        if extension.peek() == der.BOOLEAN:
            extension.boolean()
        value = der.Reader(extension.content(der.OCTET_STRING))
        extension.done()
        if oid != oids.REASON_CODE:
            raise Refusal("cmp-request", "of a revocation only the reason is said")
        code = value.content(der.ENUMERATED)
        value.done()
        if len(code) != 1:
            raise Refusal("cmp-request", "the reason is unknown")
        reason = code[0]
    return reason


def write_ending(ending: Ending) -> bytes:
    """RevReqContent for one certificate."""
    template = Template(serial=ending.named.serial, issuer=ending.named.issuer)
    extensions = b""
    if ending.reason:
        value = der.octet_string(der.tlv(der.ENUMERATED, bytes((ending.reason,))))
        extensions = der.sequence(der.sequence(der.oid(oids.REASON_CODE), value))
    return der.sequence(der.sequence(template.der, extensions))


def _unproven(why: str) -> Refusal:
    return Refusal("cmp-possession", why)
