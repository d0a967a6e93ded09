"""An attribute certificate gives its holder something for a while: a role, a right, a membership (RFC 5755).

It binds no key.  Whose it is, it says by the holder's own certificate or name; who gave it is judged like any
signer, for the purpose of giving attributes.  What is addressed to others is refused here.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from e2s.base.errors import Refusal
from e2s.base.wire import b64u
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.verification import signatures
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.distribution import WHOLE, Scope
from e2s.security.verification.name_forms import DIRECTORY_NAME, Form, general_names
from e2s.security.verification.structures import authority_key, each_extension, signed_body
from e2s.security.verification.traits import traits

MAX_BYTES: Final = 32 * 1024
_MAX_ATTRIBUTES = 64
_SERIAL_OCTETS = 21
_TARGETS, _NO_REVOCATION, _AUTHORITY_KEY = "2.5.29.55", "2.5.29.56", "2.5.29.35"
_ROLE = "2.5.4.72"
#: The scope of a list about attribute certificates alone.
ATTRIBUTES: Final = Scope(attributes_only=True)
_URI = 0x86


class Holder(NamedTuple):
    """Whose it is: a certificate by issuer and serial number, or names; both must fit where both are said."""

    issuer: frozenset[tuple[int, Form]] = frozenset()
    serial: int = -1
    names: frozenset[tuple[int, Form]] = frozenset()

    def is_of(self, certificate: Certificate) -> bool:
        """Whether the certificate is the holder's (RFC 5755, 4.2.2)."""
        if not (self.issuer or self.names):
            return False
        link = traits(certificate)
        if self.issuer and (
            (DIRECTORY_NAME, link.issuer_form) not in self.issuer or self.serial != certificate.serial
        ):
            return False
        own = {(DIRECTORY_NAME, link.subject_form), *((_URI, (name.encode(),)) for name in certificate.names)}
        return not self.names or not self.names.isdisjoint(own)


@dataclass(frozen=True, eq=False, kw_only=True)
class AttributeCertificate:
    """One attribute certificate as read; nothing is proven before :func:`judge`."""

    der: bytes = field(repr=False)
    id: str
    holder: Holder
    issuer: Form
    serial: int
    not_before: datetime
    not_after: datetime
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...]
    targets: frozenset[str] | None
    authority_key_id: bytes | None
    unrevocable: bool
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    info: bytes = field(repr=False)

    @classmethod
    def read(cls, octets: bytes) -> AttributeCertificate:
        """Read one, DER; raises :class:`Refusal` ``bad-attribute-certificate``."""
        if len(octets) > MAX_BYTES:
            raise _bad("it is larger than may be read")
        return _read(bytes(octets))

    @property
    def roles(self) -> tuple[str, ...]:
        """The role names that are URIs (RFC 5755, 4.4.5); raises ``bad-attribute-certificate``."""
        try:
            return tuple(
                _role(value) for kind, values in self.attributes if kind == _ROLE for value in values
            )
        except Refusal as refusal:
            raise _bad(f"a role cannot be read ({refusal.rule})") from refusal


def judge(
    given: AttributeCertificate,
    holder: Certificate,
    giver: Certificate,
    *,
    at: datetime,
    target: str,
    revoked: Container[int] | None = None,
) -> AttributeCertificate:
    """``given`` itself, where ``giver`` gave it to ``holder`` for use at ``target`` (a URI) at ``at``.

    ``giver`` is accepted by the caller, for that purpose (RFC 5755, 5).  ``revoked``: serial numbers on a
    fresh list of the giver's, None where there is none.  Raises :class:`Refusal` ``wrong-holder``,
    ``wrong-giver``, ``bad-signature``, ``not-yet-valid``, ``expired``, ``wrong-target``, ``revoked`` or
    ``revocation-unknown``.
    """
    if not given.holder.is_of(holder):
        raise Refusal("wrong-holder", "the attributes are another's (RFC 5755, 5)", given=given.id)
    link = traits(giver)
    named = given.issuer == link.subject_form
    keyed = given.authority_key_id is None or link.key_id is None or given.authority_key_id == link.key_id
    if not (named and keyed and link.may("digital_signature") and not link.ca):
        raise Refusal("wrong-giver", "its issuer is another, or may not give attributes", given=given.id)
    if not signatures.good(giver.public_key, given.algorithm, given.signature, given.info, giver.spki):
        raise Refusal("bad-signature", "its issuer's key did not sign it", given=given.id)
    if at < given.not_before:
        raise Refusal("not-yet-valid", "the attributes are not given yet", given=given.id)
    if at > given.not_after:
        raise Refusal("expired", "the attributes are given no more", given=given.id)
    if given.targets is not None and target not in given.targets:
        raise Refusal("wrong-target", "the attributes are for use elsewhere (4.3.2)", given=given.id)
    if revoked is not None and given.serial in revoked:
        raise Refusal("revoked", "the attributes were withdrawn", given=given.id)
    if revoked is None and not given.unrevocable:
        raise Refusal(
            "revocation-unknown", "whether they were withdrawn is not known (4.3.6)", given=given.id
        )
    return given


def withdrawn(crls: Sequence[bytes], giver: Certificate, *, at: datetime) -> frozenset[int] | None:
    """Serial numbers that fresh lists by ``giver`` itself had withdrawn at ``at``; None where there is none.

    A list about certificates of keys alone does not count (RFC 5280, 5.2.5: onlyContainsUserCerts,
    onlyContainsCACerts), nor one that covers a part or some reasons.
    """
    link = traits(giver)
    found: frozenset[int] | None = None
    for octets in crls:
        try:
            crl = CrlIndex.read(octets)
            if not (crl.issued_by(link) and link.may("crl_sign") and crl.base is None and crl.fresh(at)):
                continue
            if crl.scope not in {WHOLE, ATTRIBUTES} or not crl.signed_by(giver):
                continue
            listed = crl.revoked
        except Refusal:
            continue
        found = (found or frozenset()).union(one for one in listed if listed[one].at <= at)
    return found


def _bad(why: str) -> Refusal:
    return Refusal("bad-attribute-certificate", f"the octets are no attribute certificate: {why}")


@lru_cache(maxsize=512)
def _read(octets: bytes) -> AttributeCertificate:
    try:
        return _parse(octets)
    except Refusal as refusal:
        if refusal.rule == "bad-attribute-certificate":
            raise
        raise _bad(refusal.rule) from refusal


def _parse(octets: bytes) -> AttributeCertificate:
    """AttributeCertificate (RFC 5755, 4.1)."""
    info, algorithm, signature = signed_body(octets)
    reader = der.Reader(info).enter()
    if reader.integer() != 1:
        raise _bad("it is not of version 2")
    holder = _holder(reader.enter())
    issuer = _issuer(reader)
    if reader.element(der.SEQUENCE) != algorithm:
        raise _bad("it names two algorithms")
    serial = reader.integer(_SERIAL_OCTETS)
    period = reader.enter()
    not_before, not_after = period.generalized_time(), period.generalized_time()
    period.done()
    attributes = tuple(map(_attribute, reader.enter().elements(der.SEQUENCE, _MAX_ATTRIBUTES)))
    if len({kind for kind, _ in attributes}) != len(attributes):
        raise _bad("an attribute occurs twice")
    said = _extensions(reader)
    reader.done()
    return AttributeCertificate(
        der=octets,
        id="sha-256:" + b64u(sha256(octets).digest()),
        holder=holder,
        issuer=issuer,
        serial=serial,
        not_before=not_before,
        not_after=not_after,
        attributes=attributes,
        targets=said.targets,
        authority_key_id=said.key_id,
        unrevocable=said.unrevocable,
        algorithm=algorithm,
        signature=signature,
        info=info,
    )


def _holder(reader: der.Reader) -> Holder:
    """Holder; one named by the digest of an object is not known here."""
    holder = Holder()
    if reader.peek() == 0xA0:
        base = reader.enter(0xA0)
        holder = holder._replace(issuer=general_names(base.enter()), serial=base.integer(_SERIAL_OCTETS))
        base.done()
    if reader.peek() == 0xA1:
        holder = holder._replace(names=general_names(reader.enter(0xA1)))
    reader.done()
    return holder


def _issuer(reader: der.Reader) -> Form:
    """AttCertIssuer: the version 2 form with one directory name alone (4.2.3)."""
    form = reader.enter(0xA0)
    names = general_names(form.enter())
    form.done()
    if len(names) != 1:
        raise _bad("its issuer is not one name")
    tag, name = next(iter(names))
    if tag != DIRECTORY_NAME or not name:
        raise _bad("its issuer is no directory name")
    return name


def _attribute(element: bytes) -> tuple[str, tuple[bytes, ...]]:
    attribute = der.Reader(element).enter()
    kind = attribute.oid()
    values = attribute.enter(der.SET).elements(None, _MAX_ATTRIBUTES)
    attribute.done()
    der.check_order(values)
    for value in values:
        der.check(value)
    return kind, tuple(values)


def _role(value: bytes) -> str:
    """The name of a role: a URI; other names are given as none."""
    role = der.Reader(value).enter()
    if role.peek() == 0xA0:
        role.span(0xA0)
    named = role.enter(0xA1)
    return named.content(_URI).decode("ascii", "replace") if named.peek() == _URI else ""


class _Said(NamedTuple):
    """What its extensions say."""

    targets: frozenset[str] | None = None
    key_id: bytes | None = None
    unrevocable: bool = False


def _extensions(reader: der.Reader) -> _Said:
    """Extensions (4.3): targets, key identifier, no revocation; any other critical one refuses."""
    said = _Said()
    if reader.peek() != der.SEQUENCE:
        return said
    for oid, critical, value in each_extension(reader.enter()):
        if oid == _TARGETS:
            said = said._replace(targets=_targets(value))
        elif oid == _AUTHORITY_KEY:
            said = said._replace(key_id=authority_key(value))
        elif oid == _NO_REVOCATION:
            said = said._replace(unrevocable=True)
        elif critical:
            raise _bad(f"critical extension {oid} is not processed")
    return said


def _targets(value: bytes) -> frozenset[str]:
    """AC Targeting (4.3.2): the URIs named; groups and other names match nothing here."""
    found: set[str] = set()
    outer = der.Reader(value)
    lists = outer.enter()
    outer.done()
    for targets in lists.elements(der.SEQUENCE, _MAX_ATTRIBUTES):
        for target in der.Reader(targets).enter().elements(None, _MAX_ATTRIBUTES):
            named = der.Reader(target)
            if named.peek() != 0xA0:
                continue
            name = named.enter(0xA0)
            if name.peek() == _URI:
                found.add(name.content(_URI).decode("ascii", "replace"))
    return frozenset(found)
