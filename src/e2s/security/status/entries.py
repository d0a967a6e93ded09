"""One revocation: what a list says of one certificate (RFC 5280, 5.3)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Entry(NamedTuple):
    """``reason`` as RFC 5280, 5.3.1 names it; ``invalidity``: since when the key may be lost (5.3.2)."""

    serial: int
    at: datetime
    reason: str = "unspecified"
    invalidity: datetime | None = None
