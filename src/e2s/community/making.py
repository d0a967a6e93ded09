"""What founding a community works with, and what it has made so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from e2s.base.errors import Misuse
from e2s.base.instants import Clock
from e2s.base.wire import Document
from e2s.commerce.bankcard import cards
from e2s.commerce.bankcard.bank import Bank
from e2s.community.assembly_banks import bank_of, pan_key
from e2s.community.description import Community, Component
from e2s.community.home import CommunityHome
from e2s.community.kinds import ISSUER
from e2s.community.place import Place
from e2s.crypto.certificates import Certificate
from e2s.network.sessions.local import LocalExchange
from e2s.security.ceremonies.ceremony import Setting
from e2s.security.keys.container import Cost
from e2s.security.keys.generation import generate
from e2s.security.keys.software import Entry
from e2s.security.pki.ca import Authority
from e2s.security.verification.trust import HeldCrls, Trust
from e2s.security.verification.verifier import Verifier

_BRAND = "Market Purchasing"
_PREFIX = "400005"  # no real bank's: a prefix of test numbers


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What founding takes from the machine; ``cost`` of the derivations, production's when None."""

    clock: Clock
    random: Callable[[int], bytes]
    cost: Cost | None = None

    @property
    def setting(self) -> Setting:
        """The same for the ceremonies."""
        return Setting(clock=self.clock, random=self.random, cost=self.cost)


@dataclass(frozen=True, kw_only=True)
class Made:
    """The community in the making; ``authorities`` by the component that will hold them, operating first."""

    community: Community
    whole: CommunityHome
    tools: Tools
    anchor: Certificate
    authorities: dict[str, Authority]
    records: dict[str, Document] = field(default_factory=dict, repr=False)

    @property
    def operating(self) -> Authority:
        """The CA that certifies every component."""
        return next(iter(self.authorities.values()))

    @property
    def desk(self) -> Component:
        """The issuing bank's desk; raises :class:`Misuse` ``no-issuer`` where no bank gives cards."""
        for party in self.community.parties.values():
            if party.kind == ISSUER:
                return self.community.of_party(party.name, "issuer")[0]
        raise Misuse("no-issuer", "a wallet needs a bank that gives cards")

    @contextmanager
    def bank(self) -> Iterator[tuple[Bank, bytes]]:
        """The issuing bank and the key of its card digests, with its own files."""
        place = Place(
            community=self.community,
            component=self.desk,
            whole=self.whole,
            clock=self.tools.clock,
            exchange=LocalExchange(),
            random=self.tools.random,
        )
        bank = bank_of(place, Trust(Verifier((self.anchor,)), HeldCrls()))
        try:
            yield bank, pan_key(place)
        finally:
            bank.store.close()

    def card(self, wallet: Component) -> Entry:
        """A card for the wallet's owner: key C with its certificate; the record is sealed into her home."""
        organisation = self.community.urn(wallet.party)
        key = generate(self.tools.setting.suite, self.tools.random)
        authority = self.authorities[self.desk.name]
        with self.bank() as (bank, secret):
            cards.open_account(bank, organisation, self.currency(wallet.party))
            issued = cards.issue_card(
                bank,
                authority,
                secret,
                organisation=organisation,
                key=key.public_key(),
                officer=bank.name,
                expiry=f"{self.tools.clock.now().year + 3}-12",
                brand=_BRAND,
                prefix=_PREFIX,
                origin=self.desk.origin,
            )
        self.records[wallet.name] = issued.record
        return Entry(private_key=key, certificate=issued.certificate, chain=(authority.certificate,))

    def currency(self, organisation: str) -> str:
        """The currency of the organisation's first contract."""
        return next((c.currency for c in self.community.contracts if c.organisation == organisation), "EUR")
