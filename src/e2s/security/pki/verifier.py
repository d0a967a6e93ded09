"""One verifier decides about every certificate: path, time, revocation, purpose and name, and says why.

It is pure: anchors, untrusted certificates, CRLs and the instant are arguments, and equal arguments give
equal verdicts.  Results of signature checks are kept by the certificates' octets; nothing else is.  What
cannot be processed refuses; an empty set of anchors or CRLs accepts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.crypto.certificates import Certificate
from e2s.security.pki import signatures
from e2s.security.pki.crls import CrlIndex
from e2s.security.pki.rules import Fault, Path, fault_of
from e2s.security.pki.traits import Traits, traits
from e2s.security.pki.verdict import Verdict

MAX_UNTRUSTED = 64
MAX_PATH = 8
MAX_TRIED = 64


class Verifier:
    """Judges certificates under fixed anchors; safe to share among threads."""

    def __init__(self, anchors: Sequence[Certificate], *, kept: int = 4096) -> None:
        """``anchors``: the roots trusted here; ``kept``: how many signature results are remembered."""
        self.anchors = tuple(anchors)
        self._roots = {anchor.digest: traits(anchor) for anchor in self.anchors}
        self._by_subject = _by_subject(self.anchors, {})
        self._signed = lru_cache(maxsize=kept)(_signed)
        self._crl_signed = lru_cache(maxsize=kept)(CrlIndex.signed_by)

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
            return _refused(Fault("too-large", "more certificates were sent than are looked at", certificate))
        lists = _readable(crls) if require_revocation else ()
        # A whole path that fails tells more than a broken one, and that more than none.
        best: Verdict | None = None
        for path, broken in self._paths(certificate, untrusted):
            used: tuple[bytes, ...] = ()
            fault = broken or fault_of(path, at=at, purpose=purpose, name=name)
            if fault is None and require_revocation:
                used, fault = self._revocation(path, lists, at)
            if fault is None:
                return Verdict(accepted=True, reason="every check passed", path=_shown(path), crls_used=used)
            verdict = _refused(fault, path)
            if best is None or len(verdict.path) > len(best.path):
                best = verdict
        return best or _refused(
            Fault("unknown-root", "no path leads from here to a trusted root (6.1)", certificate)
        )

    def forget_paths(self) -> None:
        """Drop the remembered signature results of certificates; those of CRLs stay."""
        self._signed.cache_clear()

    def _paths(
        self, certificate: Certificate, untrusted: Sequence[Certificate]
    ) -> Iterator[tuple[Path, Fault | None]]:
        """Paths to an anchor with good signatures, depth first, and what is wrong where one breaks off."""
        below = _by_subject(untrusted, self._roots)
        first = self._roots.get(certificate.digest) or traits(certificate)
        waiting: list[Path] = [(first,)]
        tried = 0
        while waiting:
            path = waiting.pop()
            last = path[-1]
            if last.certificate.digest in self._roots:
                yield path, None
                continue
            named = (*self._by_subject.get(last.issuer, ()), *below.get(last.issuer, ()))
            issuers = [link for link in named if last.issued_by(link) and link not in path]
            if issuers and len(path) >= MAX_PATH:
                reason = "the path is longer than is followed"
                yield path[-1:], Fault("path-too-long", reason, last.certificate)
                continue
            for issuer in reversed(issuers):
                tried += 1
                if tried > MAX_TRIED:
                    reason = "too many certificates call for a look"
                    yield path[:1], Fault("path-too-long", reason, certificate)
                    return
                if self._signed(last.certificate, issuer.certificate):
                    waiting.append((*path, issuer))
                else:
                    yield path[-1:], _not_signed(last, issuer)

    def _revocation(
        self, path: Path, crls: Sequence[CrlIndex], at: datetime
    ) -> tuple[tuple[bytes, ...], Fault | None]:
        """A fresh CRL by the issuer for each certificate below the anchor (RFC 5280, 6.3.3)."""
        used: dict[bytes, None] = {}
        for place in range(len(path) - 2, -1, -1):
            certificate, issuer = path[place].certificate, path[place + 1]
            if not issuer.may("crl_sign"):
                reason = "the issuer may not sign CRLs (6.3.3 f)"
                return (), Fault("revocation-unknown", reason, issuer.certificate)
            newest: CrlIndex | None = None
            for crl in crls:
                if not (crl.issued_by(issuer) and self._crl_signed(crl, issuer.certificate)):
                    continue
                revocation = crl.revoked.get(certificate.serial)
                if revocation is not None and revocation.at <= at:
                    since = f"{format_instant(revocation.at)} ({revocation.reason})"
                    return (), Fault("revoked", f"revoked since {since} (6.3.3 i)", certificate)
                if crl.fresh(at) and (newest is None or crl.later_than(newest)):
                    newest = crl
            if newest is None:
                reason = "no CRL of the issuer is fresh at that instant (6.3.3)"
                return (), Fault("revocation-unknown", reason, certificate)
            used[newest.der] = None
        return tuple(used), None


def _by_subject(
    certificates: Sequence[Certificate], known: Mapping[bytes, Traits]
) -> dict[bytes, list[Traits]]:
    """Each certificate's traits by its subject, once each and without those ``known`` by digest."""
    found: dict[bytes, list[Traits]] = {}
    for certificate in certificates:
        link = traits(certificate)
        links = found.setdefault(link.subject, [])
        if link not in links and certificate.digest not in known:
            links.append(link)
    return found


def _signed(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer's key signed the certificate (6.1.3 a 1)."""
    claims = traits(certificate)
    if claims.signature is None:
        return False
    return signatures.good(issuer.public_key, claims.algorithm, claims.signature, claims.tbs)


def _not_signed(certificate: Traits, issuer: Traits) -> Fault:
    """Why: a weak algorithm, or another signature."""
    key = issuer.certificate.public_key
    if not signatures.permitted(certificate.algorithm) or not signatures.strong(key):
        reason = "signed under an algorithm that is not permitted"
        return Fault("weak-algorithm", reason, certificate.certificate)
    return Fault(
        "bad-path-signature", "its issuer's key did not sign it (6.1.3 a 1)", certificate.certificate
    )


def _readable(crls: Sequence[bytes]) -> tuple[CrlIndex, ...]:
    """The CRLs that can be read; one that cannot speaks for nobody."""
    found: list[CrlIndex] = []
    for der in crls:
        try:
            found.append(CrlIndex.read(der))
        except Refusal:
            continue
    return tuple(found)


def _refused(fault: Fault, path: Path = ()) -> Verdict:
    return Verdict(
        accepted=False, rule=fault.rule, reason=fault.reason, path=_shown(path), culprit=fault.culprit
    )


def _shown(path: Path) -> tuple[Certificate, ...]:
    return tuple(link.certificate for link in path)
