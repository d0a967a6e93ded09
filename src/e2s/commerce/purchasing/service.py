"""Purchasing's doors: links from the outside (page, login, record) and from the catalogue (publication).

The outside carries records that it cannot read; who may speak at which door is said by the link's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from e2s.base.errors import Refusal
from e2s.base.http import Request, Response
from e2s.base.instants import Clock
from e2s.commerce.purchasing.acts import Purchasing
from e2s.commerce.purchasing.counter import KEY
from e2s.crypto import oids
from e2s.network.sessions.doors import inside
from e2s.network.sessions.link import Door, LinkDoor
from e2s.network.sessions.merchant import Sessions
from e2s.security.keys.key_handler import KeyClient

AGREEMENT_KEY = "merchant-agreement"


class PurchasingService:
    """The component: sessions and publications in front of the same acts."""

    def __init__(
        self,
        *,
        purchasing: Purchasing,
        sessions: Sessions,
        me: str,
        outside: str,
        catalogue: str,
        keys: Mapping[str, bytes],
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        """``outside`` and ``catalogue`` name the linked components; ``keys`` their link keys."""
        self.purchasing = purchasing
        self.sessions = sessions
        doors: dict[str, Door] = {
            path: _only(outside, door) for path, door in inside(sessions, purchasing.serve).items()
        }
        doors["/publish"] = _only(catalogue, lambda _peer, body: purchasing.shelf.publish(body))
        self._door = LinkDoor(me, keys, doors, clock, random)

    def handle(self, request: Request) -> Response:
        """One sealed request of a linked component."""
        return self._door.handle(request)

    def tick(self) -> None:
        """Sessions end and trades move by time."""
        self.sessions.sweep()
        self.purchasing.tick()

    def close(self) -> None:
        """Forget session keys, give the database back."""
        self.sessions.close()
        self.purchasing.counter.store.close()


def _only(name: str, door: Door) -> Door:
    """The door, for this one linked component."""

    def guarded(peer: str, body: bytes) -> bytes:
        if peer != name:
            raise Refusal("link-wrong-peer", "this door is for another component", component=peer)
        return door(peer, body)

    return guarded


def opens_logins(keys: KeyClient) -> Callable[[bytes], bytes]:
    """The port of sessions that opens E_M{login}: by the key handler, an act and nothing else."""

    def open_envelope(envelope: bytes) -> bytes:
        kind, content = keys.open(AGREEMENT_KEY, envelope)
        if kind != oids.ACT:
            raise Refusal("bad-envelope", "a login is an act in an envelope")
        return content

    return open_envelope


def signs_logins(keys: KeyClient) -> Callable[..., bytes]:
    """The port of sessions that signs login answers as the merchant, by the key handler."""
    return lambda document, over: keys.sign_document(KEY, document, over)
