"""What a CA tells those who follow it: every change in order, and its newest lists."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What became of a certificate; as it is kept."""

    ISSUED = 0
    REVOKED = 1
    HELD = 2
    RELEASED = 3


class Change(NamedTuple):
    """``number`` has no gaps; ``entry`` is what a list says of the serial now, DER, None if nothing.

    ``der`` is the certificate of an issued one, and empty otherwise.
    """

    number: int
    serial: int
    entry: bytes | None
    known: bool = True
    kind: Kind = Kind.ISSUED
    der: bytes = b""


class Listed(NamedTuple):
    """A list that stands now: of the part ``shard`` or, None, of all; ``delta``: over a complete one."""

    shard: int | None
    delta: bool
    number: int
    der: bytes
