"""Where a certificate says that its issuer's lists, answers and certificate are found."""

from __future__ import annotations

from dataclasses import dataclass

from e2s.base.errors import Misuse

_MAX_SHARDS = 65_536
_MAX_URL = 255


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

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-places``."""
        if not 1 <= self.shards <= _MAX_SHARDS:
            raise Misuse("bad-places", "a CA has 1 to 65536 shards", shards=self.shards)
        for url in (self.base, self.ocsp, self.cps):
            # a list is fetched without TLS as well as with it: it is signed
            if url and (
                not url.startswith(("http://", "https://"))
                or len(url) > _MAX_URL
                or not url.isascii()
                or not url.isprintable()
                or " " in url
            ):
                raise Misuse("bad-places", "a place is a URL of http or https", url=url[:_MAX_URL])
        if self.base.endswith("/"):
            raise Misuse("bad-places", "an origin ends without a slash", url=self.base)
        if self.deltas and not self.base:
            raise Misuse("bad-places", "the freshest list lies at a repository, which must be named")

    def shard(self, serial: int) -> int | None:
        """Which list the certificate of that serial stands on; None where there is one list for all."""
        return serial % self.shards if self.shards > 1 else None


#: Certificates that name no place.
NOWHERE = Places()
