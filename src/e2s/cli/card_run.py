"""``e2s card make``, ``run``: the software card."""

from __future__ import annotations

import secrets
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli.card_ways import PinFile, PukFile, code_of
from e2s.cli.report import say
from e2s.security.keys.phrase import phrase_from_file
from e2s.security.smartcard import codes, folder, making, piv, running

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The card's folder.")]


def make(
    card: Folder,
    management_file: Annotated[
        Path,
        typer.Option("--management-file", metavar="FILE", help="Holds the management key in hexadecimal."),
    ],
    pin_file: PinFile = None,
    puk_file: PukFile = None,
    keep_keys: Annotated[
        bool, typer.Option("--keep-keys", help="Keep its keys where PIN and PUK are both blocked.")
    ] = False,
) -> None:
    """Make a software card: a folder with a card's memory, without keys yet.

    Whoever has the folder has the card, but for its PIN: keep it where only its holder reads.
    """
    try:
        management = bytes.fromhex(phrase_from_file(management_file).octets.decode("ascii"))
    except ValueError as error:
        raise Misuse("bad-card-codes", "the management key is 64 hexadecimal digits") from error
    memory = making.blank(
        secrets.token_bytes(16),
        pin=code_of(pin_file, "PIN").octets,
        puk=code_of(puk_file, f"PUK, {codes.SIZE} characters").octets,
        management=management,
        management_algorithm=piv.AES256,
        erase_when_blocked=not keep_keys,
    )
    folder.make(card, memory, secrets.token_bytes)
    say(f"card {memory.serial.hex()} in {card}")


def run(
    card: Folder,
    reader: Annotated[
        bool, typer.Option("--reader", help="Be in vsmartcard's virtual reader too, for PC/SC programs.")
    ] = False,
    port: Annotated[
        int, typer.Option("--reader-port", metavar="N", min=1, max=65535, help="Of the reader, on loopback.")
    ] = running.READER_PORT,
) -> None:
    """Be the card until SIGTERM: to end the process is to draw the card.

    Programs of the same user reach it at the folder's socket; --reader lets PC/SC programs use it.
    """
    running.keep_secret()
    held = folder.CardFolder(card, secrets.token_bytes)
    made = running.Card(held.kept, secrets.token_bytes)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: made.close())
    if reader:
        inserted = threading.Thread(target=made.insert, kwargs={"port": port}, daemon=True)
        inserted.start()
    try:
        made.serve(card / folder.SOCKET, lambda: say(f"card {held.kept.memory.serial.hex()} answers"))
    finally:
        held.close()
