"""The desk behind every door: the same request gives the same certificate, whichever door it came by.

That a request is to be certified, and the use that it takes, is committed before anything is asked of the CA;
the CA gives the same certificate for the same approval and key.  So a kill or a lost answer at any moment
neither loses nor doubles one, and a repeat is answered as the first was.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import E2SError, Fact, Misuse, Refusal, Unreachable
from e2s.base.instants import parse_instant
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.attestation import protection_of
from e2s.security.certificates.possession import Proven
from e2s.security.enrolment import deciding, inviting, ordering, store
from e2s.security.enrolment.asking import Asked, Invited, Issued, Offer, Pending, Shown
from e2s.security.enrolment.granting import STRANGERS, Grant, claim_of, grant, take, who_of
from e2s.security.enrolment.naming import check_names, check_request
from e2s.security.enrolment.office import Office
from e2s.security.enrolment.policy import SOFTWARE
from e2s.security.enrolment.requests import follow
from e2s.security.enrolment.tries import Tries
from e2s.security.enrolment.turns import Turns
from e2s.security.enrolment.withdrawing import withdraw
from e2s.security.verification.revocation import UNKNOWN

MAX_DOOR: Final = 16
MAX_TRANSACTION_BYTES: Final = 1024
#: The CA may still issue it, or lists may still come: nothing is settled.
_UNSETTLED: Final = frozenset({"serial-void", "being-issued", "queue-closed", "ca-closed", UNKNOWN})
_MAX_MESSAGE: Final = 300


class EnrolmentDesk:
    """The :class:`~e2s.security.enrolment.asking.Desk` of one component; safe to share among threads."""

    def __init__(self, office: Office) -> None:
        """:meth:`tick` carries out what an earlier process left."""
        self.office = office
        minutes = timedelta(minutes=office.policy.tries_minutes)
        self._tries = Tries(office.policy.tries, minutes)
        self._turns = Turns()

    @property
    def issuer(self) -> Certificate:
        """The CA's certificate."""
        return self.office.ca.certificate

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """The certificates above it, up to below the root."""
        return self.office.ca.chain

    @property
    def root(self) -> Certificate:
        """The anchor."""
        return self.office.root

    def secret(self, reference: str) -> bytes:
        """An invitation's secret; raises :class:`Refusal` ``no-such-invitation``."""
        return inviting.secret_of(self.office, reference)

    def show(self, reference: str, secret: bytes, *, client: str = "") -> Invited:
        """Who knows the secret; raises ``bad-code``, ``wrong-code`` or ``too-many-tries``."""
        inviting.check_secret(self.office, self._tries, reference, secret, client)
        return Invited(reference=reference)

    def wrong(self, reference: str, *, client: str = "") -> None:
        """Count what was computed with a wrong secret; raises ``wrong-code`` or ``too-many-tries``."""
        inviting.count_wrong(self.office, self._tries, reference, client)

    def offer(self, shown: Shown, profile: str = "", *, door: str = "") -> Offer:
        """What may be asked for; raises why nothing may."""
        office = self.office
        given = grant(office, shown, door=door, profile=profile, claimant=b"", protection="", at=office.now())
        wanted = office.profile(given.profile)
        return Offer(
            profile=given.profile,
            names=given.names,
            suites=ordering.suites_for(wanted),
            confidence=given.confidence,
        )

    def ask(self, asked: Asked) -> Issued | Pending:
        """Certify, or let it wait for an officer; raises why neither."""
        ident = _ident(asked.door, asked.transaction, asked.shown)
        with self._turns.taken(ident):
            row = self._known(ident)
            if row is None or not _same_request(row, asked):
                proven = self._proven(asked)
                if row is not None and row.state == "refused":
                    row = None  # nothing came of it: a better request may
                if row is not None and row.spki != sha256(proven.spki).digest():
                    raise Refusal("other-request", "this transaction was about another key")
                row = row or self._take(asked, ident, proven)
            return self._outcome(row)

    def poll(self, door: str, transaction: bytes, shown: Shown) -> Issued | Pending:
        """What became of a request that waited; raises what it was declined with, or ``no-such-request``."""
        ident = _ident(door, transaction, shown)
        with self._turns.taken(ident):
            row = self._known(ident)
            if row is None:
                raise Refusal("no-such-request", "nothing was asked for so")
            return self._outcome(row)

    def withdraw(self, serial: int, reason: str, shown: Shown, *, door: str) -> None:
        """Revoke a certificate of who asks; raises ``not-yours``, ``no-such-certificate``, ``bad-reason``."""
        withdraw(self.office, serial, reason, shown, door)

    def revoked(self, serial: int) -> bool:
        """Whether a certificate of this serial is revoked or held, or there is none."""
        return self.office.ca.revoked(serial)

    def tick(self, now: datetime | None = None) -> int:
        """Carry out what was left, and let lapse what waits for too long; how many were settled."""
        at = now or self.office.now()
        late = deciding.late(self.office, at)
        lost = [row for row in late if self._registered(row) is None]
        deciding.lapse(self.office, lost, at)
        done = len(late)
        with self.office.database.reading() as connection:
            left = store.in_state(connection, "intended")
        for row in left:
            with self._turns.taken(row.id):
                again = self._known(row.id)
                try:
                    done += again is not None and bool(self._outcome(again))
                except Refusal:
                    done += 1
                except Unreachable:
                    return done
        return done

    def _known(self, ident: bytes) -> sa.Row[Any] | None:
        with self.office.database.glance() as connection:
            return store.request(connection, ident)

    def _proven(self, asked: Asked) -> Proven:
        if isinstance(asked.request, bytes):
            return self.office.ca.prove(asked.request)
        return asked.request

    def _take(self, asked: Asked, ident: bytes, proven: Proven) -> sa.Row[Any]:
        """Judge a new request and commit that it is to be certified, or waits; a refusal is an event."""
        office, at = self.office, self.office.now()
        try:
            if isinstance(asked.request, bytes):
                kept = protection_of(asked.request, office.makers, at, asked.protection or SOFTWARE)
                asked = replace(asked, protection=kept)
            given = self._granted(asked, ident, proven, at)
            values = ordering.row_of(asked, given, proven, ident=ident, at=at)

            def intend(connection: sa.Connection) -> sa.Row[Any]:
                take(connection, given, at)
                store.forget_refused(connection, ident)
                store.add_request(connection, values)
                row = store.request(connection, ident)
                assert row is not None  # noqa: S101 - it was just added
                kind = "enrolment.waits" if given.waits else "enrolment.asked"
                office.event(connection, kind, at, _facts(row))
                return row

            return office.writes.write(intend)
        except Refusal as refusal:
            told = office.refused_stranger if refusal.rule in STRANGERS else office.refused
            told(refusal, at, door=asked.door, who=who_of(asked.shown))
            raise

    def _granted(self, asked: Asked, ident: bytes, proven: Proven, at: datetime) -> Grant:
        """What is to be certified: what was shown gives it, and what is asked for lies within."""
        office = self.office
        given = grant(
            office,
            asked.shown,
            door=asked.door,
            profile=asked.profile,
            claimant=ident,
            protection=asked.protection,
            at=at,
        )
        if given.reference:
            office.check_inviter(given.officer)
        if isinstance(asked.request, bytes):
            check_request(asked.request, given.names)
        check_names(asked.names, given.names)
        if given.officer in given.names:
            raise Refusal("own-case", "nobody enrols herself")
        if given.held is not None and given.held.spki == proven.spki:
            raise Refusal("same-key", "this profile is renewed with a new key")
        office.profile(given.profile).check_key(proven.key)
        latest = at + office.profile(given.profile).lifetime
        if asked.not_after is not None and not at < asked.not_after <= latest:
            raise Refusal("bad-end", "a certificate ends within the lifetime of its profile")
        return given

    def _outcome(self, row: sa.Row[Any]) -> Issued | Pending:
        """The stored answer, or that of the CA, now."""
        if row.state == "issued":
            return self._issued(row.certificate)
        if row.state == "waiting":
            made = self._registered(row)
            if made is not None:
                return self._issued(made)
            return Pending(transaction=row.transaction, retry_seconds=self.office.policy.retry_seconds)
        if row.state == "intended":
            return self._issued(self._carried_out(row))
        raise Refusal(row.rule, row.message)

    def _issued(self, certificate: bytes) -> Issued:
        ca = self.office.ca
        return Issued(certificate=certificate, chain=(ca.certificate.der, *(one.der for one in ca.chain)))

    def _registered(self, row: sa.Row[Any]) -> bytes | None:
        """The certificate that a case of registration led to meanwhile, kept here too."""
        made = self.office.ca.certified(row.spki, row.profile, parse_instant(row.at))
        if made is not None:
            self._keep(row, made)
        return made

    def _carried_out(self, row: sa.Row[Any]) -> bytes:
        """Order it and keep what came of it; raises the CA's refusal."""
        office = self.office
        try:
            if row.decided_by:
                deciding.check_decided(office, row)
            made = office.ca.issue(ordering.order_of(row), row.request)
        except Unreachable:
            raise
        except E2SError as error:
            if error.rule in _UNSETTLED:
                raise Unreachable(error.rule, error.message) from error
            self._refuse(row, error)
            raise Refusal(error.rule, error.message) from error
        self._keep(row, made)
        return made

    def _keep(self, row: sa.Row[Any], made: bytes) -> None:
        """Keep the certificate with its event; once, whoever else does."""
        serial = f"{Certificate.read(made).serial:x}"
        facts = {**_facts(row), "serial": serial}

        def keep(connection: sa.Connection) -> None:
            state = follow(row.state, "issue")
            values = {"state": state, "serial": serial, "certificate": made}
            if store.change_request(connection, row.n, row.state, **values):
                self.office.event(connection, "enrolment.issued", self.office.now(), facts)

        self.office.writes.write(keep)

    def _refuse(self, row: sa.Row[Any], error: E2SError) -> None:
        """Keep that the CA refused it; nothing was certified, so the use is given back."""
        office = self.office
        said = {"rule": error.rule, "message": error.message[:_MAX_MESSAGE]}

        def keep(connection: sa.Connection) -> None:
            state = follow(row.state, "refuse")
            if store.change_request(connection, row.n, row.state, state=state, **said):
                if row.claimed:
                    store.unclaim(connection, row.reference, row.profile, claim_of(row))
                facts = {**_facts(row), "rule": error.rule}
                office.event(connection, "refused", office.now(), facts, outcome="refused")

        office.writes.write(keep)


def _ident(door: str, transaction: bytes, shown: Shown) -> bytes:
    """What a request is called: nobody's transaction stands in the way of another's."""
    if not 0 < len(door) <= MAX_DOOR or not 0 < len(transaction) <= MAX_TRANSACTION_BYTES:
        raise Misuse("bad-transaction", "a door names each transaction by 1 to 1024 octets")
    named = {"door": door, "who": who_of(shown), "transaction": wire.b64u(transaction)}
    return sha256(wire.encode(named)).digest()


def _same_request(row: sa.Row[Any], asked: Asked) -> bool:
    """Whether the very request came again: its proof was read then."""
    return not row.proven and isinstance(asked.request, bytes) and bytes(row.request) == asked.request


def _facts(row: sa.Row[Any]) -> dict[str, Fact]:
    names = json.loads(row.names)
    return {
        "request": row.case,
        "door": row.door,
        "who": row.who,
        "profile": row.profile,
        "name": names[0] if names else None,
        "confidence": row.confidence,
        "officer": row.officer,
    }
