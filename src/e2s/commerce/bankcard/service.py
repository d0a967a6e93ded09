"""The issuing bank's component: seven doors to acts, and time that passes."""

from __future__ import annotations

from e2s.base.http import Request, Response
from e2s.commerce.bankcard import store as tables
from e2s.commerce.bankcard.accounts import Accounts
from e2s.commerce.bankcard.bank import Bank
from e2s.commerce.bankcard.capture import Captures
from e2s.commerce.bankcard.inquiry import Inquiries
from e2s.commerce.bankcard.issuer import Authorisations
from e2s.commerce.payment.doors import PostDoors, Refusals


class Issuer:
    """HTTP doors of the issuer; each takes and gives octets by POST."""

    def __init__(self, bank: Bank, *, pan_key: bytes) -> None:
        """``bank.store`` is opened on the tables of :mod:`e2s.commerce.bankcard.store`."""
        self.bank = bank
        authorisations, captures, accounts = Authorisations(bank, pan_key), Captures(bank), Accounts(bank)
        self._refusals = Refusals(bank.component)
        self._doors = PostDoors(
            {
                "/payment/issue": authorisations.issue,
                "/payment/reverse-unanswered": authorisations.reverse,
                "/payment/capture": captures.capture,
                "/payment/reverse": captures.reverse,
                "/inquiry": Inquiries(bank).inquire,
                "/controls": accounts.take_controls,
                "/statement": accounts.give_statement,
            },
            self._refusals,
        )

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        return self._doors.handle(request)

    def tick(self) -> None:
        """Let holds expire and close, and write down what was refused."""
        now = self.bank.clock.now()
        with self.bank.store.reading() as connection:
            due = tables.ageing_due(connection, now)
        if due:
            with self.bank.store.transaction() as connection:
                tables.age(connection, now)
        self._refusals.flush(self.bank.store, tables.OUTBOX, now)

    def close(self) -> None:
        """Give the database back."""
        self.bank.store.close()
