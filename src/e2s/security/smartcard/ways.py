"""The ways to a card: a software card's socket, or one in this process."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from e2s.base.errors import Refusal, Unreachable
from e2s.security.smartcard.running import MAX_FRAME

_SECONDS: Final = 30.0


def _removed() -> Refusal:
    return Refusal("card-removed", "the card was drawn: insert it, and give the PIN again")


class SocketWay:
    """To the card whose process answers at a socket; :attr:`atr` is what it told of itself."""

    def __init__(self, path: Path) -> None:
        """Raises :class:`Unreachable` ``no-card`` where none answers."""
        self._held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._held.settimeout(_SECONDS)
        try:
            self._held.connect(str(path))
            self.atr = self._received()
        except (OSError, Refusal) as error:
            self._held.close()
            raise Unreachable("no-card", "no card answers here: is it running?", path=str(path)) from error

    def transmit(self, octets: bytes) -> bytes:
        """The card's answer; raises :class:`Refusal` ``card-removed``, and from then on always."""
        try:
            self._held.sendall(len(octets).to_bytes(4, "big") + octets)
            return self._received()
        except OSError as error:
            self.close()
            raise _removed() from error

    def close(self) -> None:
        """Leave the card."""
        with contextlib.suppress(OSError):
            self._held.close()

    def _received(self) -> bytes:
        size = int.from_bytes(self._exactly(4), "big")
        if size > MAX_FRAME:
            raise _removed()
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            more = self._held.recv(size - len(found))
            if not more:
                raise _removed()
            found += more
        return bytes(found)


class HereWay:
    """To a card of this process: ``transmit`` is :meth:`Card.applet`'s."""

    def __init__(self, transmit: Callable[[bytes], bytes]) -> None:
        """Until :meth:`close`."""
        self._transmit: Callable[[bytes], bytes] | None = transmit

    def transmit(self, octets: bytes) -> bytes:
        """The card's answer; raises :class:`Refusal` ``card-removed`` after :meth:`close`."""
        if self._transmit is None:
            raise _removed()
        return self._transmit(octets)

    def close(self) -> None:
        """Leave the card."""
        self._transmit = None
