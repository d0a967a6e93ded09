"""What nobody received in time is revoked and forgotten, so that no certificate is without its holder."""

from __future__ import annotations

from typing import Any, Final

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.enrolment.asking import Holder, Pending, Shown
from e2s.security.environments import store
from e2s.security.environments.delivering import DOOR, invited, transaction_of
from e2s.security.environments.documents import read_held
from e2s.security.environments.office import Office

_AT_ONCE: Final = 100
_REASON: Final = "cessationOfOperation"


def sweep(office: Office) -> int:
    """End deliveries whose time is over; how many.  What waits for an officer is left to the desk."""
    with office.database.reading() as connection:
        rows = store.overdue(connection, office.now(), _AT_ONCE)
    return sum(_ended(office, row) for row in rows)


def _ended(office: Office, row: Any) -> bool:
    shown = _shown(office, row)
    given = _given(office, row, shown)
    if given is None:
        return False
    for label, serial in given.items():
        office.desk.withdraw(serial, _REASON, shown[label], door=DOOR)
    with office.database.transaction() as connection:
        ended = store.end(connection, row.reference, row.state, "over")
        if ended:
            facts = {"reference": row.reference, "kind": row.kind, "revoked": len(given)}
            office.event(connection, "pse.over", facts)
    return ended


def _given(office: Office, row: Any, shown: dict[str, Shown]) -> dict[str, int] | None:
    """What was certified; the desk knows it of a delivery that was interrupted.  None while it waits."""
    if row.serials:
        pairs = (one.partition(":") for one in row.serials.split())
        return {label: int(serial, 16) for label, _, serial in pairs}
    found: dict[str, int] = {}
    for label, one in shown.items():
        try:
            issued = office.desk.poll(DOOR, transaction_of(row.ask, label), one)
        except Refusal:
            continue
        if isinstance(issued, Pending):
            return None
        found[label] = Certificate.read(issued.certificate).serial
    return found


def _shown(office: Office, row: Any) -> dict[str, Shown]:
    """By what each key was to be certified."""
    kind = office.kinds.get(row.kind)
    if kind is None:
        raise Refusal("no-such-kind", "the kind of an open delivery is gone", kind=row.kind)
    if row.held:
        return {label: Holder(certificate=one) for label, one in read_held(row.held).items()}
    with office.database.reading() as connection:
        said = store.meant(connection, row.reference)
    return invited(row.reference, kind, said)
