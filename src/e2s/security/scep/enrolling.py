"""What a SCEP message asks for is put before the desk, in the name of who signed it (RFC 8894, 2.3).

A request that its own key signed says an invitation's code as its challenge password.  One that is signed by
a certificate of this CA is its holder's.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.wire import len4
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.possession import read_proof
from e2s.security.certificates.request_attributes import challenge_in
from e2s.security.enrolment.asking import Asked, Desk, Holder, Invited, Issued, Pending, Shown
from e2s.security.enrolment.invitations import read_code
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.scep import store
from e2s.security.scep.messages import Kind, Message, issuer_and_serial, issuer_and_subject

DOOR: Final = "scep"
#: What is old is looked for so often.
_SWEPT: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Found:
    """What goes back under seal: certificates or lists, DER."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = field(default=(), repr=False)


class Enrolling:
    """Answers what was opened; safe to share among threads."""

    def __init__(self, desk: Desk, setting: DoorSetting) -> None:
        """Nothing is opened before somebody has to wait."""
        self._desk = desk
        self._setting = setting
        self._due = setting.clock.now()
        self._file = setting.folder / "scep.sqlite"
        self._lock = threading.Lock()
        self._opened: Database | None = None

    def outcome(self, message: Message, content: bytes, label: str, client: str) -> Found | Pending:
        """What becomes of a message whose envelope held ``content``; raises why nothing does."""
        if message.kind in {Kind.REQUEST, Kind.RENEWAL}:
            return self._asked(message, content, label, client)
        if message.kind is Kind.POLL:
            return self._polled(message, content)
        if message.kind is Kind.CERTIFICATE:
            return self._certificate(content)
        if message.kind is Kind.LIST:
            return self._list(content)
        raise Refusal("bad-message", "an answer is no question")

    def forget(self, now: datetime) -> int:
        """Forget who waited for longer than any request does; how many."""
        if now < self._due or not self._file.exists():
            return 0
        self._due = now + _SWEPT
        with self._database.transaction() as connection:
            return store.forget(connection, now - timedelta(days=self._setting.policy.waiting_days))

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _asked(self, message: Message, request: bytes, label: str, client: str) -> Found | Pending:
        """PKCSReq and RenewalReq (3.3.1)."""
        spki = _key_of(request)
        shown: Shown
        if not _self_issued(message.signer):
            shown = Holder(certificate=message.signer, certificates=message.certificates)
        elif message.kind is Kind.RENEWAL:
            raise Refusal("not-a-renewal", "a renewal is signed by the certificate that is renewed")
        elif message.signer.spki != spki:
            raise Refusal("other-signer", "another key signed the message than it asks a certificate for")
        else:
            shown = self._invited(request, client)
        transaction = _transaction(message)
        asked = Asked(door=DOOR, transaction=transaction, request=request, shown=shown, profile=label)
        made = self._desk.ask(asked)
        if isinstance(made, Pending) and isinstance(shown, Invited):
            with self._database.transaction() as connection:
                store.add(connection, transaction, shown.reference, self._setting.clock.now())
        return _found(made)

    def _invited(self, request: bytes, client: str) -> Invited:
        """The invitation whose code is the challenge password (RFC 2985, 5.4.1)."""
        challenge = challenge_in(request)
        if not challenge:
            raise Refusal("not-authenticated", "the code of an invitation is the challenge password")
        return self._desk.show(*read_code(challenge), client=client)

    def _polled(self, message: Message, content: bytes) -> Found | Pending:
        """CertPoll (3.3.3): by the key that began the transaction, or nobody knows of it.

        What issuer it names is not compared: strongSwan names the door.
        """
        issuer_and_subject(content)
        transaction = _transaction(message)
        shown: Shown
        if _self_issued(message.signer):
            with self._database.glance() as connection:
                reference = store.reference(connection, transaction)
            if reference is None:
                raise Refusal("no-such-request", "nothing was asked for so")
            shown = Invited(reference=reference)
        else:
            shown = Holder(certificate=message.signer, certificates=message.certificates)
        return _found(self._desk.poll(DOOR, transaction, shown))

    def _certificate(self, content: bytes) -> Found:
        """GetCert (3.3.4)."""
        issuer, serial = issuer_and_serial(content)
        self._check_issuer(issuer)
        look = self._setting.certificate
        found = look(serial) if look is not None else None
        if found is None:
            raise Refusal("no-such-certificate", "this CA has no certificate of this serial")
        return Found((found,))

    def _list(self, content: bytes) -> Found:
        """GetCRL (3.3.5)."""
        issuer, _serial = issuer_and_serial(content)
        self._check_issuer(issuer)
        if self._setting.crls is None:
            raise Refusal("no-lists", "revocation lists are found where certificates say, not here")
        return Found(crls=tuple(self._setting.crls()))

    def _check_issuer(self, issuer: bytes) -> None:
        if issuer != self._desk.issuer.slices.subject:
            raise Refusal("no-such-certificate", "this is another CA")

    @property
    def _database(self) -> Database:
        with self._lock:
            if self._opened is None:
                self._opened = Database.open(self._file, store.TABLES)
            return self._opened


def _key_of(request: bytes) -> bytes:
    """The key of a request that proves it.

    What cannot be read as a request is refused as an envelope that does not open: nothing shows whether its
    content was altered, and no answer is to tell how it failed.
    """
    try:
        return read_proof(request).spki
    except Refusal as refusal:
        if refusal.rule == "bad-request":
            raise Refusal("bad-envelope", "the envelope does not open, or holds no request") from refusal
        raise


def _self_issued(signer: Certificate) -> bool:
    """Whether the certificate is one that clients make for the first message (2.3)."""
    return signer.slices.issuer == signer.slices.subject


def _transaction(message: Message) -> bytes:
    """What names it at the desk: the transaction of this very key, or of this very certificate."""
    signer = message.signer
    by = sha256(signer.spki).digest() if _self_issued(signer) else signer.digest
    return sha256(len4(message.transaction) + len4(by)).digest()


def _found(made: Issued | Pending) -> Found | Pending:
    return made if isinstance(made, Pending) else Found((made.certificate,))
