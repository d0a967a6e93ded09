"""Rules about what stands in each extension, and about which extensions stand together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.security.certificates.extensions import (
    CONTENT_COMMITMENT,
    DIGITAL_SIGNATURE,
    KEY_AGREEMENT,
    KEY_ENCIPHERMENT,
)
from e2s.security.certificates.lint_keys import usage_bits
from e2s.security.certificates.lint_names import Finding, alternative_fault, subtree_faults, web_fault
from e2s.security.certificates.tbs import Said, Tbs, basic, only

#: Extensions that are known, and whether they are critical; None where it depends (RFC 5280, 4.2).
_KNOWN: Final[Mapping[str, bool | None]] = {
    oids.SUBJECT_KEY_ID: False,
    oids.KEY_USAGE: True,
    oids.SUBJECT_ALT_NAME: None,
    oids.BASIC_CONSTRAINTS: True,
    oids.NAME_CONSTRAINTS: True,
    oids.CRL_POINTS: False,
    oids.CERTIFICATE_POLICIES: None,
    oids.POLICY_MAPPINGS: True,
    oids.AUTHORITY_KEY_ID: False,
    oids.POLICY_CONSTRAINTS: True,
    oids.EXTENDED_KEY_USAGE: None,
    oids.FRESHEST_CRL: False,
    oids.INHIBIT_ANY: True,
    oids.AUTHORITY_INFO: False,
    oids.OCSP_NOCHECK: False,
    oids.PAN_COMMIT: False,
}
_CA_ONLY: Final = (oids.NAME_CONSTRAINTS, oids.POLICY_MAPPINGS, oids.POLICY_CONSTRAINTS, oids.INHIBIT_ANY)
_SIGNS, _SECRET = DIGITAL_SIGNATURE | CONTENT_COMMITMENT, KEY_AGREEMENT | KEY_ENCIPHERMENT
#: Key usages of which one at least goes with a purpose (RFC 5280, 4.2.1.12; RFC 9336, 3.2).
_GOES_WITH: Final[Mapping[str, int]] = {
    oids.EKU_SERVER: DIGITAL_SIGNATURE | _SECRET,
    oids.EKU_CLIENT: DIGITAL_SIGNATURE | KEY_AGREEMENT,
    oids.EKU_CODE: DIGITAL_SIGNATURE,
    oids.EKU_EMAIL: _SIGNS | _SECRET,
    oids.EKU_TIME_STAMPING: _SIGNS,
    oids.EKU_OCSP: _SIGNS,
    oids.EKU_DOCUMENT: _SIGNS,
    oids.COMPONENT: DIGITAL_SIGNATURE,
    **dict.fromkeys(oids.SIGNING.values(), _SIGNS),
    **dict.fromkeys((*oids.AGREEMENT.values(), oids.COMPONENT_AGREEMENT), _SECRET),
}
_ANY_USAGE: Final = "2.5.29.37.0"
_NOTICE: Final = "1.3.6.1.5.5.7.2.2"
_URI: Final = 0x86
_MAX: Final = 64


def extension_findings(tbs: Tbs) -> Iterator[Finding]:
    """Which extensions there are, how critical each is, and what stands in them."""
    seen: set[str] = set()
    for said in tbs.extensions:
        if said.oid in seen:
            yield Finding("lint-extension-twice", f"the extension {said.oid} stands once (RFC 5280, 4.2)")
        seen.add(said.oid)
        yield from _criticality(said)
        if said.oid in _CA_ONLY and not tbs.ca:
            yield Finding("lint-not-a-ca", f"the extension {said.oid} is a CA's alone (RFC 5280, 4.2.1)")
        judge = _JUDGES.get(said.oid)
        if judge is None:
            continue
        try:
            der.check(said.value)
            yield from judge(tbs, said.value)
        except Refusal as refusal:
            yield Finding(
                "lint-extension",
                f"the extension {said.oid} cannot be read: {refusal.message} (RFC 5280, 4.2)",
            )
    if oids.SUBJECT_KEY_ID not in seen:
        yield Finding("lint-key-id", "the subject's key has an identifier (RFC 5280, 4.2.1.2)")
    if oids.AUTHORITY_KEY_ID not in seen and tbs.issuer != tbs.subject:
        yield Finding("lint-key-id", "the issuer's key is identified (RFC 5280, 4.2.1.1)")
    if oids.FRESHEST_CRL in seen and oids.CRL_POINTS not in seen:
        yield Finding("lint-place", "a delta changes a list whose place is said (RFC 5280, 4.2.1.15)")


def _criticality(said: Said) -> Iterator[Finding]:
    if said.written:
        yield Finding("lint-critical", "what is not critical is not so written (X.690, 11.5)")
    if said.oid not in _KNOWN:
        if said.critical:
            yield Finding("lint-critical", f"{said.oid} is critical and known to nobody (RFC 5280, 4.2)")
        return
    wanted = _KNOWN[said.oid]
    if wanted is not None and wanted != said.critical:
        must = "is critical" if wanted else "is not critical"
        yield Finding("lint-critical", f"the extension {said.oid} {must} (RFC 5280, 4.2)")


def _key_id(_tbs: Tbs, value: bytes) -> Iterator[Finding]:
    reader = der.Reader(value)
    size = len(reader.content(der.OCTET_STRING))
    reader.done()
    if not 8 <= size <= _MAX:
        yield Finding("lint-key-id", "a key's identifier has 8 to 64 octets (RFC 5280, 4.2.1.2)")


def _authority(_tbs: Tbs, value: bytes) -> Iterator[Finding]:
    reader = only(value)
    # RFC 5280, 4.2.1.1: issuer and serial pin one certificate of the issuer, which may be renewed
    if reader.peek() != 0x80 or not 8 <= len(reader.content(0x80)) <= _MAX or reader.pos != reader.end:
        yield Finding(
            "lint-key-id", "the issuer's key is identified, and by nothing else (RFC 5280, 4.2.1.1)"
        )


def _basic(tbs: Tbs, value: bytes) -> Iterator[Finding]:
    ca, length = basic(tbs)
    if not ca and (length is not None or value != b"\x30\x00"):
        yield Finding(
            "lint-path-length", "only a CA has a path length, and not being one is unwritten (4.2.1.9)"
        )
    if length is not None and length < 0:
        yield Finding("lint-path-length", "a path length is not negative (RFC 5280, 4.2.1.9)")


def _names(tbs: Tbs, value: bytes) -> Iterator[Finding]:
    reader = only(value)
    found: list[bytes] = []
    while reader.pos != reader.end and len(found) <= 1024:
        found.append(reader.element())
    if not found:
        yield Finding("lint-alternative-name", "alternative names are not none (RFC 5280, 4.2.1.6)")
    if len(set(found)) < len(found):
        yield Finding("lint-alternative-name", "an alternative name stands once (RFC 5280, 4.2.1.6)")
    yield from (fault for name in found if (fault := alternative_fault(name)))
    if tbs.by_oid[oids.SUBJECT_ALT_NAME].critical != (tbs.subject == b"\x30\x00"):
        yield Finding(
            "lint-critical", "alternative names are critical where the subject is empty (RFC 5280, 4.2.1.6)"
        )


def _ekus(tbs: Tbs, value: bytes) -> Iterator[Finding]:
    usages = [der.dotted(one[2:]) for one in only(value).elements(der.OID, _MAX)]
    if not usages or len(set(usages)) < len(usages):
        yield Finding("lint-purpose", "purposes are some, and each stands once (RFC 5280, 4.2.1.12)")
    if _ANY_USAGE in usages:
        yield Finding(
            "lint-purpose", "a key is certified for named purposes, not for any (RFC 5280, 4.2.1.12)"
        )
    if oids.EKU_TIME_STAMPING in usages and not (
        len(usages) == 1 and tbs.by_oid[oids.EXTENDED_KEY_USAGE].critical
    ):
        yield Finding("lint-purpose", "time stamping is the only purpose, and critical (RFC 3161, 2.3)")
    if tbs.ca:
        return  # what those below may be certified for
    bits = usage_bits(tbs) or 0
    for usage in usages:
        if usage in _GOES_WITH and not bits & _GOES_WITH[usage]:
            yield Finding("lint-purpose", f"the key usage does not fit {usage} (RFC 5280, 4.2.1.12)")


def _policies(tbs: Tbs, value: bytes) -> Iterator[Finding]:
    found = [der.Reader(one).enter() for one in only(value).elements(der.SEQUENCE, _MAX)]
    named = [reader.oid() for reader in found]
    if not named or len(set(named)) < len(named):
        yield Finding("lint-policies", "policies are some, and each stands once (RFC 5280, 4.2.1.4)")
    if oids.ANY_POLICY in named and not tbs.ca:
        yield Finding("lint-policies", "an end entity's policies are named (RFC 5280, 4.2.1.4)")
    for reader in found:
        if reader.pos == reader.end:
            continue
        qualifiers = reader.enter()
        reader.done()
        for one in qualifiers.elements(der.SEQUENCE, _MAX):
            qualifier = der.Reader(one).enter()
            kind = qualifier.oid()
            if kind == oids.CPS:
                fault = web_fault(qualifier.content(0x16), "RFC 5280, 4.2.1.4")
                if fault:
                    yield fault
            elif kind != _NOTICE:
                yield Finding("lint-policies", "a qualifier is a statement's place or a notice (4.2.1.4)")


def policies_of(tbs: Tbs) -> list[str]:
    """The policies that it names."""
    value = tbs.value(oids.CERTIFICATE_POLICIES)
    if value is None:
        return []
    return [der.Reader(one).enter().oid() for one in only(value).elements(der.SEQUENCE, _MAX)]


def _mappings(tbs: Tbs, value: bytes) -> Iterator[Finding]:
    pairs = [der.Reader(one).enter() for one in only(value).elements(der.SEQUENCE, 256)]
    mapped = [(reader.oid(), reader.oid()) for reader in pairs]
    if not mapped or len(set(mapped)) < len(mapped):
        yield Finding("lint-mappings", "mappings are some, and each stands once (RFC 5280, 4.2.1.5)")
    if any(oids.ANY_POLICY in pair for pair in mapped):
        yield Finding("lint-mappings", "any policy is mapped nowhere (RFC 5280, 4.2.1.5)")
    named = policies_of(tbs)
    if any(ours not in named for ours, _theirs in mapped) and oids.ANY_POLICY not in named:
        yield Finding(
            "lint-mappings", "a policy that is mapped is one of the certificate (RFC 5280, 4.2.1.5)"
        )


def _constraints(_tbs: Tbs, value: bytes) -> Iterator[Finding]:
    reader = only(value)
    if reader.pos == reader.end:
        yield Finding("lint-name-constraints", "name constraints are not none (RFC 5280, 4.2.1.10)")
    for tag in (0xA0, 0xA1):
        if reader.peek() == tag:
            yield from subtree_faults(reader.enter(tag))
    reader.done()


def _policy_constraints(_tbs: Tbs, value: bytes) -> Iterator[Finding]:
    reader = only(value)
    if reader.pos == reader.end:
        yield Finding("lint-policy-constraints", "policy constraints are not none (RFC 5280, 4.2.1.11)")
    for tag in (0x80, 0x81):
        if reader.peek() == tag and reader.content(tag)[:1] >= b"\x80":
            yield Finding("lint-policy-constraints", "a number of certificates is not negative (4.2.1.11)")
    reader.done()


def _inhibit_any(_tbs: Tbs, value: bytes) -> Iterator[Finding]:
    reader = der.Reader(value)
    if reader.integer() < 0:
        yield Finding("lint-policy-constraints", "a number of certificates is not negative (4.2.1.14)")
    reader.done()


def _points(_tbs: Tbs, value: bytes) -> Iterator[Finding]:
    points = only(value).elements(der.SEQUENCE, _MAX)
    if not points:
        yield Finding("lint-place", "places of lists are not none (RFC 5280, 4.2.1.13)")
    for point in points:
        reader = der.Reader(point).enter()
        if reader.peek() != 0xA0:
            yield Finding("lint-place", "a list has a place (RFC 5280, 4.2.1.13)")
            continue
        name = reader.enter(0xA0)
        if name.peek() != 0xA0:
            continue  # a name below the issuer's of the list
        for one in name.enter(0xA0).elements(None, _MAX):
            fault = web_fault(der.Reader(one).content(_URI), "RFC 5280, 4.2.1.13") if one[0] == _URI else None
            if fault:
                yield fault


def _access(_tbs: Tbs, value: bytes) -> Iterator[Finding]:
    described = only(value).elements(der.SEQUENCE, _MAX)
    if not described:
        yield Finding("lint-place", "places about the issuer are not none (RFC 5280, 4.2.2.1)")
    for one in described:
        reader = der.Reader(one).enter()
        method = reader.oid()
        where = reader.element()
        reader.done()
        if where[0] == _URI and method in {oids.ACCESS_OCSP, oids.ACCESS_ISSUERS}:
            fault = web_fault(der.Reader(where).content(_URI), "RFC 5280, 4.2.2.1")
            if fault:
                yield fault


def _nocheck(tbs: Tbs, value: bytes) -> Iterator[Finding]:
    if value != b"\x05\x00":
        yield Finding("lint-nocheck", "that nobody is asked is said by NULL (RFC 6960, 4.2.2.2.1)")
    usages = tbs.value(oids.EXTENDED_KEY_USAGE)
    if usages is None or der.oid(oids.EKU_OCSP) not in usages:
        yield Finding("lint-nocheck", "only of a responder nobody is asked (RFC 6960, 4.2.2.2.1)")


def _pan(_tbs: Tbs, value: bytes) -> Iterator[Finding]:
    if value[:2] != b"\x04\x20" or len(value) != 34:
        yield Finding("lint-extension", "a commitment to a card number has 32 octets (protocol, section 1)")


_JUDGES: Final[Mapping[str, Callable[[Tbs, bytes], Iterator[Finding]]]] = {
    oids.SUBJECT_KEY_ID: _key_id,
    oids.SUBJECT_ALT_NAME: _names,
    oids.BASIC_CONSTRAINTS: _basic,
    oids.NAME_CONSTRAINTS: _constraints,
    oids.CRL_POINTS: _points,
    oids.CERTIFICATE_POLICIES: _policies,
    oids.POLICY_MAPPINGS: _mappings,
    oids.AUTHORITY_KEY_ID: _authority,
    oids.POLICY_CONSTRAINTS: _policy_constraints,
    oids.EXTENDED_KEY_USAGE: _ekus,
    oids.FRESHEST_CRL: _points,
    oids.INHIBIT_ANY: _inhibit_any,
    oids.AUTHORITY_INFO: _access,
    oids.OCSP_NOCHECK: _nocheck,
    oids.PAN_COMMIT: _pan,
}
