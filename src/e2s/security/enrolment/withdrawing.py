"""Who has a certificate has it revoked: by its key, or by the invitation or account that it came from."""

from __future__ import annotations

import json

from e2s.base.errors import Misuse, Refusal
from e2s.security.enrolment import store
from e2s.security.enrolment.asking import Controls, Holder, Invited, Shown
from e2s.security.enrolment.granting import STRANGERS, who_of
from e2s.security.enrolment.office import Office
from e2s.security.status.lists import reason_flag
from e2s.security.verification.crls import HELD

_GONE = frozenset({"certificate-revoked", "certificate-held"})


def withdraw(office: Office, serial: int, reason: str, shown: Shown, door: str) -> None:
    """Revoke the certificate of this serial for good; repeating it changes nothing.

    Raises :class:`Refusal` ``bad-reason``, ``not-yours`` or ``no-such-certificate``.
    """
    at = office.now()
    by = who_of(shown)
    try:
        _check_reason(reason)
        _check_own(office, serial, shown)
    except Refusal as refusal:
        told = office.refused_stranger if refusal.rule in STRANGERS else office.refused
        told(refusal, at, door=door, who=by, serial=f"{serial:x}")
        raise
    office.ca.withdraw(serial, reason, by)
    with office.database.transaction() as connection:
        facts = {"serial": f"{serial:x}", "reason": reason, "door": door, "who": by}
        office.event(connection, "enrolment.withdrawn", at, facts)


def _check_reason(reason: str) -> None:
    try:
        reason_flag(reason)
    except Misuse as misuse:
        raise Refusal(misuse.rule, misuse.message, reason=reason[:40]) from misuse
    if reason == HELD:
        raise Refusal("bad-reason", "to hold a certificate is an act of its own", reason=reason)


def _check_own(office: Office, serial: int, shown: Shown) -> None:
    """The certificate is that of who asks."""
    if isinstance(shown, Holder):
        if shown.certificate.serial != serial:
            raise _foreign(serial)
        try:
            office.ca.profile_of(shown.certificate)
        except Refusal as refusal:
            if refusal.rule not in _GONE:
                raise
        return
    with office.database.reading() as connection:
        row = store.of_serial(connection, f"{serial:x}")
    if row is None:
        raise Refusal("no-such-certificate", "no certificate of that serial was enrolled here")
    own = isinstance(shown, Invited) and row.reference == shown.reference
    if isinstance(shown, Controls):
        # RFC 8555, 7.6: the account that it was issued to, or one that controls all that it names
        names = set(json.loads(row.names))
        own = row.who == who_of(shown) or bool(names and names <= set(shown.hosts))
    if not own:
        raise _foreign(serial)


def _foreign(serial: int) -> Refusal:
    return Refusal("not-yours", "this certificate is another's", serial=f"{serial:x}")
