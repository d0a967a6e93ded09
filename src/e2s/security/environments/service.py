"""The door of key management for PSEs: what an invitation is to, parcels, receipts, renewals, and ends.

``/pse/look`` and ``/pse/ask`` are for who has an invitation, ``/pse/renew`` and ``/pse/end`` for who signs
with a certified key, ``/pse/receipt`` for who got a parcel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from e2s.base.database import Database
from e2s.base.errors import Fact, Refusal, Unreachable
from e2s.base.http import Handler, Request, Response, refused, route
from e2s.crypto import oids
from e2s.crypto.acts import read_parcel
from e2s.crypto.cms import EXACT, Signed, check_signature, read_signed
from e2s.security.enrolment.asking import Desk, Holder, Pending
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.environments import store
from e2s.security.environments.delivering import DOOR, check_own, deliver, meant_by, receive, renewal_of
from e2s.security.environments.documents import (
    check_meant,
    read_ask,
    read_end,
    read_look,
    reference_in,
    sealed,
)
from e2s.security.environments.kinds import kinds_in
from e2s.security.environments.messages import Offer
from e2s.security.environments.office import Office
from e2s.security.environments.overdue import sweep
from e2s.security.repository.rates import RateLimit

FILE: Final = "pse.db"
RECEIPT: Final = "e2s/1/pse-receipt"
_TOO_MANY: Final = 429


class PseDoor:
    """A handler; ``database`` and ``outbox`` hold its events until they are sent on."""

    def __init__(self, office: Office) -> None:
        """``office`` has what its acts need."""
        self.office = office
        self.database: Database = office.database
        self.outbox = store.OUTBOX
        self._limit = RateLimit()
        self._doors: dict[tuple[str, str], Handler] = {
            ("POST", "/pse/look"): self._look,
            ("POST", "/pse/ask"): self._ask,
            ("POST", "/pse/renew"): self._renew,
            ("POST", "/pse/receipt"): self._receipt,
            ("POST", "/pse/end"): self._end,
        }

    def __call__(self, request: Request) -> Response:
        """One request of a holder."""
        try:
            self._limit.take(request.client, self.office.now())
            return route(self._doors, request)
        except Refusal as refusal:
            return refused(refusal, _TOO_MANY if refusal.rule.startswith("too-many") else 400)
        except Unreachable as error:
            return Response(503, error.message.encode(), {"e2s-rule": error.rule, "retry-after": "5"})

    def tick(self, now: datetime) -> None:
        """Revoke what nobody received in time."""
        del now
        sweep(self.office)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _look(self, request: Request) -> Response:
        """What the invitation is to."""
        office = self.office
        reference, secret = self._invited(request)
        with self._counting(request, reference):
            look = read_look(request.body, secret)
        check_meant(look.origin, look.at, here=office.origin, now=office.now())
        meant = meant_by(office, reference)
        if not meant.names:
            raise Refusal("already-delivered", "this PSE was delivered, or is being, to who asked first")
        offer = Offer(
            reference=reference, nonce=look.nonce, kind=meant.kind, names=meant.names, root=office.desk.root
        )
        return Response(200, sealed(offer.said(), secret))

    def _ask(self, request: Request) -> Response:
        """The parcel for an invitation."""
        office = self.office
        reference, secret = self._invited(request)
        with self._counting(request, reference):
            ask = read_ask(request.body, secret)
        check_meant(ask.origin, ask.at, here=office.origin, now=office.now())
        return _answered(deliver(office, ask, meant_by(office, reference)))

    def _renew(self, request: Request) -> Response:
        """The parcel for a holder who signs."""
        office = self.office
        signed = _signed(request.body)
        ask = read_ask(signed.octets, None)
        check_meant(ask.origin, ask.at, here=office.origin, now=office.now())
        return _answered(deliver(office, ask, renewal_of(office, ask, _holder(signed))))

    def _receipt(self, request: Request) -> Response:
        """The receipt of a parcel."""
        items = read_parcel(request.body, RECEIPT)
        if len(items) != 2:
            raise Refusal("bad-parcel", "a receipt comes with the delivery's reference")
        receive(self.office, items[0].decode("ascii", "replace"), items[1])
        return Response(200)

    def _end(self, request: Request) -> Response:
        """A holder's word that her certificates end."""
        office = self.office
        signed = _signed(request.body)
        word = read_end(signed.octets)
        check_meant(word.origin, word.at, here=office.origin, now=office.now())
        own = signed.signer_certificate
        for certificate in word.certificates:
            check_own(certificate, own)
        # her own last: a repeat after a failure is still hers
        for certificate in sorted(word.certificates, key=lambda one: one == own):
            office.desk.withdraw(certificate.serial, word.reason, Holder(certificate=certificate), door=DOOR)
        facts: dict[str, Fact] = {
            "name": own.name,
            "reason": word.reason,
            "certificates": len(word.certificates),
        }
        with office.database.transaction() as connection:
            office.event(connection, "pse.destroyed", facts)
        return Response(200)

    def _invited(self, request: Request) -> tuple[str, bytes]:
        """The invitation that the document names, and its secret; one that there is not is as a wrong one."""
        reference = reference_in(request.body)
        try:
            return reference, self.office.desk.secret(reference)
        except Refusal:
            self.office.desk.wrong(reference, client=request.client)
            raise

    @contextmanager
    def _counting(self, request: Request, reference: str) -> Iterator[None]:
        """Count a wrong MAC, as any wrong secret of the invitation."""
        try:
            yield
        except Refusal as refusal:
            if refusal.rule == "wrong-mac":
                self.office.desk.wrong(reference, client=request.client)
            raise


def door(desk: Desk, setting: DoorSetting) -> Handler:
    """The door of one component; one without a certified key of its own delivers nothing."""
    if setting.signer is None:
        return _without_signer
    return PseDoor(
        Office(
            component=setting.component,
            origin=setting.origin,
            desk=desk,
            database=Database.open(setting.folder / FILE, store.TABLES),
            signer=setting.signer,
            clock=setting.clock,
            random=setting.random,
            storage=setting.storage,
            kinds=kinds_in(setting.folder),
            deposit=setting.deposit,
            crls=setting.crls or tuple,
        )
    )


def _without_signer(_request: Request) -> Response:
    return refused(
        Refusal("no-signer", "this component has no certified key of its own to sign parcels with")
    )


def _signed(octets: bytes) -> Signed:
    """What a holder signed; who she is the desk judges."""
    signed = read_signed(octets, EXACT)
    if signed.content_type != oids.DATA:
        raise Refusal("cms-content-type", "the message is of another type", found=signed.content_type)
    check_signature(signed)
    return signed


def _holder(signed: Signed) -> Holder:
    return Holder(certificate=signed.signer_certificate, certificates=signed.certificates)


def _answered(found: bytes | Pending) -> Response:
    if isinstance(found, Pending):
        return Response(202, b"", {"retry-after": str(found.retry_seconds)})
    return Response(200, found)
