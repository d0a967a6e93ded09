"""The card's process and the ways to it: a socket of its user's own, and the virtual reader of PC/SC.

Each way has a user of its own: what one was given the PIN for, another was not.  The socket checks who is at
its other end; frames have four octets of length, the reader's two.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from e2s.base.errors import Misuse, Unreachable
from e2s.security.smartcard.applet import ATR, Applet
from e2s.security.smartcard.session import Kept

#: The longest command or answer, with header and lengths.
MAX_FRAME: Final = 66 * 1024
#: Of vsmartcard's reader: its loopback address, and the port of its first slot.
READER_HOST, READER_PORT = "127.0.0.1", 35963
_OFF, _ON, _RESET, _ATR = 0, 1, 2, 4
#: PR_SET_DUMPABLE (prctl(2)).
_NOT_DUMPABLE: Final = 4
_CREDENTIALS: Final = struct.Struct("3i")


def keep_secret() -> None:
    """Let no core dump and no other process of the user's have this one's memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_NOT_DUMPABLE, 0, 0, 0, 0)


class Card:
    """One card with power; :meth:`close` draws it from every reader."""

    def __init__(self, kept: Kept, random: Callable[[int], bytes]) -> None:
        """``kept`` is its memory."""
        self._kept = kept
        self._random = random
        self._one = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False

    def applet(self) -> Callable[[bytes], bytes]:
        """A way to the card with a user of its own; what it sends is answered one at a time."""
        return self._way(self._used())

    def serve(self, path: Path, ready: Callable[[], None] = lambda: None) -> None:
        """Answer at the socket ``path`` until closed; raises :class:`Misuse` ``socket-taken``."""
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            mask = os.umask(0o177)
            try:
                listening.bind(str(path))
            except OSError as error:
                raise Misuse("socket-taken", "the card's socket cannot be made", path=str(path)) from error
            finally:
                os.umask(mask)
            listening.listen(16)
            self._hold(listening)
            ready()
            with contextlib.suppress(OSError):
                while not self._closed:
                    held, _ = listening.accept()
                    if _is_ours(held):
                        threading.Thread(target=self._serve_one, args=(held,), daemon=True).start()
                    else:
                        held.close()
        with contextlib.suppress(OSError):
            path.unlink()

    def insert(self, host: str = READER_HOST, port: int = READER_PORT) -> None:
        """Be in the virtual reader at ``host`` and ``port`` until closed; raises ``no-reader``."""
        try:
            held = socket.create_connection((host, port), timeout=10)
        except OSError as error:
            raise Unreachable("no-reader", "no virtual reader answers here", host=host, port=port) from error
        held.settimeout(None)
        self._hold(held)
        with held, contextlib.suppress(OSError, EOFError):
            held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            applet = self._used()
            transmit = self._way(applet)
            while True:
                frame = _receive(held, 2, quick=True)
                if len(frame) == 1:
                    if frame[0] in {_OFF, _ON, _RESET}:
                        with self._one:
                            applet.reset()
                    elif frame[0] == _ATR:
                        _send(held, 2, ATR)
                    continue
                _send(held, 2, transmit(frame))

    def close(self) -> None:
        """Draw the card: every way to it ends."""
        self._closed = True
        for held in list(self._open):
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
            held.close()

    def _used(self) -> Applet:
        return Applet(self._kept, self._random)

    def _way(self, applet: Applet) -> Callable[[bytes], bytes]:
        def transmit(octets: bytes) -> bytes:
            with self._one:
                return applet.transmit(octets)

        return transmit

    def _serve_one(self, held: socket.socket) -> None:
        """Tell what card it is, then answer."""
        self._hold(held)
        transmit = self.applet()
        try:
            with held, contextlib.suppress(OSError, EOFError):
                _send(held, 4, ATR)
                while True:
                    _send(held, 4, transmit(_receive(held, 4)))
        finally:
            self._open.discard(held)

    def _hold(self, held: socket.socket) -> None:
        self._open.add(held)
        if self._closed:
            held.close()


def _is_ours(held: socket.socket) -> bool:
    """Whether who is at the other end is this process's own user."""
    credentials = held.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(credentials)[1] == os.getuid())


def _send(held: socket.socket, width: int, frame: bytes) -> None:
    held.sendall(len(frame).to_bytes(width, "big") + frame)


def _receive(held: socket.socket, width: int, *, quick: bool = False) -> bytes:
    size = int.from_bytes(_exactly(held, width, quick=quick), "big")
    if size > MAX_FRAME:
        raise EOFError
    return _exactly(held, size, quick=quick)


def _exactly(held: socket.socket, size: int, *, quick: bool) -> bytes:
    found = bytearray()
    while len(found) < size:
        if quick:  # the reader sends length and frame apart, and waits for the first's acknowledgement
            held.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        more = held.recv(size - len(found))
        if not more:
            raise EOFError
        found += more
    return bytes(found)
