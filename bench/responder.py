"""How quickly the OCSP responder answers over HTTP, 32 queries in flight, beside its server's constant bytes.

The responder is a process of its own; the constant bytes are an answer of it, given at another path of
the same server to the very same queries, and both at once, in the loop's own thread.
``responder.p99-million`` compares the slowest hundredth of the answers of a responder that knows a
million certificates with that of one that knows a thousand: plain queries about a thousand of them, whose
answers are held ready, and queries with a nonce about all; the worse ratio of the two. Its detail tells
as ``first`` the same of plain queries about all: most of the million's answers are made as they are asked
for, while the thousand's are held ready.
"""

from __future__ import annotations

import base64
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.figure import Figure
from e2s.base.database import Database, driver_of
from e2s.base.http import Request, Response
from e2s.base.instants import SystemClock
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner, read_private_key
from e2s.network.sessions.server import Server, listen
from e2s.security.status import store
from e2s.security.status.answers import cert_id
from e2s.security.status.queries import write_query
from e2s.security.status.responder import QUERY, Answering, Responder
from tests.worlds.pki import make_pki

IN_FLIGHT, ROUNDS, SECONDS = 32, 15, 0.3
SMALL, LARGE = 1_000, 1_000_000
PLAIN, NONCED, FIRST, CONSTANT = "plain", "nonced", "first", "/constant"


# ------------------------------------------------------------------ the server's process


def serve(home: Path) -> None:
    """Two responders, of a thousand certificates and of a million, and constant bytes beside them."""
    ca = Certificate.read((home / "ca.pem").read_bytes())
    own = Certificate.read((home / "ocsp.pem").read_bytes())
    signer = KeySigner(own, (), read_private_key((home / "ocsp.key").read_bytes()))
    doors, clock = {}, SystemClock()
    for size in (SMALL, LARGE):
        database = Database.open(home / f"{size}.sqlite", store.TABLES)
        answering = Answering(most_behind=timedelta(days=1))
        responder = Responder(database, clock=clock, answering=answering, prefix=f"/{size}")
        responder.speak(ca, signer)
        with database.transaction() as connection:
            responder.apply(connection, ca, (), clock.now())
        doors[f"/{size}"] = responder.handle
    asked = write_query((cert_id(ca, _serials(SMALL)[0]),))
    response = doors[f"/{SMALL}"](Request("GET", f"/{SMALL}{_path(asked)}"))
    doors[CONSTANT] = partial(_constant, Response(200, response.body, response.headers))

    def handle(request: Request) -> Response:
        return doors["/" + request.path.split("/", 2)[1]](request)

    server = Server(handle, listen(), quick=lambda _request: True)  # as the responder's queries are
    server.run(lambda: print(server.port, flush=True))


def _constant(response: Response, _request: Request) -> Response:
    return response


# ------------------------------------------------------------------ who asks


class Load:
    """Connections that each have one query in flight, by the cheapest means there are."""

    def __init__(self, port: int, server: int) -> None:
        #: Seconds of the processor that the server spent on each answer of the last run.
        self.spent = 0.0
        self._times = Path(f"/proc/{server}/stat")
        self.poll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        for _ in range(IN_FLIGHT):
            one = socket.create_connection(("127.0.0.1", port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.poll.register(one, select.EPOLLIN)
            self.sockets[one.fileno()] = one

    def run(self, requests: Iterable[bytes], seconds: float) -> list[float]:
        """The seconds that each answer took, for about ``seconds``."""
        begin = self._processor()
        waiting, taken, since, parts = iter(requests), [], {}, dict.fromkeys(self.sockets, b"")
        now = time.perf_counter()
        end = now + seconds
        for number, one in self.sockets.items():
            since[number] = now
            one.sendall(next(waiting))
        while since:
            for number, _ in self.poll.poll():
                one = self.sockets[number]
                octets = parts[number] + one.recv(65_536)
                if not _whole(octets):
                    parts[number] = octets
                    continue
                parts[number] = b""
                now = time.perf_counter()
                taken.append(now - since.pop(number))
                if now < end:
                    since[number] = now
                    one.sendall(next(waiting))
        self.spent = (self._processor() - begin) / len(taken)
        return taken

    def _processor(self) -> float:
        fields = self._times.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        for one in self.sockets.values():
            one.close()
        self.poll.close()


def _whole(octets: bytes) -> bool:
    head = octets.find(b"\r\n\r\n")
    if head < 0:
        return False
    if not octets.startswith(b"HTTP/1.1 200"):
        raise AssertionError(octets[:200])
    at = octets.index(b"content-length: ") + 16
    return len(octets) >= head + 4 + int(octets[at : octets.index(b"\r\n", at)])


def _path(octets: bytes) -> str:
    return "/" + quote(base64.b64encode(octets).decode(), safe="")


def _get(door: str, octets: bytes) -> bytes:
    return f"GET {door}{_path(octets)} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()


def _post(door: str, octets: bytes) -> bytes:
    head = (
        f"POST {door} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {QUERY}\r\ncontent-length: {len(octets)}"
    )
    return head.encode() + b"\r\n\r\n" + octets


def _forever(made: Sequence[bytes], random: Random) -> Iterator[bytes]:
    while True:
        yield random.choice(made)


# ------------------------------------------------------------------ the figures


def rounds() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        ca = _prepare(home)
        command = [sys.executable, "-m", "bench.responder", str(home)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as process:
            assert process.stdout is not None
            load = Load(int(process.stdout.readline()), process.pid)
            try:
                yield from _figures(load, ca)
            finally:
                load.close()
                process.terminate()


def _figures(load: Load, ca: Certificate) -> Iterator[Figure]:
    random = Random(1)
    asked = {
        (size, kind): [
            write_query((cert_id(ca, one),), random.randbytes(32) if kind == NONCED else None)
            for one in random.sample(_serials(size), SMALL if kind == PLAIN else min(size, 40_000))
        ]
        for size in (SMALL, LARGE)
        for kind in (PLAIN, NONCED, FIRST)
    }
    for size in (SMALL, LARGE):
        warm = [_get(f"/{size}", one) for one in asked[size, PLAIN]]
        for start in range(0, SMALL, IN_FLIGHT):
            load.run((warm * 2)[start : start + IN_FLIGHT], 0)
    for name, kind, least in (("preproduced", PLAIN, 0.8), ("on-demand", NONCED, 0.4)):
        sent = _get if kind == PLAIN else _post
        ours = [sent(f"/{SMALL}", one) for one in asked[SMALL, kind]]
        bare = [sent(CONSTANT, one) for one in asked[SMALL, kind]]
        yield _compared(load, name, least, ours, bare)
    yield _p99(load, asked)


def _compared(load: Load, name: str, least: float, ours: list[bytes], bare: list[bytes]) -> Figure:
    random, ratios, rates = Random(2), [], []
    spent: tuple[list[float], list[float]] = [], []
    for requests in (ours, bare):
        load.run(_forever(requests, random), SECONDS)
    for _ in range(ROUNDS):
        mine, base = (_answered(load, requests, random, spent[n]) for n, requests in enumerate((ours, bare)))
        ratios.append(mine / base)
        rates.append((mine / SECONDS, base / SECONDS))
    detail: dict[str, float] = {
        "per_second": statistics.median(one for one, _ in rates),
        "constant_per_second": statistics.median(one for _, one in rates),
        "by_processor_time": statistics.mean(spent[1]) / statistics.mean(spent[0]),
        "in_flight": IN_FLIGHT,
        "rounds": ROUNDS,
    }
    return Figure(
        name=f"responder.{name}", value=statistics.median(ratios), limit=least, better="higher", detail=detail
    )


def _answered(load: Load, requests: list[bytes], random: Random, spent: list[float]) -> int:
    count = len(load.run(_forever(requests, random), SECONDS))
    spent.append(load.spent)
    return count


def _p99(load: Load, asked: dict[tuple[int, str], list[bytes]]) -> Figure:
    detail: dict[str, float] = {}
    ratios = {}
    for kind, sent in ((PLAIN, _get), (NONCED, _post), (FIRST, _get)):
        slow: dict[int, list[float]] = {SMALL: [], LARGE: []}
        for turn in range(ROUNDS):
            for size in (SMALL, LARGE):
                random = Random(turn)
                made = [
                    sent(f"/{size}", one)
                    for one in random.sample(asked[size, kind], min(len(asked[size, kind]), 8_000))
                ]
                taken = sorted(load.run(_forever(made, random), SECONDS))
                slow[size].append(taken[len(taken) * 99 // 100])
        few, many = (1000 * statistics.median(slow[size]) for size in (SMALL, LARGE))
        detail |= {f"{kind}_thousand_ms": few, f"{kind}_million_ms": many}
        ratios[kind] = many / few
    return Figure(
        name="responder.p99-million",
        value=max(ratios[PLAIN], ratios[NONCED]),
        limit=2.0,
        detail=detail | ratios,
    )


# ------------------------------------------------------------------ what is known


def _serials(size: int) -> list[int]:
    random = Random(size)
    return sorted(random.getrandbits(127) | 1 << 127 for _ in range(size))


def _prepare(home: Path) -> Certificate:
    """A CA, its delegate, and two databases of statuses."""
    clock = SystemClock()
    pki = make_pki(at=clock.now())
    own, _, key = pki.issue("ocsp-responder", "urn:e2s:market:ca:ocsp")
    (home / "ca.pem").write_bytes(pki.operating.pem)
    (home / "ocsp.pem").write_bytes(own.pem)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (home / "ocsp.key").write_bytes(pem)
    for size in (SMALL, LARGE):
        database = Database.open(home / f"{size}.sqlite", store.TABLES)
        with database.transaction() as connection:
            driver = driver_of(connection)
            driver.execute("INSERT INTO status_ca VALUES (1, ?, ?)", (pki.operating.digest, size))
            rows = ((1, one.to_bytes(16, "big"), 1, None) for one in _serials(size))
            driver.executemany("INSERT INTO status (ca, serial, known, entry) VALUES (?, ?, ?, ?)", rows)
        database.close()
    return pki.operating


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
