"""One verifier decides about every certificate: path, time, revocation, purpose and name, and says why.

It is pure: anchors, untrusted certificates, CRLs and the instant are arguments, and equal arguments give
equal verdicts.  Results of signature checks are kept by the certificates' octets; nothing else is.  What
cannot be processed refuses; an empty set of anchors or CRLs accepts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.verification import legacy as old
from e2s.security.verification import signatures
from e2s.security.verification.anchors import Anchor, anchor_of
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.ocsp import Answer, Single, is_delegated, is_unchecked
from e2s.security.verification.revocation import Inquiry, Lists, lists_of
from e2s.security.verification.rules import (
    NO_POLICY,
    NOTHING_WANTED,
    Fault,
    Path,
    Wanted,
    fault_of,
    policies_of,
)
from e2s.security.verification.traits import Traits, traits
from e2s.security.verification.verdict import Verdict

MAX_UNTRUSTED = 64
MAX_PATH = 8
MAX_TRIED = 32
MAX_ANSWERS = 64
MAX_RESPONDERS = 4
#: Signatures of all kinds that one question may ask for, remembered or not.
MAX_CHECKED = 512
#: Signers of lists and answers that are judged for one another.
MAX_NESTED = 8
_WORK = "too-much-work"


class Verifier:
    """Judges certificates under fixed anchors; safe to share among threads."""

    def __init__(
        self, anchors: Sequence[Certificate | Anchor], *, kept: int = 4096, legacy: bool = False
    ) -> None:
        """``anchors``: the roots trusted here; ``kept``: how many signature results are remembered.

        ``legacy``: old paths are judged too, whose algorithms nothing new may use (:mod:`.legacy`); nothing
        is remembered then, for such a key is not whole without its path.
        """
        kept = 0 if legacy else kept
        trusted = tuple(anchor_of(given) for given in anchors)
        self.anchors = tuple(anchor.certificate for anchor in trusted)
        self._limited = {anchor.certificate.digest: anchor for anchor in trusted if anchor.limited}
        self._roots = {anchor.digest: traits(anchor) for anchor in self.anchors}
        self._by_subject = _by_subject(self.anchors, {})
        self._legacy = legacy
        self._good = old.good if legacy else signatures.good
        self._signed = lru_cache(maxsize=kept)(partial(_signed, self._good))
        self._crl_signed = lru_cache(maxsize=kept)(old.crl_signed if legacy else CrlIndex.signed_by)

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
        wanted: Wanted = NOTHING_WANTED,
        ocsp: Sequence[bytes] = (),
        later: bool = False,
    ) -> Verdict:
        """Decide whether ``certificate`` may act for ``purpose`` (EKU) as ``name`` (URI, DNS, IP) at ``at``.

        ``at`` may lie in the past: a certificate revoked after it is still good at it, provided that a CRL
        fresh at that instant is among ``crls``, or an OCSP answer among ``ocsp``, or with ``later`` one that
        was made between it and the certificate's end.  ``wanted`` says which policies are acceptable.
        Without ``require_revocation`` lists and answers may still revoke, and what they do not tell is no
        fault.  Never raises for what a peer sent: that is a verdict.
        """
        if len(untrusted) > MAX_UNTRUSTED:
            return _refused(Fault("too-large", "more certificates were sent than are looked at", certificate))
        lists, answers = lists_of(tuple(crls)), _answers(ocsp) if ocsp else ()
        asked = _Asked(untrusted, lists, answers, at, require_revocation, later, {}, [MAX_CHECKED])
        try:
            return self._judge(certificate, asked, purpose, name, wanted)
        except Refusal as refusal:
            if refusal.rule == _WORK:
                return _refused(Fault("too-much-work", refusal.message, certificate))
            reason = f"a certificate holds what cannot be read: {refusal.rule} (4.1, 4.2)"
            return _refused(Fault("bad-certificate", reason, certificate))

    def _judge(
        self, certificate: Certificate, asked: _Asked, purpose: str | None, name: str | None, wanted: Wanted
    ) -> Verdict:
        """The verdict; raises :class:`Refusal` for what only shows itself unreadable on the way."""
        # A revocation tells most, then what is wrong with a whole path, then that not all could be looked at.
        best: Verdict | None = None
        told = -1
        for found, broken in self._paths(certificate, asked):
            used: tuple[bytes, ...] = ()
            judged = NO_POLICY
            path, fault = old.settled(found) if self._legacy and broken is None else (found, broken)
            fault = fault or fault_of(path, at=asked.at, purpose=purpose, name=name, legacy=self._legacy)
            limits = self._limited.get(path[-1].certificate.digest) if self._limited else None
            if fault is None and limits is not None:
                fault = limits.fault(path, purpose)
            if fault is None:
                judged = policies_of(path, limits.narrowed(wanted) if limits else wanted)
                fault = judged.fault
            if fault is None and (asked.required or asked.lists or asked.answers):
                used, fault = self._revocation(path, asked)
            if fault is None:
                return Verdict(
                    accepted=True,
                    reason="every check passed",
                    path=_shown(path),
                    crls_used=used,
                    policies=judged.policies,
                    notices=judged.notices,
                    notes=old.notes_of(path) if self._legacy else (),
                )
            verdict = _refused(fault, path)
            telling = _telling(fault, whole=broken is None)
            if telling > told:
                best, told = verdict, telling
        return best or _refused(
            Fault("unknown-root", "no path leads from here to a trusted root (6.1)", certificate)
        )

    def forget_paths(self) -> None:
        """Drop the remembered signature results of certificates; those of CRLs stay."""
        self._signed.cache_clear()

    def _paths(self, certificate: Certificate, asked: _Asked) -> Iterator[tuple[Path, Fault | None]]:
        """Paths to an anchor with good signatures, depth first, and what is wrong where one breaks off."""
        below = _by_subject([one for one in asked.untrusted if one is not certificate], self._roots)
        forms = _Forms(self._by_subject, below)
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
            named = named or forms.named(last)
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
                asked.spend()
                # a key without parameters has signed, or not, once its path is known
                if (self._legacy and old.inherits(issuer.certificate)) or self._signed(
                    last.certificate, issuer.certificate
                ):
                    waiting.append((*path, issuer))
                else:
                    yield path[-1:], _not_signed(last, issuer)

    def _revocation(self, path: Path, asked: _Asked) -> tuple[tuple[bytes, ...], Fault | None]:
        """The lists used and the fault found, over all certificates below the anchor (6.3.3)."""

        def signer_of(crl: CrlIndex, issuer: Traits) -> Traits | None:
            if issuer.may("crl_sign") and crl.issued_by(issuer):
                asked.spend()
                if self._crl_signed(crl, issuer.certificate):
                    return issuer
            return self._other_signer(crl, issuer, path[-1], asked)

        singles_of = partial(self._singles, path[-1], asked) if asked.answers else None
        inquiry = Inquiry(
            asked.lists, asked.at, signer_of, singles_of, required=asked.required, later=asked.later
        )
        fault = inquiry.fault(path)
        return inquiry.used, fault

    def _other_signer(self, crl: CrlIndex, issuer: Traits, anchor: Traits, asked: _Asked) -> Traits | None:
        """A signer of the list that is not the certificate's issuer: on a good path to the same anchor."""
        for certificate in (*self.anchors, *asked.untrusted):
            candidate = traits(certificate)
            if candidate is issuer or not (crl.issued_by(candidate) and candidate.may("crl_sign")):
                continue
            asked.spend()
            if not self._crl_signed(crl, certificate):
                continue
            if candidate is anchor or self._stands(certificate, anchor, asked):
                return candidate
        return None

    def _singles(
        self, anchor: Traits, asked: _Asked, certificate: Traits, issuer: Traits
    ) -> Iterator[Single]:
        """What proven OCSP answers say of a certificate."""
        for answer in asked.answers:
            single = answer.single(certificate, issuer)
            if single is not None and self._answered(answer, issuer, anchor, asked):
                yield single

    def _answered(self, answer: Answer, issuer: Traits, anchor: Traits, asked: _Asked) -> bool:
        """Whether the issuer, or a responder that it delegated, signed the answer (RFC 6960, 4.2.2.2)."""
        by_issuer = issuer.certificate
        asked.spend()
        if answer.by(by_issuer) and self._good(
            by_issuer.public_key, answer.algorithm, answer.signature, answer.tbs
        ):
            return True
        for responder in answer.certificates[:MAX_RESPONDERS]:
            asked.spend()
            if (
                answer.by(responder)
                and is_delegated(responder, by_issuer)
                and responder.not_before <= asked.at <= responder.not_after
                and self._signed(responder, by_issuer)
                and self._good(responder.public_key, answer.algorithm, answer.signature, answer.tbs)
                and (is_unchecked(responder) or self._stands(responder, anchor, asked))
            ):
                return True
        return False

    def _stands(self, certificate: Certificate, anchor: Traits, asked: _Asked) -> bool:
        """Whether a CRL's signer is itself good; one may answer for itself."""
        signers = asked.signers
        if certificate.digest in signers:
            return signers[certificate.digest] is not False
        before = set(signers)
        if sum(one is None for one in signers.values()) >= MAX_NESTED:
            return False
        signers[certificate.digest] = None  # until it is known: a list may answer for its signer
        verdict = self._judge(certificate, asked, None, None, NOTHING_WANTED)
        known = verdict.accepted and verdict.anchor == anchor.certificate
        if not known:
            # whoever stood by its word no longer does
            for digest in signers.keys() - before:
                del signers[digest]
        signers[certificate.digest] = known
        return known


class _Asked(NamedTuple):
    """What one question is about, besides the certificate.

    ``signers`` fills as signers of lists and answers are judged, None while one is; ``checks_left`` is one
    number that goes down.
    """

    untrusted: Sequence[Certificate]
    lists: Lists
    answers: tuple[Answer, ...]
    at: datetime
    required: bool
    later: bool
    signers: dict[bytes, bool | None]
    checks_left: list[int]

    def spend(self) -> None:
        """Count one signature that is asked for; raises :class:`Refusal` where there were too many."""
        self.checks_left[0] -= 1
        if self.checks_left[0] < 0:
            raise Refusal(_WORK, "more signatures call for a check than are checked")


class _Forms:
    """Certificates by the form of their subject, for names that are the same in other octets (7.1)."""

    def __init__(self, *by_subject: Mapping[bytes, list[Traits]]) -> None:
        """Nothing is compared before it is asked for."""
        self._links = by_subject

    def named(self, below: Traits) -> tuple[Traits, ...]:
        """Those that ``below`` names as its issuer."""
        all_links = (link for links in self._links for named in links.values() for link in named)
        return tuple(link for link in all_links if link.subject_form == below.issuer_form)


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


def _answers(octets: Sequence[bytes]) -> tuple[Answer, ...]:
    """The OCSP answers that can be read; one that cannot speaks for nobody."""
    found: list[Answer] = []
    for one in octets[:MAX_ANSWERS]:
        try:
            found.append(Answer.read(one))
        except Refusal:
            continue
    return tuple(found)


def _signed(good: Callable[..., bool], certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer's key signed the certificate (6.1.3 a 1)."""
    claims = traits(certificate)
    if claims.signature is None:
        return False
    return good(issuer.public_key, claims.algorithm, claims.signature, claims.tbs, issuer.spki)


def _not_signed(certificate: Traits, issuer: Traits) -> Fault:
    """Why: a weak algorithm, or another signature."""
    key = issuer.certificate.public_key
    if not signatures.permitted(certificate.algorithm) or not signatures.strong(key):
        reason = "signed under an algorithm that is not permitted"
        return Fault("weak-algorithm", reason, certificate.certificate)
    return Fault(
        "bad-path-signature", "its issuer's key did not sign it (6.1.3 a 1)", certificate.certificate
    )


def _telling(fault: Fault, *, whole: bool) -> int:
    """How much a fault tells, beside those of other paths."""
    if fault.rule == "revoked":
        return 3
    return 2 if whole else int(fault.rule == "path-too-long")


def _refused(fault: Fault, path: Path = ()) -> Verdict:
    return Verdict(
        accepted=False, rule=fault.rule, reason=fault.reason, path=_shown(path), culprit=fault.culprit
    )


def _shown(path: Path) -> tuple[Certificate, ...]:
    return tuple(link.certificate for link in path)
