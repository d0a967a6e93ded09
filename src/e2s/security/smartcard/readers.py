"""Cards in readers, by PC/SC: told apart by their serials, never by the names of readers.

The PIN's state is the card's, whoever asks: so a card is taken for oneself, and reset when it is left.
pyscard is the extra ``card``; without it there are only software cards at their sockets.
"""

from __future__ import annotations

from contextlib import suppress
from types import ModuleType
from typing import Any, Final, NamedTuple

from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.security.smartcard.host import CardHost

_REMOVED: Final = "the card was drawn: insert it, and give the PIN again"


class Found(NamedTuple):
    """A card in a reader; ``serial`` in hexadecimal, empty where it has none."""

    reader: str
    serial: str


class ReaderWay:
    """To the card in a reader; nobody else uses it until :meth:`close`."""

    selected = False

    def __init__(self, reader: str) -> None:
        """Raises :class:`Unreachable` ``no-card``, ``card-busy`` and ``no-readers``."""
        scard = _scard()
        self._scard = scard
        self._context = _context(scard)
        either = scard.SCARD_PROTOCOL_T1 | scard.SCARD_PROTOCOL_T0
        code, self._card, self._protocol = scard.SCardConnect(
            self._context, reader, scard.SCARD_SHARE_EXCLUSIVE, either
        )
        if code != scard.SCARD_S_SUCCESS:
            scard.SCardReleaseContext(self._context)
            if code == scard.SCARD_E_SHARING_VIOLATION:
                raise Unreachable("card-busy", "another program uses this card", reader=reader)
            raise Unreachable("no-card", "there is no card in this reader", reader=reader)
        self._open = True

    def transmit(self, octets: bytes) -> bytes:
        """The card's answer; raises :class:`Refusal` ``card-removed``, and from then on always."""
        if not self._open:
            raise Refusal("card-removed", _REMOVED)
        scard = self._scard
        pci = scard.SCARD_PCI_T1 if self._protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
        code, answer = scard.SCardTransmit(self._card, pci, list(octets))
        if code != scard.SCARD_S_SUCCESS or not answer:
            self.close()
            raise Refusal("card-removed", _REMOVED)
        return bytes(answer)

    def close(self) -> None:
        """Reset the card, which forgets the PIN, and let others use it."""
        if self._open:
            self._open = False
            self._scard.SCardDisconnect(self._card, self._scard.SCARD_RESET_CARD)
            self._scard.SCardReleaseContext(self._context)


def cards() -> list[Found]:
    """The PIV cards that are in readers and free; raises :class:`Unreachable` ``no-readers``."""
    scard = _scard()
    context = _context(scard)
    try:
        code, names = scard.SCardListReaders(context, [])
    finally:
        scard.SCardReleaseContext(context)
    found = []
    for name in names if code == scard.SCARD_S_SUCCESS else ():
        with suppress(Unreachable, Refusal):
            found.append(Found(reader=name, serial=_serial(name)))
    return found


def way_to(serial: str) -> ReaderWay:
    """The way to the card of this serial (hexadecimal); raises :class:`Unreachable` ``no-such-card``."""
    for one in cards():
        if one.serial == serial.lower():
            return ReaderWay(one.reader)
    raise Unreachable("no-such-card", "this card is in no reader, or in use", serial=serial)


def _serial(reader: str) -> str:
    way = ReaderWay(reader)
    try:
        host = CardHost(way)
        try:
            return host.serial().hex()
        except Refusal as refusal:
            if refusal.rule != "no-serial":
                raise
            return ""
    finally:
        way.close()


def _scard() -> ModuleType:
    try:
        from smartcard import scard  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415
    except ImportError as error:
        raise Misuse("no-pyscard", "install e2s[card] to use cards in readers") from error
    module: ModuleType = scard
    return module


def _context(scard: Any) -> Any:
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if code != scard.SCARD_S_SUCCESS:
        raise Unreachable("no-readers", "PC/SC does not answer: is pcscd running?")
    return context
