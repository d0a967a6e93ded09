"""A public door answers so many requests in a time, of each address and of all together; more are refused.

Token buckets: one for each address and one for everybody.  What is remembered is bounded: a new address that
finds no place takes that of the one that has been silent longest, which by then has its whole allowance again
or is not kept from anything that the bucket of all would let through.  Time is an argument.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from e2s.base.errors import Refusal

#: Addresses of one IPv6 network are one client: whoever has one of them has all (RFC 6177).
_IPV6_PREFIX: Final = 64


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Requests a second of ``each`` address and in ``total``; ``burst`` times as many at once."""

    each: float = 200.0
    total: float = 2000.0
    burst: float = 5.0
    addresses: int = 4096


#: What a repository's door lets through unless told otherwise.
PUBLIC: Final = Rates()


class RateLimit:
    """Counts requests by their address; safe to share among threads."""

    def __init__(self, rates: Rates = PUBLIC) -> None:
        """Every bucket begins full."""
        self._rates = rates
        self._all = _Bucket(rates.total * rates.burst)
        self._each: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, address: str, at: datetime) -> None:
        """Count one request; raises :class:`Refusal` ``too-many-requests``, with the seconds to ``wait``."""
        rates = self._rates
        client = client_of(address)
        with self._lock:
            bucket = self._each.pop(client, None)
            if bucket is None:
                bucket = _Bucket(rates.each * rates.burst)
                while len(self._each) >= rates.addresses:
                    self._each.popitem(last=False)
            self._each[client] = bucket
            bucket.fill(at, rates.each, rates.each * rates.burst)
            self._all.fill(at, rates.total, rates.total * rates.burst)
            if bucket.tokens < 1 or self._all.tokens < 1:
                wait = max((1 - bucket.tokens) / rates.each, (1 - self._all.tokens) / rates.total)
                raise Refusal("too-many-requests", "ask again later", wait=int(wait) + 1)
            bucket.tokens -= 1
            self._all.tokens -= 1

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._each)


class _Bucket:
    """The requests that may still come at once."""

    __slots__ = ("since", "tokens")

    def __init__(self, tokens: float) -> None:
        self.tokens = tokens
        self.since: datetime | None = None

    def fill(self, at: datetime, rate: float, most: float) -> None:
        """Add what the time since the last request gives; a clock that was set back gives nothing."""
        if self.since is not None and at > self.since:
            self.tokens = min(most, self.tokens + (at - self.since).total_seconds() * rate)
        self.since = at


@lru_cache(maxsize=4096)
def client_of(address: str) -> str:
    """Whom an address stands for: itself, or the /64 network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX), strict=False))
    return str(parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else parsed)
