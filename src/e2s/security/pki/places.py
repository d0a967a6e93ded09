"""Where a certificate says that its issuer's lists, answers and certificate are found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Places:
    """``base`` is the repository's origin, ``ocsp`` the responder's URL, ``cps`` of the practice statement.

    A certificate names the list of its own shard of ``shards``; ``deltas``: it also names where the freshest
    list is (RFC 5280, 4.2.1.13, 4.2.1.15 and 4.2.2.1).  What is empty stands in no certificate.
    """

    base: str = ""
    ocsp: str = ""
    cps: str = ""
    shards: int = 1
    deltas: bool = False


#: Certificates that name no place.
NOWHERE = Places()
