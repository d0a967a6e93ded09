"""An escrow's vault: what it keeps, whom it believes, and its own key, which opens nothing.

Its process sees sealed keys and sealed shares alone.  Whatever takes effect was signed by an officer, an
owner or a recipient, and stands in the vault's own signed entries in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Fact, Refusal
from e2s.base.events import Event
from e2s.base.instants import Clock, format_instant
from e2s.base.rights import Authoriser
from e2s.base.wire import Document
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.security.escrow import store
from e2s.security.escrow.policy import Policy, policy_of
from e2s.security.escrow.rules import Generation, Judge, Kept, kept_of
from e2s.security.escrow.tables import OUTBOX
from e2s.security.escrow.words import ACCEPT, AGREE, DEPOSIT, POLICY, Word, digest_of, kept, read
from e2s.security.verification.trust import Trust


@dataclass(frozen=True, kw_only=True)
class Vault:
    """One escrow; ``component`` is its name, ``domain`` where its officers have their rights.

    ``records`` gives the ceremonies' records that say so, for whoever checks a case elsewhere.
    """

    community: str
    component: str
    domain: str
    signer: Signer
    database: Database
    trust: Trust
    authoriser: Authoriser
    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    records: Callable[[], Sequence[bytes]] = tuple

    def now(self) -> datetime:
        """The instant by the vault's clock."""
        return self.clock.now()

    def judge(self, used: dict[str, bytes] | None = None) -> Judge:
        """Who may say what now; the lists that decide are put into ``used``."""

        def check(
            certificate: Certificate,
            others: Sequence[Certificate],
            *,
            purpose: str | None,
            name: str | None,
            at: datetime,
        ) -> None:
            verdict = self.trust.check_certificate(certificate, others, purpose=purpose, name=name, at=at)
            if used is not None:
                used.update((digest_of(one), one) for one in verdict.crls_used)

        return Judge(
            check=check,
            rights=lambda _at: self.authoriser,
            community=self.community,
            vault=self.component,
            domain=self.domain,
        )

    def check_self(self, judge: Judge, at: datetime) -> None:
        """Raise unless the vault's own certificate is good: what it signs is to be believed later."""
        own, chain = self.signer.certificate, self.signer.chain
        judge.check(own, chain, purpose=oids.COMPONENT, name=own.name, at=at)

    def said(self, kind: str, at: datetime, members: Mapping[str, Any]) -> Document:
        """A document that the vault is to sign."""
        return {
            "type": kind,
            "community": self.community,
            "vault": self.component,
            "officer": self.signer.certificate.name,
            "at": format_instant(at),
            **members,
        }

    def asked(self, kind: str, officer: str, members: Mapping[str, Any]) -> Document:
        """A document for this vault that ``officer`` is to sign now."""
        return {**self.said(kind, self.now(), members), "officer": officer}

    def event(
        self,
        connection: sa.Connection,
        kind: str,
        at: datetime,
        facts: Mapping[str, Fact],
        outcome: str = "done",
    ) -> None:
        """Write an event in the transaction of its effect."""
        event = Event(kind=f"escrow.{kind}", at=at, component=self.component, outcome=outcome, facts=facts)
        OUTBOX.sink(connection).append(event)

    def refused(self, refusal: Refusal, **facts: Fact) -> None:
        """The event of a refusal."""
        with self.database.transaction() as connection:
            self.event(connection, "refused", self.now(), {**facts, "rule": refusal.rule}, outcome="refused")

    # ------------------------------------------------------------ what it knows
    def policies(self, connection: sa.Connection) -> dict[str, Policy]:
        """Every policy that was agreed, in order, by its digest."""
        found = {}
        for row in store.policies(connection):
            if row.agreed is not None:
                found[row.id] = _policy(row.word)
        return found

    def in_force(self, connection: sa.Connection) -> Policy:
        """The newest policy that was agreed; raises :class:`Refusal` ``no-policy``."""
        known = self.policies(connection)
        if not known:
            raise Refusal("no-policy", "no policy of this escrow is agreed yet")
        return list(known.values())[-1]

    def kept(self, connection: sa.Connection, ident: str) -> tuple[sa.Row[Any], Kept]:
        """A deposit, with every generation of its shares; raises :class:`Refusal` ``no-such-deposit``."""
        row = store.deposit(connection, ident)
        if row is None:
            raise Refusal("no-such-deposit", "there is no such deposit", deposit=ident[:64])
        policies = self.policies(connection)
        word = kept(row.word, DEPOSIT)
        accepts = [kept(one.word, ACCEPT) for one in store.moves(connection, row.n) if one.kind == "accept"]
        more = generations(accepts, policies)
        return row, kept_of(word, policies[row.policy], more)

    def word_pairs(self, connection: sa.Connection) -> list[tuple[Word, Word]]:
        """Each agreed policy's two words, in order."""
        return [
            (kept(row.word, POLICY), kept(row.agreed, AGREE))
            for row in store.policies(connection)
            if row.agreed is not None
        ]


@lru_cache(maxsize=256)
def _policy(octets: bytes) -> Policy:
    """A policy that was taken once."""
    return policy_of(read(octets, POLICY).document)


def generations(accepts: Sequence[Word], policies: Mapping[str, Policy]) -> list[Generation]:
    """What officers made of shares that were shared again, in the policies' order."""
    rows: dict[str, dict[str, Document]] = {}
    for word in accepts:
        rows.setdefault(word.document["policy"], {})[word.officer] = word.document
    return [
        Generation(policy=ident, threshold=policy.threshold, rows=rows[ident])
        for ident, policy in policies.items()
        if ident in rows
    ]
