"""A shop is asked over a session that lives only in memory; what gets lost is asked again, not done again.

A repetition is a new record with the same ``rid``.  When the shop knows no session (idle, restarted,
card removed) the wallet logs in anew: trades belong to the buyer, not to a session.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from e2s.base.errors import Refusal, Unreachable
from e2s.client.wallet.desk import Desk, Line, Shop
from e2s.crypto.suites import Policy
from e2s.network.sessions.buyer import Choice, Visit
from e2s.network.sessions.offers import ALL_SESSIONS

#: How often a request goes out before its loss is told.
TRIES = 3


class ShopLine:
    """One shop over a session of the buyer's own; logs in when first asked."""

    def __init__(
        self,
        desk: Desk,
        shop: Shop,
        *,
        suites: Sequence[str] = ALL_SESSIONS,
        location: str = "*",
        policy: Policy | None = None,
        plain: bool = False,
        pause: Callable[[int], None] | None = None,
    ) -> None:
        """``pause(n)`` is called before the ``n``-th repetition; ``plain`` where the file declares it.

        ``location`` is where the wallet is: of ``suites`` those are offered that it permits at the login.
        """
        self._desk = desk
        self._choice = Choice(
            merchant=shop.name,
            origin=shop.origin,
            location=location,
            suites=tuple(suites),
            policy=policy,
            plain=plain,
        )
        self._pause = pause or (lambda _: None)
        self._visit: Visit | None = None

    def login(self) -> datetime:
        """Log in now, and forget the session before; raises as :meth:`Visit.open` does."""
        self.close()
        desk = self._desk
        self._visit = Visit.open(
            desk.exchange,
            choice=self._choice,
            signer=desk.pse.signer("session"),
            checker=desk.trust,
            clock=desk.clock,
            random=desk.random,
        )
        return self._visit.session.terms.end

    @property
    def is_open(self) -> bool:
        """Whether there is a session, as far as this side knows."""
        return self._visit is not None and self._visit.is_open

    def ask(self, op: str, args: dict[str, Any], rid: str) -> dict[str, Any]:
        """The shop's answer; :class:`Unreachable` when none came in several tries."""
        for n in range(1, TRIES + 1):
            try:
                if self._visit is None or not self._visit.is_open:
                    self.login()
                return self._visit_now().ask(op, args, rid=rid)
            except Refusal as refusal:
                if refusal.rule != "no-session" or n == TRIES:
                    raise
                self._visit = None
            except Unreachable:
                if n == TRIES:
                    raise
            self._pause(n)
        raise Unreachable("no-answer", "the shop did not answer", op=op)

    def _visit_now(self) -> Visit:
        if self._visit is None:
            raise Refusal("no-session", "there is no session with this shop")
        return self._visit

    def close(self) -> None:
        """End the session and zero its keys: on leaving, and when the card is removed."""
        visit, self._visit = self._visit, None
        if visit is not None:
            visit.close()


def lines(
    desk: Desk,
    *,
    suites: Sequence[str] = ALL_SESSIONS,
    location: str = "*",
    policy: Policy | None = None,
    plain: bool = False,
    pause: Callable[[int], None] | None = None,
) -> Callable[[Shop], Line]:
    """What a :class:`~e2s.client.wallet.wallet.Wallet` connects with."""
    return lambda shop: ShopLine(
        desk, shop, suites=suites, location=location, policy=policy, plain=plain, pause=pause
    )
