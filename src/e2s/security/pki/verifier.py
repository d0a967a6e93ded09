"""One verifier decides about every certificate: path, time, revocation, purpose and name, and says why.

It is pure: anchors, untrusted certificates, CRLs and the instant are arguments, and equal arguments give
equal verdicts.  Results of signature checks are kept by the certificates' octets; nothing else is.  What
cannot be processed refuses; an empty set of anchors or CRLs accepts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import rsa

from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.pki import constraints, signatures
from e2s.security.pki.crls import CrlIndex
from e2s.security.pki.traits import traits
from e2s.security.pki.verdict import Verdict, accept, refuse

MAX_UNTRUSTED = 64
MAX_PATH = 8
MAX_TRIED = 64
_AGREEMENT = frozenset(oids.AGREEMENT.values())
_Path = tuple[Certificate, ...]


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What one judgement asks of a path."""

    at: datetime
    purpose: str | None
    name: str | None
    crls: tuple[CrlIndex, ...] | None


class Verifier:
    """Judges certificates under fixed anchors; safe to share among threads."""

    def __init__(self, anchors: Sequence[Certificate], *, kept: int = 4096) -> None:
        """``anchors``: the roots trusted here; ``kept``: how many signature results are remembered."""
        self.anchors = tuple(anchors)
        self._roots = frozenset(self.anchors)
        self._signed = lru_cache(maxsize=kept)(_signed)
        self._crl_signed = lru_cache(maxsize=kept)(_crl_signed)

    def judge(
        self,
        certificate: Certificate,
        untrusted: Sequence[Certificate],
        crls: Sequence[bytes],
        *,
        at: datetime,
        purpose: str | None,
        name: str | None,
        require_revocation: bool = True,
    ) -> Verdict:
        """Decide whether ``certificate`` may act for ``purpose`` (EKU) as ``name`` (URI, DNS, IP) at ``at``.

        ``at`` may lie in the past: a certificate revoked after it is still good at it, provided that a CRL
        fresh at that instant is among ``crls``.  Never raises for what a peer sent: that is a verdict.
        """
        if len(untrusted) > MAX_UNTRUSTED:
            return refuse("too-large", "more certificates were sent than are looked at", certificate)
        question = _Question(
            at=at, purpose=purpose, name=name, crls=_readable(crls) if require_revocation else None
        )
        failures: list[Verdict] = []
        for found in self._paths(certificate, untrusted):
            if isinstance(found, Verdict):
                failures.append(found)
                continue
            verdict = self._examine(found, question)
            if verdict.accepted:
                return verdict
            failures.append(verdict)
        # A whole path that fails tells more than a broken one, and that more than none.
        return max(failures, key=lambda verdict: len(verdict.path), default=_no_path(certificate))

    def forget_paths(self) -> None:
        """Drop the remembered signature results of certificates; those of CRLs stay."""
        self._signed.cache_clear()

    def _paths(self, certificate: Certificate, untrusted: Sequence[Certificate]) -> Iterator[_Path | Verdict]:
        """Paths to an anchor with good signatures, depth first; a verdict for each that breaks on the way."""
        pool = dict.fromkeys((*self.anchors, *untrusted))
        waiting: list[_Path] = [(certificate,)]
        tried = 0
        while waiting:
            path = waiting.pop()
            last = path[-1]
            if last in self._roots:
                yield path
                continue
            issuers = [c for c in pool if c not in path and _names_issuer(last, c)]
            if not issuers:
                yield _no_path(last)
            if issuers and len(path) >= MAX_PATH:
                yield refuse("path-too-long", "the path is longer than is followed", last)
                continue
            for issuer in reversed(issuers):
                tried += 1
                if tried > MAX_TRIED:
                    yield refuse("path-too-long", "too many certificates call for a look", certificate)
                    return
                if self._signed(last, issuer):
                    waiting.append((*path, issuer))
                else:
                    yield _not_signed(last, issuer)

    def _examine(self, path: _Path, question: _Question) -> Verdict:
        """Decide about one whole path, from the anchor down (RFC 5280, 6.1)."""
        fault = (
            _time(path, question.at)
            or _authority(path)
            or _constrained(path)
            or _purpose(path, question.purpose)
            or _name(path, question.name)
        )
        if fault is not None:
            return fault
        if question.crls is None:
            return accept(path, ())
        return self._revocation(path, question.crls, question.at)

    def _revocation(self, path: _Path, crls: Sequence[CrlIndex], at: datetime) -> Verdict:
        """A fresh CRL by the issuer for each certificate below the anchor (RFC 5280, 6.3.3)."""
        used: list[bytes] = []
        for i in range(len(path) - 2, -1, -1):
            certificate, issuer = path[i], path[i + 1]
            if not traits(issuer).may("crl_sign"):
                return refuse("revocation-unknown", "the issuer may not sign CRLs (6.3.3 f)", issuer, path)
            lists = [c for c in crls if c.names(issuer) and self._crl_signed(c, issuer)]
            for crl in lists:
                revocation = crl.revoked.get(certificate.serial)
                if revocation is not None and revocation.at <= at:
                    since = f"{format_instant(revocation.at)} ({revocation.reason})"
                    return refuse("revoked", f"revoked since {since} (6.3.3 i)", certificate, path)
            fresh = [c for c in lists if c.fresh(at)]
            if not fresh:
                return refuse(
                    "revocation-unknown",
                    "no CRL of the issuer is fresh at that instant (6.3.3)",
                    certificate,
                    path,
                )
            newest = max(fresh, key=lambda crl: (crl.this_update, crl.number))
            if newest.der not in used:
                used.append(newest.der)
        return accept(path, tuple(used))


def _signed(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer's key signed the certificate (6.1.3 a 1)."""
    parsed = certificate.x509
    if not certificate.der.endswith(b"\0" + parsed.signature):
        return False  # a BIT STRING with unused bits: the same signature under other octets
    return signatures.good(
        issuer.public_key, traits(certificate).algorithm, parsed.signature, parsed.tbs_certificate_bytes
    )


def _crl_signed(crl: CrlIndex, issuer: Certificate) -> bool:
    return crl.signed_by(issuer)


def _readable(crls: Sequence[bytes]) -> tuple[CrlIndex, ...]:
    """The CRLs that can be read; one that cannot speaks for nobody."""
    found: list[CrlIndex] = []
    for der in crls:
        try:
            found.append(CrlIndex.read(der))
        except Refusal:
            continue
    return tuple(found)


def _names_issuer(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether ``issuer`` fits the names and key identifiers (6.1.3 a 4; 4.2.1.1)."""
    claims = traits(certificate)
    if claims.issuer != traits(issuer).subject:
        return False
    wanted, key_id = claims.authority_key_id, issuer.key_id
    return wanted is None or key_id is None or wanted == key_id


def _no_path(certificate: Certificate) -> Verdict:
    return refuse("unknown-root", "no path leads from here to a trusted root (6.1)", certificate)


def _not_signed(certificate: Certificate, issuer: Certificate) -> Verdict:
    if not signatures.permitted(traits(certificate).algorithm) or not signatures.strong(issuer.public_key):
        return refuse(
            "weak-algorithm", "signed under an algorithm that is not permitted", certificate, (certificate,)
        )
    return refuse(
        "bad-path-signature", "its issuer's key did not sign it (6.1.3 a 1)", certificate, (certificate,)
    )


def _time(path: _Path, at: datetime) -> Verdict | None:
    """Validity of each certificate at the instant (6.1.3 a 2)."""
    for certificate in reversed(path):
        if at < certificate.not_before:
            since = format_instant(certificate.not_before)
            return refuse("not-yet-valid", f"valid only from {since} (6.1.3 a 2)", certificate, path)
        if at > certificate.not_after:
            until = format_instant(certificate.not_after)
            return refuse("expired", f"valid only until {until} (6.1.3 a 2)", certificate, path)
    return None


def _authority(path: _Path) -> Verdict | None:
    """Critical extensions, and each issuer's right to certify (6.1.4 k to n, 6.1.5)."""
    for certificate in reversed(path):
        unknown = traits(certificate).unknown_critical
        if unknown:
            return refuse(
                "unknown-critical",
                f"critical extension {unknown[0]} is not processed (6.1.4 o)",
                certificate,
                path,
            )
    following = 0
    for issuer in path[1:]:
        claims = traits(issuer)
        if not claims.ca:
            return refuse("not-a-ca", "it certified another and is no CA (6.1.4 k)", issuer, path)
        if not claims.may("key_cert_sign"):
            return refuse("not-a-ca", "its key may not sign certificates (6.1.4 n)", issuer, path)
        if claims.path_length is not None and following > claims.path_length:
            return refuse("path-too-long", "more CAs follow than it allows (6.1.4 m)", issuer, path)
        following += not claims.self_issued
    return None


def _constrained(path: _Path) -> Verdict | None:
    """Name constraints of each CA on all below it, self-issued CAs excepted (6.1.3 b, c)."""
    for depth, issuer in enumerate(path):
        limits = traits(issuer).constraints
        if limits is None or depth == 0:
            continue
        for i, certificate in enumerate(path[:depth]):
            if i and traits(certificate).self_issued:
                continue
            fault = constraints.violation(limits, certificate) or constraints.outside_party(
                issuer, certificate
            )
            if fault:
                return refuse("name-constraint", f"{fault} (6.1.3 b, c)", certificate, path)
    return None


def _purpose(path: _Path, purpose: str | None) -> Verdict | None:
    """The exact EKU, the key usage it needs, and no CA confined to others (4.2.1.3, 4.2.1.12)."""
    certificate = path[0]
    if not signatures.strong(certificate.public_key):
        return refuse("weak-algorithm", "its key is of no permitted kind or size", certificate, path)
    if purpose is None:
        return None
    if purpose not in certificate.ekus:
        return refuse("wrong-purpose", "it is not certified for this purpose (4.2.1.12)", certificate, path)
    for issuer in path[1:]:
        if issuer.ekus and purpose not in issuer.ekus:
            return refuse("wrong-purpose", "its CA is confined to other purposes (4.2.1.12)", issuer, path)
    claims = traits(certificate)
    if purpose == oids.EKU_TIME_STAMPING and not (claims.ekus_critical and len(certificate.ekus) == 1):
        return refuse(
            "wrong-purpose",
            "time stamping must be its only, critical purpose (RFC 3161, 2.3)",
            certificate,
            path,
        )
    if not claims.may(*_usages(certificate, purpose)):
        return refuse("wrong-purpose", "its key usage does not fit the purpose (4.2.1.3)", certificate, path)
    return None


def _usages(certificate: Certificate, purpose: str) -> tuple[str, ...]:
    if purpose not in _AGREEMENT:
        return ("digital_signature",)
    return (
        ("key_encipherment",) if isinstance(certificate.public_key, rsa.RSAPublicKey) else ("key_agreement",)
    )


def _name(path: _Path, name: str | None) -> Verdict | None:
    """The name stands among the subject's alternative names, exactly; no wildcards (4.2.1.6)."""
    certificate = path[0]
    if name is None or name in certificate.names or name in certificate.ips:
        return None
    if name.lower() in (host.lower() for host in certificate.dns):
        return None
    return refuse("wrong-name", f"it is not certified for the name {name} (4.2.1.6)", certificate, path)
