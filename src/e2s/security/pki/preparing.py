"""What an order asks for is permitted, proven and read, or refused, before anything is noted of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from e2s.base.errors import E2SError, Refusal
from e2s.crypto.keys import spki_of
from e2s.security.certificates.possession import Proven
from e2s.security.certificates.profiles import Profile, profile
from e2s.security.certificates.wish import Wish
from e2s.security.pki.office import RIGHTS, Office
from e2s.security.pki.orders import Order
from e2s.security.pki.proving import LEAST, Prover, read_here
from e2s.security.pki.statement import check_statement


class Proofs:
    """Whether the requests of one group are good, which a process beside finds out meanwhile."""

    def __init__(self, answer: Callable[[], list[Refusal | None]]) -> None:
        """``answer`` is called once."""
        self._answer: Callable[[], list[Refusal | None]] | None = answer
        self._refusals: list[Refusal | None] = []

    def finish(self) -> list[Refusal | None]:
        """Why each request of the group proves nothing, or None; waits for it."""
        answer, self._answer = self._answer, None
        if answer is not None:
            self._refusals = answer()
        return self._refusals


class Wanted(NamedTuple):
    """A wish that was permitted: by whom, in which case, and what it follows from.

    Where its request is still being verified, ``proofs`` says by its ``place`` what came of that.
    """

    wish: Wish
    spki: bytes
    officer: str
    case: str = ""
    approval: bytes = b""
    proofs: Proofs | None = None
    place: int = 0

    def unproven(self) -> Refusal | None:
        """Why its request proves nothing, if it does not."""
        return None if self.proofs is None else self.proofs.finish()[self.place]

    @property
    def name(self) -> str:
        """The first name, or the subject."""
        return self.wish.names[0] if self.wish.names else self.wish.distinguished_name.rfc4514_string()


def prepare(office: Office, orders: Sequence[Order]) -> tuple[list[Wanted | E2SError], Proofs | None]:
    """What is wanted, or refused, by each order, in order; that an officer lacks the right is an event.

    What is wanted by many may still have to be proven: proofs that are given back are to be finished.
    """
    permitted = [_denied(office, order) for order in orders]
    asked = [
        order.key
        for order, refusal in zip(orders, permitted, strict=True)
        if refusal is None and isinstance(order.key, bytes)
    ]
    proofs = _begun(office, asked)
    read = iter(office.prove(asked) if proofs is None else map(read_here, asked))
    wanted: list[Wanted | E2SError] = []
    denied: list[tuple[Refusal, Order]] = []
    place = 0
    for order, refusal in zip(orders, permitted, strict=True):
        if refusal is not None:
            denied.append((refusal, order))
            wanted.append(refusal)
        elif isinstance(order.key, bytes):
            wanted.append(_wanted(office, order, next(read), proofs, place))
            place += 1
        else:
            proven = order.key if isinstance(order.key, Proven) else Proven(order.key, spki_of(order.key))
            wanted.append(_wanted(office, order, proven))
    if denied:
        with office.database.transaction() as connection:
            for refusal, order in denied:
                facts = {"profile": order.profile, "name": order.names[0] if order.names else ""}
                office.note_denied(connection, refusal, facts)
    return wanted, proofs


def _denied(office: Office, order: Order) -> Refusal | None:
    """Why its officer may not order it: what an approval orders was registered by its officer."""
    refusal = office.denied(order.officer, RIGHTS.certify)
    if refusal is not None and order.approval:
        return office.denied(order.officer, RIGHTS.register)
    return refusal


def _begun(office: Office, asked: Sequence[bytes]) -> Proofs | None:
    """The proofs of requests that a process beside verifies from now on."""
    if len(asked) < LEAST or not isinstance(office.prove, Prover):
        return None
    answer = office.prove.begin(asked)
    return None if answer is None else Proofs(answer)


def _wanted(
    office: Office, order: Order, proven: Proven | Refusal, proofs: Proofs | None = None, place: int = 0
) -> Wanted | E2SError:
    """The order's wish, where its profile and names are good."""
    if isinstance(proven, Refusal):
        return proven
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
        proofs=proofs,
        place=place,
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
