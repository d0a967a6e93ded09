"""Validation connects to where strangers say: so only to public addresses, and to what the policy names.

A name is looked up once, and what is connected to is the address that was judged.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, TypeAlias

from e2s.base.errors import Misuse, Refusal

_Address: TypeAlias = IPv4Address | IPv6Address
#: Addresses of a host by its name; raises OSError.
Resolve: TypeAlias = Callable[[str], Sequence[str]]
_MOST_TRIED: Final = 4
#: Networks by which an address of IPv4 is reached in another dress (RFC 6052, 7526, 4380, 6169).
_DRESSED: Final = tuple(
    map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10"))
)


def _looked_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where validation may connect to: ``networks`` beside public ones, ``hosts`` at given addresses.

    ``hosts`` names ``address`` or ``address:port`` for a host, which is then connected to and not looked up.
    """

    networks: tuple[str, ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    http_port: int = 80
    tls_port: int = 443
    resolve: Resolve = _looked_up

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-reach``."""
        try:
            networks = [ip_network(one) for one in self.networks]
            ports = [_place(one, 1)[1] for one in self.hosts.values()]
        except ValueError as error:
            raise Misuse("bad-reach", "networks and addresses of hosts are addresses of IP") from error
        object.__setattr__(self, "_networks", tuple(networks))
        if not all(0 < port < 1 << 16 for port in (*ports, self.http_port, self.tls_port)):
            raise Misuse("bad-reach", "a port has a number")

    def connect(self, host: str, port: int, deadline: float) -> socket.socket:
        """A connection to ``host``, made before ``deadline`` of the monotonic clock.

        Raises :class:`Refusal` ``no-such-host``, ``network-not-permitted`` or ``unreachable``.
        """
        for address, number in self._addresses(host, port)[:_MOST_TRIED]:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            with suppress(OSError):
                return socket.create_connection((address, number), left)
        raise Refusal("unreachable", "no connection to the host could be made", host=host, port=port)

    def _addresses(self, host: str, port: int) -> list[tuple[str, int]]:
        given = self.hosts.get(host)
        if given is not None:
            return [_place(given, port)]
        try:
            found: Sequence[str] = [str(ip_address(host))]
        except ValueError:
            found = self._found(host)
        permitted = [one for one in found if self.permits(one)]
        if not permitted:
            raise Refusal("network-not-permitted", "the host is in a network that is not reached", host=host)
        return [(one, port) for one in permitted]

    def _found(self, host: str) -> Sequence[str]:
        try:
            found = self.resolve(host)
        except (OSError, UnicodeError) as error:
            raise Refusal("no-such-host", "the host's name could not be resolved", host=host) from error
        if not found:
            raise Refusal("no-such-host", "the host's name has no address", host=host)
        return found

    def permits(self, text: str) -> bool:
        """Whether this address may be connected to."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        real: _Address = mapped or address
        networks: tuple[object, ...] = self.__dict__["_networks"]
        if any(real in one for one in networks):  # type: ignore[operator]  # as ip_network gave them
            return True
        dressed = any(real.version == one.version and real in one for one in _DRESSED)
        return real.is_global and not (
            real.is_multicast or real.is_reserved or real.is_unspecified or real.is_loopback or dressed
        )


def _place(text: str, port: int) -> tuple[str, int]:
    """``address``, ``address:port`` or ``[address]:port``; raises ValueError."""
    try:
        return str(ip_address(text)), port
    except ValueError:
        host, _, number = text.rpartition(":")
        if not number.isascii() or not number.isdigit():
            raise
        return str(ip_address(host.removeprefix("[").removesuffix("]"))), int(number)
