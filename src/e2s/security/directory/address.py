"""Which LDAP server is spoken to, how it is protected, and who we are there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from e2s.base.errors import Misuse

_SERVER = re.compile(r"(ldaps?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?/?", re.ASCII)
_SOCKET = re.compile(r"ldapi://(?:%2[Ff][A-Za-z0-9._%-]+)?/?", re.ASCII)
_MAX_URI: Final = 256
PORTS: Final = {"ldap": 389, "ldaps": 636}


@dataclass(frozen=True, kw_only=True)
class Address:
    """One server: ``ldap://host:port``, ``ldaps://host:port`` or ``ldapi://%2Fpath`` (RFC 4516, a socket).

    ``anchors`` is the file with the roots that its certificate must lead to, ``certificate`` and ``key``
    ours for TLS.  Without TLS only this machine is spoken to.
    """

    uri: str
    start_tls: bool = False
    anchors: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    timeout_seconds: float = 10.0

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-server``, ``no-anchors`` or ``plain-directory``."""
        server = _SERVER.fullmatch(self.uri)
        if len(self.uri) > _MAX_URI or not (server or _SOCKET.fullmatch(self.uri)):
            raise Misuse(
                "bad-server",
                "a directory is written ldap://host:port, ldaps:// or ldapi://",
                uri=self.uri[:80],
            )
        if self.protected and self.anchors is None:
            raise Misuse("no-anchors", "TLS needs the roots that the server's certificate must lead to")
        if (self.certificate is None) is not (self.key is None):
            raise Misuse("no-key", "a certificate for TLS goes with its key")
        if server and not self.protected and not _loopback(server[2]):
            raise Misuse(
                "plain-directory", "beyond this machine a directory is spoken to by TLS", uri=self.uri
            )

    @property
    def protected(self) -> bool:
        """Whether TLS is spoken."""
        return self.start_tls or self.uri.startswith("ldaps:")


@dataclass(frozen=True, kw_only=True)
class Login:
    """Who asks: a name with its password's file, whom the server knows otherwise (SASL EXTERNAL), or nobody.

    EXTERNAL is by our certificate for TLS or, at a socket, by our user of the machine (RFC 4422, A).
    """

    dn: str = ""
    password_file: Path | None = None
    external: bool = False

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-login``: without a password a name is nobody (RFC 4513, 5.1.2)."""
        if bool(self.dn) is not (self.password_file is not None) or (self.external and self.dn):
            raise Misuse("bad-login", "give a name with its password file, or say that it is external")


NOBODY: Final = Login()


def origin_of(uri: str) -> str:
    """A server as origins are compared: scheme, host and port."""
    match = _SERVER.fullmatch(uri.lower())
    if match is None:
        return uri
    return f"{match[1]}://{match[2]}:{match[3] or PORTS[match[1]]}"


def _loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
