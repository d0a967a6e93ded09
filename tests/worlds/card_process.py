"""A card as a process: ``python -m tests.worlds.card_process FOLDER [reader]``; it tells when it answers.

Without a card in FOLDER one is made first, with the codes of :mod:`tests.worlds.card`; ``reader`` puts it into
the virtual reader, otherwise it answers at its socket.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
from pathlib import Path

from e2s.security.smartcard import folder, making, piv, running
from tests.worlds.card import MANAGEMENT, PIN, PUK

#: That of a new YubiKey, since its tool proves no other by itself.
USUAL = bytes.fromhex("010203040506070801020304050607080102030405060708")


def main(path: Path, *, reader: bool) -> None:
    if not (path / folder.MEMORY).exists():
        key, algorithm = (USUAL, piv.TDES) if reader else (MANAGEMENT, piv.AES256)
        made = making.blank(
            secrets.token_bytes(16), pin=PIN, puk=PUK, management=key, management_algorithm=algorithm
        )
        folder.make(path, made, secrets.token_bytes)
    held = folder.CardFolder(path, secrets.token_bytes)
    card = running.Card(held.kept, secrets.token_bytes)
    if reader:
        print("ready", flush=True)
        card.insert()
    else:
        card.serve(path / folder.SOCKET, lambda: print("ready", flush=True))


def start(path: Path, *more: str) -> subprocess.Popen[str]:
    """The process, once it answers."""
    command = [sys.executable, "-m", "tests.worlds.card_process", str(path), *more]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


class Wire:
    """The other end of a card's socket."""

    def __init__(self, path: Path) -> None:
        self.held = socket.socket(socket.AF_UNIX)
        self.held.settimeout(20)
        self.held.connect(str(path))
        self.told = self._frame()

    def transmit(self, octets: bytes) -> bytes:
        self.held.sendall(len(octets).to_bytes(4, "big") + octets)
        return self._frame()

    def close(self) -> None:
        self.held.close()

    def _frame(self) -> bytes:
        size = int.from_bytes(self._exactly(4), "big")
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self.held.recv(size - len(found))
            if not more:
                raise EOFError
            found += more
        return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), reader="reader" in sys.argv[2:])
