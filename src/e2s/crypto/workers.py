"""Where throughput matters, processes sign: threads of one process do not add up, its workers do.

:class:`SigningWorkers` is a :class:`~e2s.crypto.ports.Signer` like any other.  The key reaches each worker
by a socket that it inherits, never by arguments, environment or disk; a worker ends when its socket does,
so it outlives nobody.  A worker that dies gives a refusal, and another takes its place.
"""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import socket
import struct
import subprocess
import sys
import threading
from types import TracebackType
from typing import Any, Final, Self

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.openers import check_pair
from e2s.crypto.suites import (
    SignatureSuite,
    check_suite,
    signature_suite,
    signature_suite_of,
)

MAX_DATA_BYTES: Final = 256 * 1024 * 1024
#: More than one for each processor serves nobody.
MAX_WORKERS: Final = 256
TIMEOUT_SECONDS: Final = 30
_STOP_SECONDS: Final = 5
_COMMAND: Final = "from e2s.crypto.workers import serve; serve()"
_SIZE: Final = struct.Struct(">I")
#: In place of a suite's name: the worker opens.
OPENING: Final = "open"
_CHUNK: Final = 64 * 1024


class _Died(Exception):
    """The worker gave no answer."""


class _Worker:
    """One process and our end of its socket; used by one thread at a time, stopped by any."""

    def __init__(self, timeout_seconds: int) -> None:
        self._timeout = struct.pack("@qq", timeout_seconds, 0)
        self._lock = threading.Lock()
        self._stopped = False
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process, or 0 while there is none."""
        process = self._process
        return process.pid if process else 0

    def start(self) -> None:
        """A new process in place of any other, which waits for its order; raises :class:`_Died`."""
        with self._lock:
            self._end(0)
            if self._stopped:
                raise _Died
            ours, theirs = socket.socketpair()
            with theirs:
                self._socket = ours
                # a receive that waits too long ends by itself, without a poll before each
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, self._timeout)
                try:
                    self._process = subprocess.Popen(
                        [sys.executable, "-P", "-c", _COMMAND],
                        stdin=theirs.fileno(),
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        start_new_session=True,  # what a terminal sends is for our process alone
                    )
                except OSError as error:
                    raise _Died from error

    def exchange(self, data: bytes) -> bytes:
        """The worker's answer to ``data``; raises :class:`_Died`."""
        held = self._socket
        if held is None:
            raise _Died
        try:
            held.sendall(_SIZE.pack(len(data)) + data)
            return _received(held)
        except (OSError, EOFError) as error:
            raise _Died from error

    def drop(self) -> None:
        """End the process, whose answer nobody heard: the next one must not be taken for it."""
        with self._lock:
            self._end(0)

    def stop(self) -> None:
        """End the process for good, and whatever waits for it."""
        with self._lock:
            self._stopped = True
            self._end(_STOP_SECONDS)

    def _end(self, patience_seconds: int) -> None:
        """Close the socket, which ends the worker; kill it if it does not; leave no zombie."""
        held, process = self._socket, self._process
        self._socket = self._process = None
        if held is not None:
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)  # wakes who waits for an answer
            held.close()
        if process is not None:
            try:
                process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Workers:
    """Processes that each do one thing with a key; each answer has an octet at least.

    What is done is in the classes beneath.
    """

    def __init__(self, order: bytes, count: int, timeout_seconds: int) -> None:
        """``order`` is what a worker must know first: how, and the key."""
        self._order = order
        self._closed = False
        self._workers = tuple(_Worker(timeout_seconds) for _ in range(count))
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._start()

    def _start(self) -> None:
        try:
            for worker in self._workers:
                worker.start()
            for worker in self._workers:
                worker.exchange(self._order)
                self._idle.put(worker)
        except _Died as error:
            self.close()
            raise Refusal("worker-died", "no process could be started that signs") from error

    def answer(self, data: bytes) -> bytes:
        """What whichever worker is free first makes of ``data``."""
        worker = self._idle.get()
        try:
            self._check_open()
            answer = worker.exchange(data)
            if not answer:
                raise _Died
            return answer
        except _Died as error:
            with contextlib.suppress(_Died):  # then the next who asks is refused, and it is tried again
                worker.start()
                worker.exchange(self._order)
            self._check_open()
            raise Refusal("worker-died", "the process that holds the key gave no answer") from error
        except BaseException:
            worker.drop()
            raise
        finally:
            self._idle.put(worker)

    @property
    def pids(self) -> tuple[int, ...]:
        """The workers' process ids; 0 for one that could not be started again."""
        return tuple(worker.pid for worker in self._workers)

    def close(self) -> None:
        """End every worker; afterwards, and for whoever waits, signing is refused."""
        self._closed = True
        self._order = b""
        for worker in self._workers:
            worker.stop()

    def _check_open(self) -> None:
        if self._closed:
            raise Refusal("workers-closed", "the workers that signed were closed")

    def __enter__(self) -> Self:
        """Itself, to be closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class SigningWorkers(Workers):
    """A signer whose key works in ``count`` processes at once, for as many threads as ask."""

    def __init__(
        self,
        certificate: Certificate,
        chain: tuple[Certificate, ...],
        private_key: PrivateKey,
        *,
        count: int = 2,
        suite: SignatureSuite | None = None,
        timeout_seconds: int = TIMEOUT_SECONDS,
    ) -> None:
        """Start the workers; ``suite`` is the key's default if not said.

        Raises what :class:`~e2s.crypto.keys.KeySigner` does, :class:`Misuse` ``worker-count``, and
        :class:`Refusal` ``worker-died`` where none can be started.
        """
        check_count(count)
        check_pair(certificate, private_key)
        self.certificate = certificate
        self.chain = chain
        self.suite = suite or signature_suite_of(private_key)
        check_suite(self.suite, certificate.public_key, certificate.spki)
        super().__init__(order_of(self.suite.name, private_key), count, timeout_seconds)

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``, by whichever worker is free first.

        Raises :class:`Refusal` ``worker-died`` when it gave none (ask again: another is there) and
        ``workers-closed``; :class:`Misuse` ``too-large``.
        """
        if len(data) > MAX_DATA_BYTES:
            raise Misuse("too-large", "the octets are more than a worker signs", size=len(data))
        meter.count("sign")
        return self.answer(data)


def check_count(count: int) -> None:
    """Raise :class:`Misuse` ``worker-count`` for none or hundreds."""
    if not 1 <= count <= MAX_WORKERS:
        raise Misuse("worker-count", "there is a worker at least, and not hundreds", count=count)


def order_of(name: str, key: PrivateKey) -> bytes:
    """What a worker must know first: the suite's name, or that it opens, and the key (RFC 5958)."""
    octets = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return name.encode() + b"\0" + octets


def _received(held: socket.socket) -> bytes:
    """One message; raises :class:`EOFError` when the other end is gone."""
    found = held.recv(_CHUNK)
    while len(found) < _SIZE.size:
        found += _more(held)
    size = _SIZE.unpack_from(found)[0]
    if not len(found) <= _SIZE.size + size <= _SIZE.size + MAX_DATA_BYTES:
        raise EOFError
    if len(found) == _SIZE.size + size:
        return found[_SIZE.size :]
    whole = bytearray(found[_SIZE.size :])
    while len(whole) < size:
        whole += _more(held)
    if len(whole) > size:
        raise EOFError
    return bytes(whole)


def _more(held: socket.socket) -> bytes:
    found = held.recv(_CHUNK)
    if not found:
        raise EOFError
    return found


def serve() -> None:
    """A worker: read the order, then sign whatever comes, until the socket ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a key is in this memory
    held = socket.socket(fileno=os.dup(0))
    with contextlib.suppress(EOFError, OSError):
        name, _, octets = _received(held).partition(b"\0")
        key = load_der_private_key(octets, None)
        del octets
        held.sendall(_SIZE.pack(0))
        if name.decode() == OPENING:
            from e2s.crypto.opening_workers import open_all  # noqa: PLC0415 - most workers sign

            open_all(key, lambda: _received(held), lambda answer: held.sendall(framed(answer)))
        else:
            _sign_all(held, signature_suite(name.decode()), key)


def _sign_all(held: socket.socket, suite: SignatureSuite, key: Any) -> None:
    while True:
        held.sendall(framed(suite.sign(key, _received(held))))


def framed(answer: bytes) -> bytes:
    """An answer as it is sent: its size, and it."""
    return _SIZE.pack(len(answer)) + answer
