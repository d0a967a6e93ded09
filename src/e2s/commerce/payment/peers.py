"""Banks and merchants know each other by contract: name, door, and the two certificates of each.

What is sealed to a peer is sealed only to a key that is certified, now, for that role and name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from e2s.base.errors import Misuse
from e2s.base.http import Exchange, Request, expect
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms import seal
from e2s.security.verification.trust import Trust


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One party in one role; ``origin`` is empty where it is never called."""

    role: str
    name: str
    signing: Certificate
    agreement: Certificate
    chain: tuple[Certificate, ...] = ()
    origin: str = ""

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-peer`` for certificates of another name or role."""
        if (
            oids.SIGNING[self.role] not in self.signing.ekus
            or oids.AGREEMENT[self.role] not in self.agreement.ekus
        ):
            raise Misuse("bad-peer", "a peer's certificates are those of its role", role=self.role)
        if self.name not in self.signing.names or self.name not in self.agreement.names:
            raise Misuse("bad-peer", "a peer's certificates carry its name", name=self.name)


def seal_to(
    peer: Peer,
    content: bytes,
    content_type: str,
    *,
    trust: Trust,
    at: datetime,
    random: Callable[[int], bytes],
) -> bytes:
    """An envelope that only ``peer`` opens; raises :class:`Refusal` when its certificate is not good now."""
    return seal_for(
        peer.agreement, peer.chain, peer.role, content, content_type, trust=trust, at=at, random=random
    )


def seal_for(
    agreement: Certificate,
    chain: Sequence[Certificate],
    role: str,
    content: bytes,
    content_type: str,
    *,
    trust: Trust,
    at: datetime,
    random: Callable[[int], bytes],
) -> bytes:
    """An envelope to an agreement certificate that is good, now, for ``role`` and its own name."""
    purpose = oids.AGREEMENT[role]
    trust.check_certificate(agreement, chain, purpose=purpose, name=agreement.name, at=at)
    return seal(content, content_type, [agreement], random)


def post(exchange: Exchange, peer: Peer, path: str, body: bytes) -> bytes:
    """The peer's answer; raises :class:`Unreachable`, or :class:`Refusal` in the peer's unsigned words."""
    return expect(exchange.send(peer.origin, Request("POST", path, body)), what=path)
