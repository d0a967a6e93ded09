"""Whether a certificate was revoked: answered by lists that are meant for it, well signed and fresh, or not.

RFC 5280, 6.3.3: each distribution point of the certificate is asked in turn, at last its issuer's own list;
together they must answer for every reason.  What stays open is *unknown*, which refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import cast

from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.security.verification.crls import HELD, REMOVED, CrlIndex, Revocation
from e2s.security.verification.distribution import ALL_REASONS, WHOLE, Point
from e2s.security.verification.name_forms import Form
from e2s.security.verification.ocsp import Single
from e2s.security.verification.rules import Fault, Path
from e2s.security.verification.traits import Traits

#: Finds the certificate whose key signed a list, on a good path to the same anchor; None where there is none.
SignerOf = Callable[[CrlIndex, Traits], Traits | None]

#: The point that every certificate has: its issuer's own list.
ISSUERS_OWN = Point()

#: The rule that is broken where nothing at hand tells a certificate's status.
UNKNOWN = "revocation-unknown"

#: Gives what proven OCSP answers say of a certificate by its issuer.
SinglesOf = Callable[[Traits, Traits], Iterable[Single]]


class Lists:
    """CRLs by their issuers, complete ones apart from those that change them; an unreadable one is none."""

    __slots__ = ("complete", "deltas", "plain")

    def __init__(self, octets: Sequence[bytes]) -> None:
        """Read each list that can be read."""
        self.complete: dict[Form, list[CrlIndex]] = {}
        self.deltas: list[CrlIndex] = []
        for one in octets:
            try:
                crl = CrlIndex.read(one)
                form = crl.issuer_form
            except Refusal:
                continue
            if crl.base is None:
                self.complete.setdefault(form, []).append(crl)
            else:
                self.deltas.append(crl)
        #: Lists over all that their issuer certified, where an issuer has no others and nothing changes them;
        #: by the issuer's name as it stands in them.
        self.plain = {
            crl.issuer: lists
            for lists in self.complete.values()
            if not self.deltas and all(one.scope is WHOLE for one in lists)
            for crl in lists
        }

    def __bool__(self) -> bool:
        """Whether there is any list."""
        return bool(self.complete or self.deltas)


@lru_cache(maxsize=64)
def lists_of(octets: tuple[bytes, ...]) -> Lists:
    """The lists, read once: the same few come with nearly every question."""
    return Lists(octets)


class Inquiry:
    """The status of certificates at one instant, over the lists at hand."""

    __slots__ = ("_at", "_later", "_lists", "_required", "_signer_of", "_singles_of", "_used")

    def __init__(
        self,
        lists: Lists,
        at: datetime,
        signer_of: SignerOf,
        singles_of: SinglesOf | None = None,
        *,
        required: bool = True,
        later: bool = False,
    ) -> None:
        """``signer_of`` proves a list's signature; ``singles_of`` gives what OCSP answers say.

        Unless ``required``, what is not known is no fault.  ``later``: of a past instant speaks as well what
        was made after it and before the certificate ended, since a revocation stands until then.
        """
        self._later = later
        self._singles_of = singles_of
        self._required = required
        self._at = at
        self._signer_of = signer_of
        self._lists = lists
        self._used: dict[object, CrlIndex] = {}

    @property
    def used(self) -> tuple[bytes, ...]:
        """The lists that answered, the newest of each issuer and scope."""
        return tuple(crl.der for crl in self._used.values())

    def fault(self, path: Path) -> Fault | None:
        """The first certificate below the anchor that is revoked or of unknown status, from the top."""
        for place in range(len(path) - 2, -1, -1):
            fault = self._fault(path[place], path[place + 1])
            if fault is not None and (self._required or fault.rule != UNKNOWN):
                return fault
        return None

    def _fault(self, certificate: Traits, issuer: Traits) -> Fault | None:
        """The status of one certificate: lists and OCSP answers together, any of which may revoke it."""
        listed = self._listed(certificate, issuer)
        if self._singles_of is None or (listed is not None and listed.rule == "revoked"):
            return listed
        good = False
        for single in self._singles_of(certificate, issuer):
            revocation = single.revocation
            past = revocation is not None and revocation.at <= self._at
            if revocation is not None and past and (revocation.reason != HELD or single.fresh(self._at)):
                return _revoked(certificate, revocation)
            good = good or (single.status == "good" and self._speaks(single, certificate))
        return None if good else listed

    def _speaks(self, said: CrlIndex | Single, certificate: Traits) -> bool:
        """Whether a list or an answer tells how the certificate stood at the instant."""
        return said.fresh(self._at) or (
            self._later and self._at <= said.this_update < certificate.certificate.not_after
        )

    def _listed(self, certificate: Traits, issuer: Traits) -> Fault | None:
        """What the lists say."""
        plain = self._lists.plain.get(certificate.issuer)
        points = certificate.points
        # Wherever its points are, whole lists of the issuer are those of each that names no other issuer.
        if plain is not None and not any(point.crl_issuer for point in points):
            return self._plainly(certificate, issuer, plain)
        own = certificate.issuer_form
        answered: frozenset[int] = frozenset()
        for point in (*points, ISSUERS_OWN):
            for crl in self._meant(point, certificate, own):
                if self._signer_of(crl, issuer) is None:
                    continue
                revocation = self._said(crl, certificate, issuer)
                if revocation is not None and revocation.at <= self._at:
                    return _revoked(certificate, revocation)
                if self._speaks(crl, certificate):
                    answered |= point.reasons & crl.scope.reasons
                    self._use(crl)
            if answered == ALL_REASONS:
                return None
        return _unknown(certificate, issuer, partly=bool(answered))

    def _plainly(self, certificate: Traits, issuer: Traits, lists: Sequence[CrlIndex]) -> Fault | None:
        """The same where there is nothing but whole lists of the issuer: the usual case."""
        serial, at, newest = certificate.certificate.serial, self._at, None
        for crl in lists:
            if self._signer_of(crl, issuer) is None:
                continue
            revocation = crl.revoked.get(serial)
            fresh = self._speaks(crl, certificate)
            if revocation is not None and revocation.at <= at and (fresh or revocation.reason != HELD):
                return _revoked(certificate, revocation)
            if fresh and (newest is None or crl.later_than(newest)):
                newest = crl
        if newest is None:
            return _unknown(certificate, issuer, partly=False)
        self._used[newest.der] = newest
        return None

    def _meant(self, point: Point, certificate: Traits, own: Form) -> Sequence[CrlIndex]:
        """The lists of the point that cover certificates of this kind (6.3.3 b)."""
        return [
            crl
            for issuer in point.issuers(own)
            for crl in self._lists.complete.get(issuer, ())
            if (crl.scope.indirect or issuer == own)
            and crl.scope.at(point, own, issuer)
            and crl.scope.covers(ca=certificate.ca)
        ]

    def _use(self, crl: CrlIndex) -> None:
        """Note that the list answered."""
        place = (crl.issuer, crl.authority_key_id, crl.scope, crl.base is None)
        known = self._used.get(place)
        if known is None or crl.later_than(known):
            self._used[place] = crl

    def _said(self, crl: CrlIndex, certificate: Traits, issuer: Traits) -> Revocation | None:
        """What the list says, as its newest delta list changes it (6.3.3 c, i, j)."""
        said = crl.entry(certificate)
        delta = self._delta_of(crl, issuer) if self._lists.deltas else None
        if delta is not None:
            self._use(delta)
            said = delta.entry(certificate) or said
        if said is not None and (
            said.reason == REMOVED or (said.reason == HELD and not self._speaks(crl, certificate))
        ):
            return None
        return said

    def _delta_of(self, crl: CrlIndex, issuer: Traits) -> CrlIndex | None:
        """The newest fresh delta list that changes ``crl``: of its issuer, key and scope (6.3.3 c)."""
        newest: CrlIndex | None = None
        for one in self._lists.deltas:
            if (
                cast(int, one.base) <= crl.number < one.number
                and one.issuer_form == crl.issuer_form
                and one.authority_key_id == crl.authority_key_id
                and one.scope == crl.scope
                and one.fresh(self._at)
                and (newest is None or one.later_than(newest))
                and self._signer_of(one, issuer) is not None
            ):
                newest = one
        return newest


def _revoked(certificate: Traits, revocation: Revocation) -> Fault:
    since = f"{format_instant(revocation.at)} ({revocation.reason})"
    return Fault("revoked", f"revoked since {since} (6.3.3 i)", certificate.certificate)


def _unknown(certificate: Traits, issuer: Traits, *, partly: bool) -> Fault:
    if not (partly or issuer.may("crl_sign")):
        return Fault(UNKNOWN, "the issuer may not sign CRLs (6.3.3 f)", issuer.certificate)
    reason = "no CRL of the issuer is fresh at that instant (6.3.3)"
    if partly:
        reason = "the CRLs at hand do not answer for every reason (6.3.3)"
    return Fault(UNKNOWN, reason, certificate.certificate)
