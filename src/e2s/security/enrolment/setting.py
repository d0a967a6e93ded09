"""What every door is given beside the desk: clock and randomness, a folder, and what it is called.

A door is made by ``door(desk, setting)`` of its room's ``service``, and is a handler; one that has ``tick``
is ticked about once a second, with the instant, and one that has ``close`` is closed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from e2s.base.database import Database
from e2s.base.http import Handler, Request
from e2s.base.instants import Clock
from e2s.base.outbox import Outbox
from e2s.crypto.kinds import PublicKey
from e2s.crypto.ports import Signer
from e2s.security.enrolment.asking import Desk, Issued
from e2s.security.enrolment.policy import Policy, shipped
from e2s.security.keys.deposit import Deposit

#: Certifies a key of a door's own: profile, names within the component's own, and the key.
Certify: TypeAlias = Callable[[str, tuple[str, ...], PublicKey], Issued]


@dataclass(frozen=True, kw_only=True)
class DoorSetting:
    """What one component's doors share.

    ``origin`` is the public URL without a path (``https://enrol.market.example``), ``folder`` the component's
    own, for a door's database.  ``name`` is the component's URN, ``signer`` its own certified key, which
    signs answers; ``certify`` certifies further keys of its own.  ``certificate`` looks one up by serial and
    ``crls`` gives the lists that stand now.  ``storage`` has 32 secret octets, from which a door derives what
    it seals with.  What is None is not there, and the door refuses what needs it.  ``workers`` is how many
    processes a door may have for each key whose work is long; none: it works in this one.
    """

    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    folder: Path
    origin: str
    component: str
    name: str = ""
    policy: Policy = field(default_factory=shipped, repr=False)
    storage: bytes = field(default=b"", repr=False)
    signer: Signer | None = field(default=None, repr=False)
    certify: Certify | None = field(default=None, repr=False)
    certificate: Callable[[int], bytes | None] | None = field(default=None, repr=False)
    crls: Callable[[], Sequence[bytes]] | None = field(default=None, repr=False)
    deposit: Deposit | None = field(default=None, repr=False)
    workers: int = 0


#: Makes a door.
Factory: TypeAlias = Callable[[Desk, DoorSetting], Handler]


@runtime_checkable
class Ticking(Protocol):
    """A door with work of its own to do in time."""

    def tick(self, now: datetime) -> None:
        """Do what is due at ``now``."""


@runtime_checkable
class Quick(Protocol):
    """A door that answers some requests at once, without waiting for anything."""

    def quick(self, request: Request) -> bool:
        """Whether this is one of them."""


class Telling(Protocol):
    """A door with events of its own: in this database, by this outbox, until they are sent on."""

    @property
    def database(self) -> Database:
        """Where its rows are."""

    @property
    def outbox(self) -> Outbox:
        """Its rows that wait to leave."""


@runtime_checkable
class Closing(Protocol):
    """A door that holds something."""

    def close(self) -> None:
        """Give it back."""
