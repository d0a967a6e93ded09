"""A community on one machine is a folder: a home for each component, and the root's own apart from all.

::

    community.toml               the community file
    root.pem                     the root's certificate, for everyone
    public/COMPONENT/LABEL.pem   certificates (with their chain) that others may need to know
    PARTY/COMPONENT/             only that component's process reads here
        data.db, pse, pse.phrase, links/PEER.key, log, pid, lock
    root-offline/                the root's key and register: to be moved to a safe place
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2s.base.errors import Misuse
from e2s.community.description import Component
from e2s.crypto.certificates import Certificate, read_certificates


@dataclass(frozen=True)
class ComponentHome:
    """The folder of one component; its mode is 0700."""

    path: Path

    @property
    def database(self) -> Path:
        """The component's only database."""
        return self.path / "data.db"

    @property
    def pse(self) -> Path:
        """Its personal security environment."""
        return self.path / "pse"

    @property
    def phrase(self) -> Path:
        """The file with its pass phrase."""
        return self.path / "pse.phrase"

    @property
    def log(self) -> Path:
        """What its process writes."""
        return self.path / "log"

    @property
    def pid(self) -> Path:
        """Which process it is."""
        return self.path / "pid"

    @property
    def lock(self) -> Path:
        """Held by its process as long as it lives."""
        return self.path / "lock"

    @property
    def tls_certificate(self) -> Path:
        """PEM, with its chain."""
        return self.path / "tls.pem"

    @property
    def tls_key(self) -> Path:
        """PEM, of mode 0600."""
        return self.path / "tls.key"

    def link_key(self, peer: str) -> Path:
        """The key shared with ``peer``."""
        return self.path / "links" / f"{peer}.key"

    def link_peers(self) -> tuple[str, ...]:
        """Whom this component shares a key with."""
        return tuple(sorted(path.stem for path in (self.path / "links").glob("*.key")))


@dataclass(frozen=True)
class CommunityHome:
    """The folder of a whole community."""

    path: Path

    @classmethod
    def of_file(cls, file: Path) -> CommunityHome:
        """The home that a community file stands in."""
        return cls(file.absolute().parent)

    @property
    def file(self) -> Path:
        """The community file."""
        return self.path / "community.toml"

    @property
    def root(self) -> Path:
        """The root's certificate."""
        return self.path / "root.pem"

    @property
    def root_offline(self) -> Path:
        """The folder of the root's key."""
        return self.path / "root-offline"

    @property
    def founded(self) -> bool:
        """Whether keys and certificates have been made: the root's certificate is written last."""
        return self.root.exists()

    def component(self, component: Component) -> ComponentHome:
        """The home of ``component``."""
        return ComponentHome(self.path / component.party / component.name)

    def public(self, component: str, label: str) -> Path:
        """Where the certificate of that key is published, with its chain."""
        return self.path / "public" / component / f"{label}.pem"

    def anchors(self) -> tuple[Certificate, ...]:
        """The roots that everyone trusts."""
        return read_certificates(_octets(self.root))

    def certificates(self, component: str, label: str) -> tuple[Certificate, ...]:
        """The published certificate of that key, then its chain."""
        return read_certificates(_octets(self.public(component, label)))


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misuse("not-founded", "this file of the community is missing", path=str(path)) from error
