"""What was shown gives a profile, names and a level, by the policy: the same at every door.

An invitation gives what its officer said; a certificate, once the one verifier found it good, gives itself
anew; hosts that an account controls are given as far as the policy and the account's invitation let it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.enrolment import store
from e2s.security.enrolment.asking import Controls, Holder, Invited, Shown
from e2s.security.enrolment.invitations import Invitation
from e2s.security.enrolment.naming import check_names, level_in, names_in, subject_in
from e2s.security.enrolment.office import Office

_SECOND = timedelta(seconds=1)
#: Refusals of who showed nothing that is known here.
STRANGERS: Final = frozenset({"other-ca", "account-not-bound", "no-such-invitation"})


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What may be certified to who asks; ``claimant`` takes a use of the invitation ``reference``."""

    profile: str
    names: tuple[str, ...]
    confidence: str
    officer: str
    subject: str = ""
    reference: str = ""
    claimant: bytes = b""
    held: Certificate | None = None
    waits: bool = False


def who_of(shown: Shown) -> str:
    """Who asks, as requests remember it."""
    if isinstance(shown, Invited):
        return f"invitation:{shown.reference}"
    if isinstance(shown, Holder):
        return f"holder:{shown.certificate.id}"
    return f"account:{shown.account}"


def grant(
    office: Office, shown: Shown, *, door: str, profile: str, claimant: bytes, protection: str, at: datetime
) -> Grant:
    """What ``shown`` gives at ``door``, for ``profile`` if it gives several.

    Raises :class:`Refusal` ``no-such-invitation``, ``invitation-over``, ``invitation-withdrawn``,
    ``invitation-used``, ``wrong-profile``, ``not-enrolled``, ``not-at-this-door``, ``not-by-this-means``,
    ``account-not-bound``, ``names-differ``, ``too-early``, ``expired``, ``other-ca``, ``protection``, or the
    verifier's rule.
    """
    if isinstance(shown, Invited):
        return _invited(office, shown, door, profile, claimant, protection, at)
    if isinstance(shown, Holder):
        return _held(office, shown, door, profile, protection, at)
    return _controlled(office, shown, door, profile, protection, at)


def take(connection: sa.Connection, given: Grant, at: datetime) -> None:
    """Count the use, in the transaction of what it is for; raises as :func:`grant` does of an invitation."""
    if given.claimant:
        found = _good(connection, given.reference, given.profile, given.claimant, at)
        store.claim(connection, found.reference, given.profile, given.claimant)


def _invited(
    office: Office, shown: Invited, door: str, profile: str, claimant: bytes, protection: str, at: datetime
) -> Grant:
    with office.database.reading() as connection:
        found = _found(connection, shown.reference)
        wanted = profile or found.profile
        if not found.gives(wanted):
            raise Refusal("wrong-profile", "the invitation is for another profile", profile=wanted[:64])
        _good(connection, found.reference, wanted, claimant, at)
    rule, own = office.rule(wanted), office.profile(wanted)
    rule.check_door(door, "invited")
    if not found.names:
        raise Refusal("names-differ", "this invitation gives no names: hosts are proven at the ACME door")
    return Grant(
        profile=wanted,
        names=found.names,
        confidence=office.policy.level(
            found.confidence, rule.confidence, own.confidence, protection=protection
        ),
        officer=found.officer,
        reference=found.reference,
        claimant=claimant,
        waits=rule.officer or own.four_eyes,
    )


def _held(office: Office, shown: Holder, door: str, profile: str, protection: str, at: datetime) -> Grant:
    certificate = shown.certificate
    # of this CA's register first: what it never issued costs no more than a look
    known = office.ca.profile_of(certificate)
    rule, own = office.rule(known), office.profile(known)
    if profile not in {"", known}:
        raise Refusal("wrong-profile", "a certificate is renewed for its own profile", profile=profile[:64])
    rule.check_door(door, "holder")
    rule.check_window(certificate.not_after, at)
    judged_at = min(at, certificate.not_after - _SECOND)
    if judged_at == at:
        issuers = (*shown.certificates, office.ca.certificate, *office.ca.chain)
        office.trust.check_certificate(certificate, issuers, purpose=None, name=None, at=at)
    names = names_in(certificate)
    return Grant(
        profile=known,
        names=names,
        subject=subject_in(certificate, names),
        confidence=office.policy.level(
            level_in(certificate), rule.confidence, own.confidence, protection=protection
        ),
        officer=office.officer,
        held=certificate if rule.key == "new" else None,
        waits=rule.officer or own.four_eyes,
    )


def _controlled(
    office: Office, shown: Controls, door: str, profile: str, protection: str, at: datetime
) -> Grant:
    wanted = profile or office.policy.acme.profile
    rule, own = office.rule(wanted), office.profile(wanted)
    rule.check_door(door, "control")
    if not shown.hosts:
        raise Refusal("names-differ", "no host was proven")
    officer, most, claimant = office.officer, rule.confidence, b""
    if shown.reference:
        claimant = sha256(who_of(shown).encode()).digest()
        with office.database.reading() as connection:
            found = _good(connection, shown.reference, wanted, claimant, at)
        if not found.gives(wanted):
            raise Refusal("wrong-profile", "the invitation is for another profile", profile=wanted[:64])
        if found.names:
            check_names(shown.hosts, found.names)
        officer, most = found.officer, found.confidence
    elif office.policy.acme.external_account:
        raise Refusal("account-not-bound", "accounts here are bound to an invitation (RFC 8555, 7.3.4)")
    return Grant(
        profile=wanted,
        names=shown.hosts,
        confidence=office.policy.level(most, rule.confidence, own.confidence, protection=protection),
        officer=officer,
        reference=shown.reference,
        claimant=claimant,
        waits=rule.officer or own.four_eyes,
    )


def _found(connection: sa.Connection, reference: str) -> Invitation:
    found = store.invitation(connection, reference)
    if found is None:
        raise Refusal("no-such-invitation", "there is no such invitation", reference=reference[:16])
    return found[0]


def _good(
    connection: sa.Connection, reference: str, profile: str, claimant: bytes, at: datetime
) -> Invitation:
    """The invitation, if ``claimant`` has a use of it or may take one; what was taken outlasts its end."""
    found = _found(connection, reference)
    if found.withdrawn:
        raise Refusal("invitation-withdrawn", "this invitation was taken back", reference=reference)
    if store.claimed(connection, reference, profile, claimant):
        return found
    if at >= found.until:
        raise Refusal("invitation-over", "this invitation is over", reference=reference)
    if store.used(connection, reference, profile) >= found.uses:
        raise Refusal("invitation-used", "this invitation was used", reference=reference)
    return found


def claim_of(row: sa.Row[Any]) -> bytes:
    """Who took the use that a request stands for: itself, or its account."""
    return sha256(row.who.encode()).digest() if row.who.startswith("account:") else bytes(row.id)
