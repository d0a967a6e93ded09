"""What a community file says, as values: parties, their components, whom they trust and what they agreed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from e2s.base.errors import Misuse
from e2s.crypto.suites import Policy


@dataclass(frozen=True)
class Listen:
    """Where a component listens: a literal address and a port."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host.startswith("127.") or self.host in {"[::1]", "localhost"}


@dataclass(frozen=True, kw_only=True)
class Party:
    """One party of figure 2.1."""

    name: str
    kind: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One process of one party; ``talks_to`` names the components that it needs."""

    name: str
    party: str
    kind: str
    listen: Listen
    compartment: str
    location: str
    features: tuple[str, ...] = ()
    talks_to: tuple[str, ...] = ()
    tls: bool = False
    plain_because: str = ""
    person: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The origin that others send to."""
        return f"{'https' if self.tls else 'http'}://{self.listen.host}:{self.listen.port}"


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Whose root everyone trusts, and where its key is kept."""

    authority: str
    root_key: str = "off-line"


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Terms agreed between a merchant and a buying organisation; ``discount`` in per cent."""

    merchant: str
    organisation: str
    text: str
    currency: str = "EUR"
    discount: str = "0"


@dataclass(frozen=True, kw_only=True)
class Community:
    """What the file says, by name and in the file's order.

    ``suites`` names the file of the community's own rows beside it, ``policy`` is the table with them; None
    is the table that comes with E2S.
    """

    name: str
    title: str
    trust: Trust
    parties: Mapping[str, Party]
    components: Mapping[str, Component]
    contracts: tuple[Contract, ...]
    suites: str = ""
    policy: Policy | None = field(default=None, repr=False)

    def component(self, name: str) -> Component:
        """The component called ``name``; raises :class:`Misuse` ``no-such-component``."""
        found = self.components.get(name)
        if found is None:
            raise Misuse("no-such-component", "the community file has no such component", component=name)
        return found

    def of_party(self, party: str, kind: str = "") -> tuple[Component, ...]:
        """The components of ``party``, of ``kind`` where given."""
        return tuple(c for c in self.components.values() if c.party == party and kind in {"", c.kind})

    def of_kind(self, kind: str) -> tuple[Component, ...]:
        """The components of ``kind``, of whatever party."""
        return tuple(c for c in self.components.values() if c.kind == kind)

    def peers(self, component: Component) -> tuple[Component, ...]:
        """The components that ``component`` talks to."""
        return tuple(self.components[name] for name in component.talks_to)

    def urn(self, party: str, person: str = "") -> str:
        """The name that certificates give to a party or its person."""
        return f"urn:e2s:{self.name}:{party}" + (f":{person}" if person else "")
