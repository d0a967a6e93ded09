"""What the ACME door adds: order, finalisation and certificate, three signed requests, beside the plain act.

Account and authorisation are there.  A client of 16 connections in a process of its own signs each request as
it goes, as it must: the server's nonces and the order's number are in it.  The hosts' proof is by word, and
the door's bound on requests of one address is lifted.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from bench.enrolment import EACH, IN_FLIGHT, USES, _plain, _whole, made, measured, posted, site
from bench.figure import Figure
from e2s.base import wire
from e2s.base.instants import SystemClock
from e2s.base.wire import b64u
from e2s.crypto import jose
from e2s.network.sessions.client import HttpExchange
from e2s.network.sessions.server import Served, listen
from e2s.security.acme.client import AcmeClient
from e2s.security.acme.messages import JOSE
from e2s.security.acme.service import AcmeDoor, Bounds
from e2s.security.acme.validation import HTTP
from e2s.security.enrolment.policy import shipped
from e2s.security.repository.rates import Rates

HERE = Path(__file__).parent
HOST, NAME = "shop.alpha.example", "urn:e2s:market:alpha:anna"
FREE = Bounds(rates=Rates(each=1e9, total=1e9))


def serve(folder: Path) -> None:
    """Say where the door is and how to come in; carry out the plain act as often as told."""
    from tests.worlds.enrolment import World  # noqa: PLC0415 - of this process alone

    world = World(folder, clock=SystemClock(), policy=replace(shipped(), uses=USES))
    shown = world.desk.show(*world.invite("component", (NAME,), uses=USES))
    reference, secret = world.invite("tls-server", (HOST,), uses=1)
    listening = listen()
    port = listening.getsockname()[1]
    listening.close()
    setting = world.setting(origin=f"http://127.0.0.1:{port}")
    door = AcmeDoor(world.desk, setting, bounds=FREE, validate=lambda _: None)
    with Served(door, port=port, threads=IN_FLIGHT, quick=door.quick):
        here = {"port": port, "reference": reference, "secret": secret.decode()}
        print(json.dumps({**here, "root": world.pki.root.pem.decode()}), flush=True)
        for line in sys.stdin:
            requests = made(int(line))
            print(_plain(world.desk.ask, shown, requests), flush=True)


class _Silent:
    """A responder whose word is taken."""

    kind = HTTP

    def show(self, _proof: object) -> None: ...

    def hide(self, _proof: object) -> None: ...


@dataclass
class _Line:
    """One connection, where it is in its three requests, and its nonce."""

    socket: socket.socket
    nonce: str
    request: bytes = b""
    step: int = 0
    parts: bytes = b""


class _Client:
    """An account with an authorisation, and connections that ask for certificates under it."""

    def __init__(self, port: int, reference: str, secret: bytes) -> None:
        self.port, self.base = port, f"http://127.0.0.1:{port}/acme"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.acme = AcmeClient(
            exchange=HttpExchange(),
            directory=f"{self.base}/directory",
            key=self.key,
            pause=lambda _: time.sleep(0.01),
        )
        self.acme.register(binding=(reference, secret))
        self.acme.prove(self.acme.order([HOST]), _Silent())
        self.order = wire.encode({"identifiers": [{"type": "dns", "value": HOST}]})

    def load(self, requests: list[bytes]) -> float:
        """The seconds that certificates for ``requests`` take, fetched."""
        waiting, poll, lines = iter(requests), select.epoll(), {}
        for _ in range(IN_FLIGHT):
            one = socket.create_connection(("127.0.0.1", self.port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(one, select.EPOLLIN)
            lines[one.fileno()] = _Line(one, self.acme._taken_nonce())  # noqa: SLF001
        begin, busy = time.perf_counter(), len(lines)
        for line in lines.values():
            self._begin(line, next(waiting))
        while busy:
            for number, _ in poll.poll():
                line = lines[number]
                line.parts += line.socket.recv(65_536)
                if not _whole(line.parts.replace(b" 201 ", b" 200 ", 1)):
                    continue
                if self._answered(line):
                    following = next(waiting, None)
                    if following is None:
                        busy -= 1
                    else:
                        self._begin(line, following)
        taken = time.perf_counter() - begin
        for line in lines.values():
            line.socket.close()
        poll.close()
        return taken

    def _begin(self, line: _Line, request: bytes) -> None:
        line.request, line.step = request, 0
        self._send(line, "/acme/new-order", self.order)

    def _answered(self, line: _Line) -> bool:
        """Go on to the next request; whether the certificate is here."""
        head, _, body = line.parts.partition(b"\r\n\r\n")
        line.parts = b""
        at = head.index(b"replay-nonce: ") + 14
        line.nonce = head[at : head.index(b"\r\n", at) if b"\r\n" in head[at:] else len(head)].decode()
        line.step += 1
        if line.step == 1:
            path = json.loads(body)["finalize"].removeprefix(self.base)
            self._send(line, f"/acme{path}", wire.encode({"csr": b64u(line.request)}))
        elif line.step == 2:
            path = json.loads(body)["certificate"].removeprefix(self.base)
            self._send(line, f"/acme{path}", b"")
        else:
            assert body.startswith(b"-----BEGIN CERTIFICATE-----")
        return line.step == 3

    def _send(self, line: _Line, path: str, payload: bytes) -> None:
        url = f"http://127.0.0.1:{self.port}{path}"
        header = {"nonce": line.nonce, "url": url, "kid": self.acme.account}
        line.socket.sendall(posted(path, jose.sign(header, payload, self.key), content_type=JOSE))


def rounds() -> Iterator[Figure]:
    disk = HERE.parent / "build"
    disk.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=disk) as folder, site(Path(folder), module="bench.enrolment_acme") as here:
        client = _Client(here.port, here.reference, here.secret)

        def act(requests: Any) -> float:
            return client.load(requests)

        yield measured("acme", here, lambda: made(EACH, HOST), act)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
