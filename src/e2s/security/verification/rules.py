"""What a whole path must satisfy, rule by rule; each names the clause of RFC 5280 that it applies.

Paths run from the end entity to the anchor.  A rule gives the fault that it found, or None.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, TypeAlias

from e2s.base.instants import format_instant
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import kind_of
from e2s.crypto.legacy import legacy_key
from e2s.security.verification import constraints, signatures
from e2s.security.verification.notices import Notice
from e2s.security.verification.policies import ANY, PolicyGraph
from e2s.security.verification.traits import Traits

Path: TypeAlias = tuple[Traits, ...]
_AGREEMENT = frozenset((*oids.AGREEMENT.values(), oids.COMPONENT_AGREEMENT))
#: A CA that has it with others is not confined by them; an end entity must name its purpose (4.2.1.12).
_ANY_USE = "2.5.29.37.0"
_SIGNS = ("digital_signature",)
#: Key usages of purposes for which a signature is not all, or one that binds does as well.
_USAGES = {
    oids.EKU_EMAIL: (*_SIGNS, "content_commitment", "key_encipherment", "key_agreement"),
    oids.EKU_DOCUMENT: (*_SIGNS, "content_commitment"),
    oids.EKU_TIME_STAMPING: (*_SIGNS, "content_commitment"),
}
#: Kinds of keys that a content key is sent to, not agreed with.
_TRANSPORT = frozenset({"rsa", "ml-kem-768", "ml-kem-1024"})


class Fault(NamedTuple):
    """The rule broken, the sentence with its clause, and the certificate at fault."""

    rule: str
    reason: str
    culprit: Certificate


class Wanted(NamedTuple):
    """What the user asks of a path's policies (RFC 5280, 6.1.1 c to g)."""

    policies: frozenset[str] = frozenset({ANY})
    explicit: bool = False
    inhibit_any: bool = False
    inhibit_mapping: bool = False


#: Any policy, or none.
NOTHING_WANTED = Wanted()


def fault_of(
    path: Path, *, at: datetime, purpose: str | None, name: str | None, legacy: bool = False
) -> Fault | None:
    """The first fault of the path, revocation apart; ``legacy``: keys that only old paths have may stand."""
    return (
        _time(path, at)
        or _critical(path)
        or _authority(path)
        or _constrained(path)
        or _strong(path[0].certificate, legacy=legacy)
        or _purpose(path, purpose)
        or _name(path[0].certificate, name)
    )


def _time(path: Path, at: datetime) -> Fault | None:
    """Validity of each certificate at the instant (6.1.3 a 2)."""
    for link in reversed(path):
        certificate = link.certificate
        if at < certificate.not_before:
            since = format_instant(certificate.not_before)
            return Fault("not-yet-valid", f"valid only from {since} (6.1.3 a 2)", certificate)
        if at > certificate.not_after:
            until = format_instant(certificate.not_after)
            return Fault("expired", f"valid only until {until} (6.1.3 a 2)", certificate)
    return None


def _critical(path: Path) -> Fault | None:
    """No critical extension is left unprocessed (6.1.4 o, 6.1.5 f)."""
    for link in reversed(path):
        if link.unknown_critical:
            reason = f"critical extension {link.unknown_critical[0]} is not processed (6.1.4 o)"
            return Fault("unknown-critical", reason, link.certificate)
    return None


def _authority(path: Path) -> Fault | None:
    """Each issuer's right to certify, and how many CAs may follow it (6.1.4 k to n)."""
    following = 0
    for issuer in path[1:]:
        if not issuer.ca:
            return Fault("not-a-ca", "it certified another and is no CA (6.1.4 k)", issuer.certificate)
        if not issuer.may("key_cert_sign"):
            return Fault("not-a-ca", "its key may not sign certificates (6.1.4 n)", issuer.certificate)
        if issuer.path_length is not None and following > issuer.path_length:
            return Fault("path-too-long", "more CAs follow than it allows (6.1.4 m)", issuer.certificate)
        following += not issuer.self_issued
    return None


def _constrained(path: Path) -> Fault | None:
    """Name constraints of each CA on all below it, self-issued CAs excepted (6.1.3 b, c)."""
    compared = 0
    for depth, issuer in enumerate(path):
        limits = issuer.constraints
        if limits is None or depth == 0:
            continue
        for place, link in enumerate(path[:depth]):
            if place and link.self_issued:
                continue
            named = link.certificate
            compared += constraints.comparisons(limits, named)
            if compared > constraints.MAX_COMPARED:
                reason = "more names and subtrees than are compared (6.1.3 b, c)"
                return Fault("name-constraint", reason, named)
            fault = constraints.violation(limits, named) or constraints.outside_party(
                issuer.certificate, named
            )
            if fault:
                return Fault("name-constraint", f"{fault} (6.1.3 b, c)", named)
    return None


def _strong(certificate: Certificate, *, legacy: bool) -> Fault | None:
    """The end entity's own key is of a permitted kind and size; those above it showed theirs by signing."""
    if signatures.strong(certificate.public_key) or (legacy and legacy_key(certificate) is not None):
        return None
    return Fault("weak-algorithm", "its key is of no permitted kind or size", certificate)


def _purpose(path: Path, purpose: str | None) -> Fault | None:
    """The exact EKU, the key usage it needs, and no CA confined to others (4.2.1.3, 4.2.1.12)."""
    link, certificate = path[0], path[0].certificate
    if purpose is None:
        return None
    if purpose not in certificate.ekus:
        return Fault("wrong-purpose", "it is not certified for this purpose (4.2.1.12)", certificate)
    for issuer in path[1:]:
        if issuer.certificate.ekus and issuer.certificate.ekus.isdisjoint({purpose, _ANY_USE}):
            reason = "its CA is confined to other purposes (4.2.1.12)"
            return Fault("wrong-purpose", reason, issuer.certificate)
    if purpose == oids.EKU_TIME_STAMPING and not (link.ekus_critical and len(certificate.ekus) == 1):
        reason = "time stamping must be its only, critical purpose (RFC 3161, 2.3)"
        return Fault("wrong-purpose", reason, certificate)
    if not link.may(*_usages(certificate, purpose)):
        return Fault("wrong-purpose", "its key usage does not fit the purpose (4.2.1.3)", certificate)
    return None


def _usages(certificate: Certificate, purpose: str) -> tuple[str, ...]:
    """The key usages of which the purpose needs one (RFC 5280, 4.2.1.12; RFC 8446, 4.4.2.2).

    What is agreed with or sent to needs that of its kind of key (RFC 3279, 2.3; RFC 8410, 5; RFC 9935, 5).
    """
    if purpose not in _AGREEMENT:
        return _USAGES.get(purpose, _SIGNS)
    transport = kind_of(type(certificate.public_key)) in _TRANSPORT
    return ("key_encipherment",) if transport else ("key_agreement",)


def _name(certificate: Certificate, name: str | None) -> Fault | None:
    """The name stands among the subject's alternative names, exactly; no wildcards (4.2.1.6)."""
    if name is None or name in certificate.names or name in certificate.ips:
        return None
    if name.lower() in (host.lower() for host in certificate.dns):
        return None
    return Fault("wrong-name", f"it is not certified for the name {name} (4.2.1.6)", certificate)


class Judged(NamedTuple):
    """The policies that a path is valid for, what is to be said of them, and what is wrong (6.1.6)."""

    policies: frozenset[str] = frozenset()
    notices: tuple[Notice, ...] = ()
    fault: Fault | None = None


#: A path that no certificate says a policy of.
NO_POLICY = Judged()


def policies_of(path: Path, wanted: Wanted = NOTHING_WANTED) -> Judged:
    """The policies that the path is valid for, and what is wrong with them (6.1.2 d to f to 6.1.5 g)."""
    if wanted is NOTHING_WANTED and not _says_policies(path):
        return NO_POLICY
    below = path[-2::-1]
    # What may still follow before a policy is required, any policy counts for none, mapping ends.
    explicit = 0 if wanted.explicit else len(below) + 1
    no_any = 0 if wanted.inhibit_any else len(below) + 1
    no_mapping = 0 if wanted.inhibit_mapping else len(below) + 1
    graph = PolicyGraph()
    for place, link in enumerate(below):
        last = place == len(below) - 1
        if link.policies is None:
            graph.forget()
        else:
            any_allowed = no_any > 0 or (not last and link.self_issued)
            graph.add(link.policies, any_allowed=any_allowed, notices=link.notices)
        if not explicit and not graph:
            reason = "no policy is left and one is required (6.1.3 f)"
            return Judged(fault=Fault("policy-required", reason, link.certificate))
        if last:
            explicit = 0 if link.require_explicit == 0 else max(explicit - 1, 0)
            break
        if any(ANY in pair for pair in link.mappings):
            return Judged(fault=Fault("bad-mapping", "any policy is mapped (6.1.4 a)", link.certificate))
        graph.map(link.mappings, allowed=no_mapping > 0)
        if not link.self_issued:
            explicit, no_mapping, no_any = (max(n - 1, 0) for n in (explicit, no_mapping, no_any))
        explicit = _lower(explicit, link.require_explicit)
        no_mapping = _lower(no_mapping, link.inhibit_mapping)
        no_any = _lower(no_any, link.inhibit_any)
    found = graph.within(wanted.policies)
    if not explicit and not found:
        reason = "it is valid for no policy that is acceptable, and one is required (6.1.5 g)"
        return Judged(fault=Fault("policy-required", reason, path[0].certificate))
    return Judged(found, graph.notices() if any(link.notices for link in below) else ())


def _says_policies(path: Path) -> bool:
    """Whether a certificate below the anchor asserts policies or requires one."""
    return any(link.policies is not None or link.require_explicit is not None for link in path[:-1])


def _lower(left: int, said: int | None) -> int:
    return left if said is None else min(left, said)
