"""What an order asks for is permitted, proven and read, or refused, before anything is noted of it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from e2s.base.errors import E2SError, Refusal
from e2s.crypto.keys import spki_of
from e2s.security.certificates.possession import Proven
from e2s.security.certificates.profiles import Profile, profile
from e2s.security.certificates.wish import Wish
from e2s.security.pki.office import RIGHTS, Office
from e2s.security.pki.orders import Order
from e2s.security.pki.statement import check_statement


class Wanted(NamedTuple):
    """A wish that was permitted: by whom, in which case, and what it follows from."""

    wish: Wish
    spki: bytes
    officer: str
    case: str = ""
    approval: bytes = b""

    @property
    def name(self) -> str:
        """The first name, or the subject."""
        return self.wish.names[0] if self.wish.names else self.wish.distinguished_name.rfc4514_string()


def prepare(office: Office, orders: Sequence[Order]) -> list[Wanted | E2SError]:
    """What is wanted, or refused, by each order, in order; that an officer lacks the right is an event."""
    denied: list[tuple[Refusal, Order]] = []
    wanted: list[Wanted | E2SError] = []
    permitted: list[Refusal | None] = []
    for order in orders:
        refusal = office.denied(order.officer, RIGHTS.certify)
        if refusal is not None and order.approval:
            # what an approval orders was registered by its officer, not certified
            refusal = office.denied(order.officer, RIGHTS.register)
        permitted.append(refusal)
        if refusal is not None:
            denied.append((refusal, order))
    asked = [
        order.key
        for order, refusal in zip(orders, permitted, strict=True)
        if refusal is None and isinstance(order.key, bytes)
    ]
    proofs = iter(office.prove(asked))
    for order, refusal in zip(orders, permitted, strict=True):
        if refusal is not None:
            wanted.append(refusal)
            continue
        proof: Proven | Refusal
        if isinstance(order.key, Proven):
            proof = order.key
        else:
            proof = next(proofs) if isinstance(order.key, bytes) else Proven(order.key, spki_of(order.key))
        wanted.append(proof if isinstance(proof, Refusal) else _wanted(office, order, proof))
    if denied:
        with office.database.transaction() as connection:
            for refusal, order in denied:
                facts = {"profile": order.profile, "name": order.names[0] if order.names else ""}
                office.note_denied(connection, refusal, facts)
    return wanted


def _wanted(office: Office, order: Order, proven: Proven) -> Wanted | E2SError:
    """The order's wish, where its profile and names are good."""
    try:
        chosen = profile(order.profile, office.profiles)
        check_wish(office, chosen, order.names)
        if proven.stated is not None:
            check_statement(office, proven.stated, tuple(order.names), chosen)
        wish = Wish(
            profile=chosen,
            names=tuple(order.names),
            public_key=proven.key,
            pan_commit=order.pan_commit,
            not_after=order.not_after,
            subject=order.subject,
            confidence=order.confidence,
            limits=order.limits,
            spki=proven.spki,
        )
    except E2SError as error:
        return error
    return Wanted(
        wish=wish,
        spki=sha256(proven.spki).digest(),
        officer=order.officer,
        case=order.case,
        approval=order.approval,
    )


def check_wish(office: Office, wanted: Profile, names: Sequence[str]) -> None:
    """Only profiles that this CA issues, only names of its own community or party."""
    own = office.profile
    if wanted.name not in own.issues:
        raise Refusal("wrong-profile", "this CA does not certify for that purpose", profile=wanted.name)
    for name in names:
        urn = name.startswith("urn:")
        itself = own.confined and name == office.certificate.name
        if not itself and ((urn and not name.startswith(office.realm)) or (own.confined and not urn)):
            raise Refusal("foreign-name", "this CA does not certify names outside its realm", name=name)
