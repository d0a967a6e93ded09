"""What the commands of ``e2s card`` share: which card is meant, and how a PIN is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.security.keys.phrase import Phrase, phrase_from_file, phrase_from_prompt
from e2s.security.smartcard.folder import SOCKET
from e2s.security.smartcard.host import CardHost, Way
from e2s.security.smartcard.ways import SocketWay

CardFolder = Annotated[
    Path | None, typer.Option("--card", metavar="DIR", help="The folder of a software card that runs.")
]
Serial = Annotated[
    str, typer.Option("--serial", metavar="HEX", help="The serial of a card in a reader (its end will do).")
]
PinFile = Annotated[
    Path | None, typer.Option("--pin-file", metavar="FILE", help="Holds the PIN; else a prompt.")
]
PukFile = Annotated[
    Path | None, typer.Option("--puk-file", metavar="FILE", help="Holds the PUK; else a prompt.")
]
NewPinFile = Annotated[
    Path | None, typer.Option("--new-pin-file", metavar="FILE", help="Holds the new PIN; else asked twice.")
]


def way_to(card: Path | None, serial: str) -> Way:
    """The way to the card that is meant: a software card's, that of a serial, or the only one in a reader."""
    if card is not None:
        if serial:
            raise Misuse("which-card", "name a folder or a serial, not both")
        return SocketWay(card / SOCKET)
    from e2s.security.smartcard import readers

    found = [one for one in readers.cards() if one.serial.endswith(serial.lower())]
    if len(found) != 1:
        told = (
            "name it with --serial, or --card for a software card" if found else "insert one, or name --card"
        )
        raise Misuse("which-card", f"there are {len(found)} such cards in readers: {told}")
    return readers.ReaderWay(found[0].reader)


def host_of(card: Path | None, serial: str) -> CardHost:
    """The card that is meant, PIV selected."""
    return CardHost(way_to(card, serial))


def code_of(file: Path | None, purpose: str) -> Phrase:
    """A PIN or PUK from its file, or asked for."""
    return phrase_from_file(file) if file else phrase_from_prompt(f"{purpose}: ")


def new_pin(file: Path | None) -> Phrase:
    """A new PIN from its file, or asked for twice."""
    if file is not None:
        return phrase_from_file(file)
    first = phrase_from_prompt("New PIN, six to eight digits: ")
    second = phrase_from_prompt("The same again: ")
    if first.octets != second.octets:
        raise Misuse("pins-differ", "the two PINs are not the same")
    second.wipe()
    return first
