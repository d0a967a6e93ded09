"""What a component is built from: its description, its home, and the edges that it may not reach itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.base.http import Exchange, Handler, Quick, never
from e2s.base.instants import Clock
from e2s.base.outbox import Outbox
from e2s.community.description import Community, Component
from e2s.community.home import CommunityHome, ComponentHome
from e2s.community.publishers import ca_labels
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.network.sessions.link import Link, read_key
from e2s.security.keys.phrase import phrase_from_file
from e2s.security.keys.software import SoftwarePse
from e2s.security.verification.services import ClientServices
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one component stands: factories build it from this alone."""

    community: Community
    component: Component
    whole: CommunityHome
    clock: Clock
    exchange: Exchange
    random: Callable[[int], bytes] = field(repr=False)

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.name

    @property
    def party(self) -> str:
        """The name that certificates give to its party."""
        return self.community.urn(self.component.party)

    @property
    def home(self) -> ComponentHome:
        """Its own folder."""
        return self.whole.component(self.component)

    def database(self, tables: sa.MetaData) -> Database:
        """Its database, laid out with ``tables``."""
        return Database.open(self.home.database, tables)

    def pse(self) -> SoftwarePse:
        """Its personal security environment, opened with the pass phrase in its home."""
        phrase = phrase_from_file(self.home.phrase)
        try:
            return SoftwarePse.open(self.home.pse, phrase)
        finally:
            phrase.wipe()

    def peers(self, kind: str) -> tuple[Component, ...]:
        """The components of ``kind`` that it talks to, in the file's order."""
        return tuple(peer for peer in self.community.peers(self.component) if peer.kind == kind)

    def peer(self, kind: str) -> Component:
        """The first of :meth:`peers`; raises :class:`Misuse` ``no-such-peer``."""
        found = self.peers(kind)
        if not found:
            raise Misuse("no-such-peer", f"{self.name} talks to no {kind}", component=self.name)
        return found[0]

    def link(self, peer: Component) -> Link:
        """The sealed link to a component of the same party."""
        key = read_key(self.home.link_key(peer.name))
        return Link(self.name, peer.name, key, self.exchange, peer.origin, self.clock, self.random)

    def link_keys(self) -> Mapping[str, bytes]:
        """The keys of all its links, by peer: what a link's door needs."""
        return {peer: read_key(self.home.link_key(peer)) for peer in self.home.link_peers()}

    def certificates(self, component: str, label: str) -> tuple[Certificate, ...]:
        """The published certificate of another's key, then its chain."""
        return self.whole.certificates(component, label)

    def authorities(self) -> tuple[tuple[str, Certificate], ...]:
        """Each CA with the origin of the repository that publishes its list."""
        return tuple(
            (publisher.origin, self.certificates(component.name, label)[0])
            for component, label, publisher in ca_labels(self.community)
            if self.whole.public(component.name, label).exists()
        )

    def trust(self) -> Trust:
        """The community's root as anchor, revocation from the repositories."""
        source = ClientServices(self.exchange, self.authorities(), self.clock)
        return Trust(Verifier(self.whole.anchors()), source)


def _nothing() -> None:
    """What a component without periodic acts does at each tick."""


@dataclass(frozen=True, kw_only=True)
class Renewable:
    """A certificate that a running component replaces: ``taken`` is given the signer under the newer one.

    ``ask`` gives the newer one where it does not come by CMP.
    """

    certificate: Certificate
    taken: Callable[[Signer], None]
    ask: Callable[[Certificate], Certificate] | None = None


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """A component ready to run; ``outboxes`` (name, database, outbox) are shipped to the sequencer.

    ``quick``: which requests are answered at once, without a thread of their own.  ``renews``: by label, what
    is renewed in time (:mod:`e2s.community.renewing`).
    """

    handle: Handler
    tick: Callable[[], None] = _nothing
    close: Callable[[], None] = _nothing
    outboxes: tuple[tuple[str, Database, Outbox], ...] = ()
    quick: Quick = never
    renews: Mapping[str, Renewable] = field(default_factory=dict)


class Factory(Protocol):
    """Builds one kind of component."""

    def __call__(self, place: Place) -> Assembled:
        """The component of ``place``, ready to run."""
