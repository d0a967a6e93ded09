"""What must not be signed is found before it is signed: rules of RFC 5280 on a TBSCertificate.

A finding names its rule, ``lint-...``, and the clause.  :func:`check` stands before every signature of a CA
here; :func:`certificate` is for any certificate at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha1
from typing import Final

from e2s.base.errors import Refusal
from e2s.base.instants import DELTA
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import kind_of
from e2s.crypto.suites.schemes import bound, scheme_of
from e2s.security.certificates import lint_names
from e2s.security.certificates.lint_extensions import extension_findings, policies_of
from e2s.security.certificates.lint_keys import key_findings
from e2s.security.certificates.lint_names import Finding, alternative_fault, name_fault
from e2s.security.certificates.profile import Profile
from e2s.security.certificates.tbs import Tbs, basic, only
from e2s.security.verification.traits import traits

__all__ = ["Finding", "certificate", "check", "check_parts", "findings"]

MAX_SERIAL_OCTETS: Final = 20
#: Fewer could be guessed, and tell how many there are; ours have 128 that are random.
MIN_SERIAL_BITS: Final = 64
_LEAST: Final = 1 << MIN_SERIAL_BITS - 1
_BEYOND: Final = 1 << 8 * MAX_SERIAL_OCTETS - 1
_EMPTY: Final = b"\x30\x00"


def certificate(octets: bytes, profile: Profile | None = None) -> tuple[Finding, ...]:
    """All that is wrong with a certificate, DER; with ``profile`` also what that does not say."""
    try:
        whole = der.Reader(octets)
        reader = whole.enter()
        whole.done()
        tbs = reader.element(der.SEQUENCE)
        beside = reader.element(der.SEQUENCE)
        signature = reader.content(der.BIT_STRING)
        reader.done()
    except Refusal as refusal:
        return (Finding("lint-der", f"it is no certificate: {refusal.message} (RFC 5280, 4.1)"),)
    found = list(findings(tbs, profile))
    try:
        inside = Tbs.read(tbs).algorithm
    except Refusal:
        return tuple(found)
    if inside != beside:
        found.append(
            Finding("lint-algorithm", "the algorithm is the same within and beside (RFC 5280, 4.1.1.2)")
        )
    if signature[:1] != b"\0":
        found.append(Finding("lint-signature", "a signature is whole octets (RFC 5280, 4.1.1.3)"))
    return tuple(found)


def check(tbs: bytes, profile: Profile | None = None, issuer: Certificate | None = None) -> None:
    """Raise :class:`Refusal` ``lint-...`` for the first rule that a TBSCertificate breaks.

    ``profile`` and ``issuer`` are those that it is made by and for; without an issuer it is self-signed.
    """
    for rule, sentence in findings(tbs, profile, issuer):
        raise Refusal(rule, sentence)


def are_usual(serial: int, subject: bytes, name: bytes) -> bool:
    """Whether :func:`check_parts` finds nothing, known at a glance: so it is of nearly every certificate."""
    return _LEAST <= serial < _BEYOND and lint_names.are_usual(subject, name)


def check_parts(serial: int, subject: bytes, name: bytes) -> None:
    """The same for what differs between certificates of one template: the rest was linted with the first.

    ``name`` is one alternative name, or empty.
    """
    fault = _serial_fault(serial) or name_fault(subject) or (alternative_fault(name) if name else None)
    if fault is not None:
        raise Refusal(fault.rule, fault.sentence)


def findings(
    tbs: bytes, profile: Profile | None = None, issuer: Certificate | None = None
) -> Iterator[Finding]:
    """All rules that a TBSCertificate breaks."""
    try:
        read = Tbs.read(tbs)
        basic(read)
    except Refusal as refusal:
        yield Finding("lint-der", f"it is no TBSCertificate: {refusal.message} (RFC 5280, 4.1)")
        return
    yield from _fields(read)
    yield from _validity(read, profile, issuer)
    yield from key_findings(read)
    yield from extension_findings(read)
    try:
        if issuer is not None:
            yield from _of_issuer(read, issuer)
        if profile is not None:
            yield from _of_profile(read, profile)
    except Refusal as refusal:
        yield Finding("lint-extension", f"an extension cannot be read: {refusal.message} (RFC 5280, 4.2)")


def _serial_fault(serial: int) -> Finding | None:
    if serial <= 0 or serial.bit_length() >= 8 * MAX_SERIAL_OCTETS:
        return Finding("lint-serial", "a serial is positive, of at most 20 octets (RFC 5280, 4.1.2.2)")
    if serial.bit_length() < MIN_SERIAL_BITS:
        return Finding("lint-serial", "a serial has at least 64 bits, which nobody can guess (4.1.2.2)")
    return None


def _fields(tbs: Tbs) -> Iterator[Finding]:
    """Everything but validity, key and extensions."""
    if tbs.version != 3:
        yield Finding("lint-version", "a certificate with extensions is of version 3 (RFC 5280, 4.1.2.1)")
    if tbs.unique_ids:
        yield Finding("lint-unique-id", "no unique identifiers are made (RFC 5280, 4.1.2.8)")
    fault = _serial_fault(int.from_bytes(tbs.serial, "big", signed=True))
    if fault:
        yield fault
    if scheme_of(tbs.algorithm) is None:
        yield Finding("lint-algorithm", "no suite signs by this algorithm (RFC 5280, 4.1.1.2)")
    if tbs.issuer == _EMPTY:
        yield Finding("lint-issuer", "an issuer has a name (RFC 5280, 4.1.2.4)")
    yield from (fault for name in (tbs.issuer, tbs.subject) if (fault := name_fault(name)))
    if tbs.subject == _EMPTY:
        if tbs.ca:
            yield Finding("lint-subject", "a CA has a name (RFC 5280, 4.1.2.6)")
        if tbs.value(oids.SUBJECT_ALT_NAME) is None:
            yield Finding("lint-subject", "who has no name has an alternative one (RFC 5280, 4.1.2.6)")


def _validity(tbs: Tbs, profile: Profile | None, issuer: Certificate | None) -> Iterator[Finding]:
    try:
        reader = only(tbs.validity)
        first, last = _time(reader), _time(reader)
        reader.done()
    except Refusal as refusal:
        yield Finding("lint-time", f"{refusal.message} (RFC 5280, 4.1.2.5)")
        return
    if last < first:
        yield Finding("lint-validity", "validity ends after it begins (RFC 5280, 4.1.2.5)")
    if issuer is not None and last > issuer.not_after:
        yield Finding("lint-validity", "no certificate outlives its issuer's (RFC 5280, 6.1.3 a 2)")
    if profile is not None and last - first > profile.lifetime + 2 * DELTA + timedelta(seconds=1):
        yield Finding("lint-validity", "it is valid for longer than its profile says")


def _time(reader: der.Reader) -> datetime:
    """A time; the fraction of a second, which the reader cuts, stands in none (4.1.2.5.2)."""
    if reader.peek() == der.GENERALIZED_TIME and reader.data[reader.pos + 1] != 15:
        raise Refusal("der-time", "a GeneralizedTime is written in whole seconds")
    return reader.time()


def _of_issuer(tbs: Tbs, issuer: Certificate) -> Iterator[Finding]:
    """What must agree with the issuer's certificate."""
    above = traits(issuer)
    if tbs.issuer != issuer.slices.subject:
        yield Finding("lint-issuer", "the issuer is named as it names itself (RFC 5280, 4.1.2.4)")
    scheme = scheme_of(tbs.algorithm)
    if scheme and (scheme.kind != kind_of(issuer.public_key.__class__) or not bound(issuer.spki, scheme)):
        yield Finding("lint-algorithm", "the issuer's key does not sign by this algorithm (4.1.1.2)")
    if not above.ca or not above.may("key_cert_sign"):
        yield Finding("lint-issuer", "who issues is a CA (RFC 5280, 4.2.1.9)")
    named = tbs.value(oids.AUTHORITY_KEY_ID)
    if named is not None and issuer.key_id is not None and only(named).content(0x80) != issuer.key_id:
        yield Finding("lint-key-id", "the issuer's key is identified as it is there (RFC 5280, 4.2.1.1)")
    _ca, length = basic(tbs)
    # what is self-issued, a link from one key of a CA to its next, does not count in a path (6.1.4 l)
    counts = tbs.issuer != tbs.subject
    if tbs.ca and above.path_length is not None and (length is None or length > above.path_length - counts):
        yield Finding("lint-path-length", "the path length is shorter than the issuer's (RFC 5280, 4.2.1.9)")
    usages = _usages(tbs)
    if issuer.ekus and not (usages and usages <= issuer.ekus):
        yield Finding("lint-purpose", "the issuer's purposes are others (RFC 5280, 4.2.1.12)")
    if issuer.slices.subject == issuer.slices.issuer:
        return
    mapped = {theirs for _ours, theirs in above.mappings}
    allowed = (above.policies or frozenset()) | mapped
    stray = [] if oids.ANY_POLICY in allowed else [one for one in policies_of(tbs) if one not in allowed]
    if stray:
        yield Finding("lint-policies", "the issuer is not certified for the policy (RFC 5280, 6.1.3 d)")


def _of_profile(tbs: Tbs, profile: Profile) -> Iterator[Finding]:
    """What the profile says, and nothing else."""
    _ca, length = basic(tbs)
    if tbs.ca != profile.is_ca:
        yield Finding("lint-profile", "whether it is a CA's is said by its profile")
    if profile.path_length is not None and (length is None or length > profile.path_length):
        yield Finding("lint-profile", "the path is longer than its profile says")
    said = tbs.by_oid.get(oids.EXTENDED_KEY_USAGE)
    if _usages(tbs) != frozenset(profile.ekus) or (said and said.critical != profile.critical_ekus):
        yield Finding("lint-profile", "the purposes are those of its profile")
    if (tbs.value(oids.PAN_COMMIT) is not None) != profile.pan_commit:
        yield Finding("lint-profile", "whether it commits to a card number is said by its profile")
    if (tbs.value(oids.OCSP_NOCHECK) is not None) != profile.ocsp_nocheck:
        yield Finding("lint-profile", "whether nobody is asked about it is said by its profile")
    if (profile.confined or profile.permitted) and tbs.value(oids.NAME_CONSTRAINTS) is None:
        yield Finding("lint-profile", "its profile confines its names")
    key = only(tbs.spki)
    key.span(der.SEQUENCE)
    own = sha1(key.content(der.BIT_STRING)[1:], usedforsecurity=False).digest()
    named = tbs.value(oids.SUBJECT_KEY_ID)
    # another authority's key has the identifier that it was given there
    if named is not None and named != der.octet_string(own) and not profile.is_ca:
        yield Finding("lint-key-id", "the key's identifier is its digest (RFC 5280, 4.2.1.2, method 1)")


def _usages(tbs: Tbs) -> frozenset[str]:
    value = tbs.value(oids.EXTENDED_KEY_USAGE)
    if value is None:
        return frozenset()
    return frozenset(der.dotted(one[2:]) for one in only(value).elements(der.OID, 64))
