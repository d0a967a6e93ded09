"""The ways to a card: a software card's socket, one in this process, and secure messaging over any way."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from e2s.base.errors import Refusal, Unreachable
from e2s.security.smartcard import apdu, piv, tlv
from e2s.security.smartcard.apdu import Answer, Command
from e2s.security.smartcard.host import Way, transmitted
from e2s.security.smartcard.messaging import SUITES, Channel, Offer
from e2s.security.smartcard.running import MAX_FRAME

_SECONDS: Final = 30.0


def _removed() -> Refusal:
    return Refusal("card-removed", "the card was drawn: insert it, and give the PIN again")


class SocketWay:
    """To the card whose process answers at a socket; :attr:`atr` is what it told of itself."""

    selected = False

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


class SecureWay:
    """Secure messaging over another way, which learns nothing of what it carries."""

    selected = True

    def __init__(
        self, way: Way, suite: int, signer: ec.EllipticCurvePublicKey, random: Callable[[int], bytes]
    ) -> None:
        """``signer`` certifies the issuer's cards; afterwards :attr:`serial` is this one's.

        Raises :class:`Refusal` ``no-secure-messaging``, ``foreign-card``, ``bad-card-certificate``.
        """
        self._way = way
        self._channel: Channel | None = None
        self._parts = b""
        offer = Offer(SUITES[suite], signer, random)
        self._plain(Command(ins=0xA4, p1=4, data=piv.AID, expected=256))
        data = tlv.write(0x7C, tlv.write(0x81, offer.sent) + tlv.write(0x82, b""))
        answer = self._plain(Command(ins=0x87, p1=suite, p2=piv.MESSAGING, data=data, expected=256))
        if not answer.good:
            way.close()
            raise Refusal(
                "no-secure-messaging", "the card has no key for this", status=f"{answer.status:04X}"
            )
        try:
            told = tlv.members(tlv.inside(answer.data, 0x7C)).get(0x82, b"")
            self.serial, self._channel = offer.accepted(told)
        except BaseException:
            way.close()
            raise

    def transmit(self, octets: bytes) -> bytes:
        """The card's answer, whole; raises :class:`Refusal` ``channel-broken`` where somebody altered it."""
        if self._channel is None:
            raise _removed()
        part = apdu.read_command(octets)
        self._parts += part.data
        if part.cla & apdu.CHAINED:
            return Answer().encoded()  # what is protected crosses in parts of its own
        whole, self._parts = replace(part, data=self._parts), b""
        answer = self._plain(self._channel.sealed_command(whole))
        if not answer.good:
            self.close()
            raise Refusal("channel-broken", "the card ended the session", status=f"{answer.status:04X}")
        try:
            return self._channel.opened_answer(answer.data).encoded()
        except Refusal:
            self.close()
            raise

    def close(self) -> None:
        """Leave the card."""
        self._channel = None
        self._way.close()

    def _plain(self, command: Command) -> Answer:
        return transmitted(self._way, command)


class HereWay:
    """To a card of this process: ``transmit`` is :meth:`Card.applet`'s."""

    selected = False

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
