"""What each door of enrolment adds: its rate with 16 in flight beside that of the plain act behind it.

A process holds an open CA, the desk and its doors.  The plain act is ``desk.ask`` by 16 threads of that
process; a door is asked by 16 connections from another one.  Both certify new keys, durable in the same
registers, by one invitation; requests are made before anything is timed.
"""

from __future__ import annotations

import json
import secrets
import select
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from bench.figure import Figure
from e2s.base.instants import SystemClock
from e2s.network.sessions.client import HttpExchange
from e2s.network.sessions.tls import client_context
from e2s.security.certificates.certify import request
from e2s.security.cmp.answers import NULL
from e2s.security.cmp.header import Header
from e2s.security.cmp.message import Part
from e2s.security.cmp.pieces import Information
from e2s.security.cmp.protection import Shared, protected_message
from e2s.security.cmp.vocabulary import IMPLICIT_CONFIRM, MEDIA_TYPE, Body
from e2s.security.enrolment.asking import Asked, Invited, Issued
from e2s.security.enrolment.invitations import code_of
from e2s.security.enrolment.policy import shipped
from e2s.security.est import bodies
from e2s.security.est.asking import basic
from e2s.security.keys.generation import generate
from e2s.security.scep.messages import Kind
from tests.worlds.scep import Device, request_of

HERE = Path(__file__).parent
IN_FLIGHT, EACH, ROUNDS = 16, 320, 7
NAME = "urn:e2s:market:alpha:anna"
USES = 1_000_000


def made(number: int, name: str = NAME) -> list[bytes]:
    """Requests of as many new keys."""
    return [request(generate("p256-sha256", secrets.token_bytes), (name,)) for _ in range(number)]


# ------------------------------------------------------------------ the process of CA, desk and doors


def serve(folder: Path, doors: Sequence[str], *, tls: bool) -> None:
    """Say where the doors are and how to come in; carry out the plain act as often as told."""
    from tests.worlds.enrolment import World  # noqa: PLC0415 - of this process alone

    world = World(folder, clock=SystemClock(), policy=replace(shipped(), uses=USES))
    reference, secret = world.invite("component", (NAME,), uses=USES)
    shown = world.desk.show(reference, secret)
    with world.served(*doors, tls=tls, workers=1) as served:
        here = {"port": served.port, "reference": reference, "secret": secret.decode()}
        print(json.dumps({**here, "root": world.pki.root.pem.decode()}), flush=True)
        for line in sys.stdin:
            requests = made(int(line))
            print(_plain(world.desk.ask, shown, requests), flush=True)


def _plain(ask: Callable[[Asked], object], shown: Invited, requests: list[bytes]) -> float:
    """The seconds that it takes by as many threads as are in flight."""
    started = threading.Barrier(IN_FLIGHT + 1)
    asked = [
        Asked(door="plain", transaction=secrets.token_bytes(16), request=one, shown=shown) for one in requests
    ]

    def work(place: int) -> None:
        started.wait()
        for one in asked[place::IN_FLIGHT]:
            assert isinstance(ask(one), Issued)

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        working = [pool.submit(work, place) for place in range(IN_FLIGHT)]
        started.wait()
        begin = time.perf_counter()
        for one in working:
            one.result()
    return time.perf_counter() - begin


@dataclass(frozen=True, kw_only=True)
class Site:
    """The doors, and who is invited to them."""

    port: int
    reference: str
    secret: bytes
    root: bytes
    told: IO[str]
    said: IO[str]

    def plain(self, number: int) -> float:
        """The seconds that the plain act takes so many times."""
        self.told.write(f"{number}\n")
        self.told.flush()
        return float(self.said.readline())


@contextmanager
def site(folder: Path, *doors: str, tls: bool = False, module: str = "bench.enrolment") -> Iterator[Site]:
    """Doors that ``module`` makes, in a process of their own, on the disk that figures are measured on."""
    command = [sys.executable, "-m", module, str(folder), "tls" if tls else "plain", *doors]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HERE.parent, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        here = json.loads(process.stdout.readline())
        yield Site(
            port=here["port"],
            reference=here["reference"],
            secret=here["secret"].encode(),
            root=here["root"].encode(),
            told=process.stdin,
            said=process.stdout,
        )
        process.terminate()


# ------------------------------------------------------------------ who asks


def load(port: int, messages: Sequence[bytes], context: ssl.SSLContext | None = None) -> float:
    """The seconds that messages take by as many connections as are in flight, each answered by 200.

    With a ``context`` they are of TLS, open before anything is timed.
    """
    waiting, poll, sockets, parts = iter(messages), select.epoll(), {}, {}
    for _ in range(IN_FLIGHT):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            one = context.wrap_socket(one, server_hostname="localhost")
            one.settimeout(0)
        poll.register(one, select.EPOLLIN)
        sockets[one.fileno()], parts[one.fileno()] = one, b""
    begin = time.perf_counter()
    busy = set(sockets)
    for one in sockets.values():
        one.sendall(next(waiting))
    while busy:
        for number, _ in poll.poll():
            parts[number] += _come(sockets[number])
            if not _whole(parts[number]):
                continue
            parts[number] = b""
            following = next(waiting, None)
            if following is None:
                busy.discard(number)
            else:
                sockets[number].sendall(following)
    taken = time.perf_counter() - begin
    for one in sockets.values():
        one.close()
    poll.close()
    return taken


def _come(one: socket.socket) -> bytes:
    """What has come; of TLS nothing, where it was a ticket or half a record."""
    try:
        octets = one.recv(65_536)
        while isinstance(one, ssl.SSLSocket) and one.pending():
            octets += one.recv(65_536)
    except ssl.SSLWantReadError:
        return b""
    return octets


def _whole(octets: bytes) -> bool:
    head = octets.find(b"\r\n\r\n")
    if head < 0:
        return False
    if not octets.startswith(b"HTTP/1.1 200"):
        raise AssertionError(octets[:300])
    at = octets.index(b"content-length: ") + 16
    return len(octets) >= head + 4 + int(octets[at : octets.index(b"\r\n", at)])


def posted(path: str, body: bytes, **headers: str) -> bytes:
    """One request as it goes over the wire."""
    head = {"host": "localhost", "content-length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


# ------------------------------------------------------------------ the figures


def measured(
    name: str, here: Site, prepared: Callable[[], object], act: Callable[[object], float], limit: float = 0.5
) -> Figure:
    """A door's rate in that of the plain act: ``act`` takes what was ``prepared``, and says its seconds."""
    here.plain(EACH)
    act(prepared())
    ratios, ours, bare = [], [], []
    for _ in range(ROUNDS):
        ready = prepared()
        bare.append(here.plain(EACH))
        ours.append(act(ready))
        ratios.append(bare[-1] / ours[-1])
    detail = {"plain_s": EACH / statistics.median(bare), "door_s": EACH / statistics.median(ours)}
    return Figure(
        name=f"enrolment.{name}",
        value=statistics.median(ratios),
        limit=limit,
        better="higher",
        detail={**detail, "rounds": ROUNDS, "each": EACH},
    )


def rounds() -> Iterator[Figure]:
    disk = HERE.parent / "build"
    disk.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=disk) as folder, site(Path(folder), "enrol") as here:
        bearer = f"Bearer {code_of(here.reference, here.secret)}"

        def prepared() -> list[bytes]:
            return [posted("/enrol/pkcs10", one, authorization=bearer) for one in made(EACH)]

        yield measured("page", here, prepared, lambda messages: load(here.port, messages))  # type: ignore[arg-type]
    yield from _est(disk)
    yield from _scep(disk)
    yield from _cmp(disk)


def _est(disk: Path) -> Iterator[Figure]:
    """EST over TLS that stays open."""
    with TemporaryDirectory(dir=disk) as folder, site(Path(folder), "est", tls=True) as here:
        context = client_context(here.root)
        headers = {"authorization": basic(here.reference, here.secret), "content_type": bodies.REQUEST}

        def prepared() -> list[bytes]:
            path = "/.well-known/est/simpleenroll"
            return [posted(path, bodies.written(one), **headers) for one in made(EACH)]

        yield measured("est", here, prepared, lambda messages: load(here.port, messages, context))  # type: ignore[arg-type]


def _cmp(disk: Path) -> Iterator[Figure]:
    """CMP: requests of PKCS #10 protected by the invitation's secret, confirmed implicitly."""
    with TemporaryDirectory(dir=disk) as folder, site(Path(folder), "cmp") as here:

        def prepared() -> list[bytes]:
            at = SystemClock().now()
            return [posted("/cmp", cmp_message(here, one, at), content_type=MEDIA_TYPE) for one in made(EACH)]

        yield measured("cmp", here, prepared, lambda messages: load(here.port, messages))  # type: ignore[arg-type]


def cmp_message(here: Site, octets: bytes, at: datetime) -> bytes:
    """A p10cr that asks for implicit confirmation."""
    header = Header(
        time=at,
        transaction=secrets.token_bytes(16),
        nonce=secrets.token_bytes(16),
        information=(Information(IMPLICIT_CONFIRM, NULL),),
    )
    shared = Shared(reference=here.reference.encode(), secret=here.secret, random=secrets.token_bytes)
    return protected_message(header, Part(Body.P10CR, octets), shared)


def _scep(disk: Path) -> Iterator[Figure]:
    """SCEP, of which two operations with RSA keys of 3,072 bits are the door's own."""
    with TemporaryDirectory(dir=disk) as folder, site(Path(folder), "scep") as here:
        exchange = HttpExchange()
        device = Device(lambda one: exchange.send(f"http://127.0.0.1:{here.port}", one), SystemClock().now())
        exchange.close()
        asked = request_of(device.key, NAME, code_of(here.reference, here.secret))

        def prepared() -> list[bytes]:
            path = "/scep?operation=PKIOperation"
            messages = [
                device.message(Kind.REQUEST, asked, transaction=secrets.token_hex(16).encode())
                for _ in range(EACH)
            ]
            return [posted(path, one, content_type="application/x-pki-message") for one in messages]

        found = measured("scep", here, prepared, lambda messages: load(here.port, messages), 0.5)  # type: ignore[arg-type]
        yield found
        # of the same work: the plain act, and the two operations that nobody who speaks SCEP can leave out
        both = _opened_and_signed(device.key) * EACH
        plain_s, door_s = EACH / found.detail["plain_s"], EACH / found.detail["door_s"]
        yield replace(found, name="enrolment.scep-with-rsa", value=(plain_s + both) / door_s, limit=0.5)


def _opened_and_signed(key: RSAPrivateKey) -> float:
    """The seconds of one decryption and one signature."""
    sealed = key.public_key().encrypt(bytes(32), PKCS1v15())
    taken = []
    for _ in range(30):
        begin = time.perf_counter()
        key.decrypt(sealed, PKCS1v15())
        key.sign(b"x", PKCS1v15(), SHA256())
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[3:], tls=sys.argv[2] == "tls")
