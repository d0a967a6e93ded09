"""To prove possession costs more than to issue: a second process verifies requests while this one goes on.

It gets nothing but requests, and says of each whether its signature is good.  Without it, or when it dies,
all is verified here.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from e2s.base.errors import Refusal
from e2s.security.certificates.possession import Proven, prove_here, read_proven

#: Smaller groups are verified here.
LEAST: Final = 8
TIMEOUT_SECONDS: Final = 30
_MAX_BYTES: Final = 64 * 1024 * 1024
_SIZE: Final = struct.Struct(">I")
_COMMAND: Final = "from e2s.security.pki.proving import serve; serve()"
_GOOD: Final = b""


class Prover:
    """Reads requests as ``possession.prove_here`` does, with a process beside."""

    def __init__(self, *, here: float = 0.5) -> None:
        """``here``: which part of a group is verified here meanwhile.

        The process starts with the first group that it is for.
        """
        self._here = here
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, requests: Sequence[bytes]) -> list[Proven | Refusal]:
        """For each request its key, or why it proves nothing."""
        half = int(len(requests) * self._here)
        asked = self.begin(requests[half:]) if len(requests) >= LEAST else None
        if asked is None:
            return prove_here(requests)
        mine = prove_here(requests[:half])
        return mine + [
            read_here(one) if refusal is None else refusal
            for one, refusal in zip(requests[half:], asked(), strict=True)
        ]

    def begin(self, requests: Sequence[bytes]) -> Callable[[], list[Refusal | None]] | None:
        """Let the process beside verify all of them; what is given back takes its answer, and must be called.

        That is why each proves nothing, or None.  None instead where the process has other work.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            self._ask(requests)
        except BaseException as error:
            self._end()
            self._lock.release()
            if isinstance(error, OSError):
                return None
            raise
        return lambda: self._finish(requests)

    def _finish(self, requests: Sequence[bytes]) -> list[Refusal | None]:
        """What the other process says; where it died, all of it is verified here."""
        try:
            rules = self._answer(len(requests))
        except (OSError, EOFError):
            self._end()
            rules = [b"unsaid"] * len(requests)
        finally:
            self._lock.release()
        return [None if rule == _GOOD else _refused(one) for one, rule in zip(requests, rules, strict=True)]

    @property
    def pid(self) -> int:
        """The process beside, or 0 while there is none."""
        process = self._process
        return process.pid if process else 0

    def close(self) -> None:
        """End the process; it starts anew when it is needed."""
        with self._lock:
            self._end()

    def _ask(self, requests: Sequence[bytes]) -> None:
        if self._socket is None:
            ours, theirs = socket.socketpair()
            with theirs:
                ours.settimeout(TIMEOUT_SECONDS)
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _COMMAND],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._socket = ours
        _send(self._socket, requests)

    def _answer(self, count: int) -> list[bytes]:
        if self._socket is None:
            raise EOFError
        rules = list(_received(self._socket))
        if len(rules) != count:
            raise EOFError
        return rules

    def _end(self) -> None:
        held, process = self._socket, self._process
        self._socket = self._process = None
        if held is not None:
            held.close()
        if process is not None:
            process.kill()
            process.wait()


def read_here(request: bytes) -> Proven | Refusal:
    """The key of a request whose signature is verified elsewhere, or why it cannot be read."""
    try:
        return read_proven(request)
    except Refusal as refusal:
        return refusal


def _refused(request: bytes) -> Refusal | None:
    """Why a request that the other process does not find good proves nothing."""
    proven = prove_here((request,))[0]
    return proven if isinstance(proven, Refusal) else None


def _send(held: socket.socket, parts: Sequence[bytes]) -> None:
    framed = b"".join(_SIZE.pack(len(one)) + one for one in parts)
    held.sendall(_SIZE.pack(len(framed)) + framed)


def _received(held: socket.socket) -> Iterator[bytes]:
    """The parts of one message; raises :class:`EOFError` when the other end is gone."""
    whole = _exactly(held, _SIZE.unpack(_exactly(held, _SIZE.size))[0])
    place = 0
    while place < len(whole):
        (size,) = _SIZE.unpack_from(whole, place)
        place += _SIZE.size + size
        if place > len(whole):
            raise EOFError
        yield whole[place - size : place]


def _exactly(held: socket.socket, size: int) -> bytes:
    if size > _MAX_BYTES:
        raise EOFError
    found = bytearray()
    while len(found) < size:
        more = held.recv(size - len(found))
        if not more:
            raise EOFError
        found += more
    return bytes(found)


def serve() -> None:
    """The process: say of each request whether it is good, until the socket ends."""
    held = socket.socket(fileno=os.dup(0))
    with contextlib.suppress(EOFError, OSError):
        while True:
            read = prove_here(list(_received(held)))
            _send(held, [one.rule.encode() if isinstance(one, Refusal) else _GOOD for one in read])
