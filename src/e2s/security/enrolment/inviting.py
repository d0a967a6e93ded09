"""An officer who may register invites: whom, for which profile and names, how often, until when.

The secret is told once, when it is made; afterwards only who has it shows it.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Final

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.crypto import oids
from e2s.security.certificates.names import alternative_name
from e2s.security.enrolment import store
from e2s.security.enrolment.invitations import (
    Invitation,
    check_reference,
    new_reference,
    new_secret,
    read_secret,
)
from e2s.security.enrolment.office import Office
from e2s.security.enrolment.tries import Tries
from e2s.security.registration.policy import LEVELS

MAX_NAMES: Final = 16
MAX_TITLE: Final = 120
_WRONG: Final = ("wrong-code", "there is no such invitation, or its secret is another")


def invite(
    office: Office,
    *,
    officer: str,
    profile: str,
    names: tuple[str, ...],
    confidence: str = "",
    uses: int = 1,
    until: datetime | None = None,
    title: str = "",
) -> tuple[Invitation, bytes]:
    """A new invitation and its secret.

    Raises :class:`Refusal` ``not-authorised``, ``wrong-profile``, ``not-enrolled``, ``not-by-this-means``,
    ``confidence``, ``own-case``; :class:`Misuse` ``bad-name``, ``bad-invitation``.
    """
    now = office.now()
    level = _level(office, profile, confidence)
    until = until or now + timedelta(days=office.policy.invitation_days)
    _check(office, profile, names, uses, now, until, title)
    made = Invitation(
        reference=new_reference(office.random),
        profile=profile,
        names=names,
        confidence=level,
        uses=uses,
        at=now,
        until=until,
        officer=officer,
        title=title,
    )
    try:
        office.check_inviter(officer)
        if officer in names:
            raise Refusal("own-case", "nobody invites herself")
    except Refusal as refusal:
        office.refused(refusal, now, officer=officer, profile=profile)
        raise
    secret = new_secret(office.random)
    facts = {
        "reference": made.reference,
        "profile": profile,
        "name": names[0] if names else None,
        "confidence": level,
        "uses": uses,
        "until": format_instant(until),
        "officer": officer,
    }
    with office.database.transaction() as connection:
        store.add_invitation(connection, made, office.seal(made.reference, secret))
        office.event(connection, "invitation.made", now, facts)
    return made, secret


def take_back(office: Office, reference: str, *, officer: str) -> None:
    """End an invitation; repeating it changes nothing.

    Raises :class:`Refusal` ``not-authorised`` or ``no-such-invitation``.
    """
    now = office.now()
    office.check_inviter(officer)
    with office.database.transaction() as connection:
        if store.invitation(connection, reference) is None:
            raise Refusal("no-such-invitation", "there is no such invitation", reference=reference[:16])
        if store.withdraw_invitation(connection, reference):
            facts = {"reference": reference, "officer": officer}
            office.event(connection, "invitation.withdrawn", now, facts)


def secret_of(office: Office, reference: str) -> bytes:
    """An invitation's secret; raises :class:`Refusal` ``no-such-invitation``."""
    with office.database.reading() as connection:
        found = store.invitation(connection, reference)
    if found is None:
        raise Refusal("no-such-invitation", "there is no such invitation", reference=reference[:16])
    return office.open(reference, found[1])


def check_secret(office: Office, tries: Tries, reference: str, secret: bytes, client: str) -> None:
    """Raise :class:`Refusal` ``bad-code``, ``wrong-code`` or ``too-many-tries``; a good secret passes.

    A reference that there is not costs the same and is told by the same rule.
    """
    check_reference(reference)
    tries.check(reference, client, office.now())
    given = read_secret(secret)
    with office.database.reading() as connection:
        found = store.invitation(connection, reference)
    # a secret of its own where there is none: the same work, and never equal
    sealed = found[1] if found else office.seal(reference, new_secret(office.random))
    good = hmac.compare_digest(office.open(reference, sealed), given)
    if not good or found is None:
        count_wrong(office, tries, reference, client)


def count_wrong(office: Office, tries: Tries, reference: str, client: str) -> None:
    """Count a wrong secret and raise :class:`Refusal` ``wrong-code`` or ``too-many-tries``."""
    now = office.now()
    check_reference(reference)
    tries.check(reference, client, now)
    tries.wrong(reference, client, now)
    refusal = Refusal(*_WRONG)
    office.refused_stranger(refusal, now, reference=reference, client=client[:64])
    raise refusal


def _level(office: Office, profile: str, wanted: str) -> str:
    """The level at most: the policy's, the profile's own, or the lower one wanted."""
    rule, own = office.rule(profile), office.profile(profile).confidence
    rule.check_shown("invited")
    if not wanted:
        return office.policy.level(rule.confidence, own, protection=office.policy.strongest)
    if wanted not in LEVELS or LEVELS.index(wanted) > LEVELS.index(rule.confidence):
        raise Refusal("confidence", f"the policy allows {rule.confidence} at most", wanted=wanted)
    return wanted


def _check(
    office: Office,
    profile: str,
    names: tuple[str, ...],
    uses: int,
    now: datetime,
    until: datetime,
    title: str,
) -> None:
    """Raise unless the invitation is one that could be used."""
    if len(names) > MAX_NAMES or len(set(names)) < len(names):
        raise Misuse("bad-invitation", f"an invitation gives at most {MAX_NAMES} names, each once")
    for name in names:
        alternative_name(name)
    if not names and oids.EKU_SERVER not in office.profile(profile).ekus:
        raise Misuse("bad-invitation", "only hosts are proven: any other invitation gives names")
    if not 1 <= uses <= office.policy.uses:
        raise Misuse("bad-invitation", f"an invitation is used 1 to {office.policy.uses} times", uses=uses)
    if not now < until <= now + timedelta(days=office.policy.invitation_days):
        days = office.policy.invitation_days
        raise Misuse("bad-invitation", f"an invitation ends within {days} days", until=format_instant(until))
    if len(title) > MAX_TITLE or not title.isprintable():
        raise Misuse("bad-invitation", f"a title is a line of at most {MAX_TITLE} characters")
