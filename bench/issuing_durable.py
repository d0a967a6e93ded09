"""The durable path: proof of possession, profile, lint, register, event, with 32 requests in flight.

They come as a CA gets them, by the eight threads of a door, four in a message; ``one_each`` in the detail is
the ratio when 32 threads ask for one each.  ``issuing.durable`` is the rate in bare P-256 signatures of one
process.  ``issuing.million`` is the rate with a million certificates in the register in that with a thousand;
what the index of a large register costs now and then is added by its share.
"""

from __future__ import annotations

import secrets
import statistics
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.figure import Figure, seconds
from e2s.base.database import Database, driver_of
from e2s.base.instants import SystemClock
from e2s.base.rights import TableAuthoriser
from e2s.crypto.certificates import serial_number
from e2s.crypto.keys import KeySigner
from e2s.security.certificates.certify import Wish, certify, certify_root, request
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.profiles import profile
from e2s.security.keys.generation import generate
from e2s.security.pki import finding, store
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.orders import Order
from e2s.security.pki.proving import Prover
from e2s.security.pki.queue import IssueQueue

HERE = Path(__file__).parent
OFFICER = "urn:e2s:market:authority"
IN_FLIGHT, THREADS, EACH, ROUNDS = 32, 8, 24, 7
SMALL, LARGE, AT_ONCE = 1_000, 1_000_000, finding.WAITING // 2


def rounds() -> Iterator[Figure]:
    disk = HERE.parent / "build"
    disk.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=disk) as folder:
        small, large = _Bench(Path(folder) / "small"), _Bench(Path(folder) / "large")
        small.fill(SMALL)
        yield _durable(small)
        filling = time.perf_counter()
        large.fill(LARGE)
        filling = time.perf_counter() - filling
        yield _million(small, large, filling)
        small.close()
        large.close()


def _durable(bench: _Bench) -> Figure:
    key, data = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(600)
    bench.run()
    ours, one_each, bare = [], [], []
    for _ in range(ROUNDS):
        bare.append(seconds(lambda: key.sign(data, ec.ECDSA(hashes.SHA256())), 2_000))
        ours.append(bench.run())
        one_each.append(bench.run(IN_FLIGHT))
    ratio = statistics.median(b / o for b, o in zip(bare, ours, strict=True))
    detail = {
        "issued_per_second": 1 / statistics.median(ours),
        "signed_per_second": 1 / statistics.median(bare),
        "in_flight": IN_FLIGHT,
        "one_each": statistics.median(b / o for b, o in zip(bare, one_each, strict=True)),
    }
    return Figure(name="issuing.durable", value=ratio, limit=0.12, better="higher", detail=detail)


def _million(small: _Bench, large: _Bench, filling: float) -> Figure:
    index = large.index_seconds()
    few, many = [], []
    large.run()
    for _ in range(ROUNDS):
        few.append(small.run())
        many.append(large.run() + index)
    ratio = statistics.median(f / m for f, m in zip(few, many, strict=True))
    detail = {
        "with_thousand_us": 1e6 * statistics.median(few),
        "with_million_us": 1e6 * statistics.median(many),
        "index_us": 1e6 * index,
        "filling_seconds": filling,
    }
    return Figure(name="issuing.million", value=ratio, limit=0.9, better="higher", detail=detail)


class _Bench:
    """One CA with its register on disk."""

    def __init__(self, folder: Path) -> None:
        at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        key = generate("p256-sha256", secrets.token_bytes)
        wish = Wish(
            profile=profile("root"),
            names=(),
            subject=distinguished(community="market", common="root"),
            public_key=key.public_key(),
        )
        root = KeySigner(certify_root(wish, key, serial=serial_number(secrets.token_bytes), at=at), (), key)
        own = generate("p256-sha256", secrets.token_bytes)
        wish = Wish(
            profile=profile("operating-ca"),
            names=(OFFICER,),
            subject=distinguished(community="market", party="authority", common="ca"),
            public_key=own.public_key(),
        )
        certificate = certify(wish, root, serial=serial_number(secrets.token_bytes), at=at)
        self.prover = Prover()
        self.authority = Authority(
            KeySigner(certificate, (), own),
            Database.open(folder / "register.sqlite", store.TABLES),
            kind="operating-ca",
            component="ca",
            clock=SystemClock(),
            random=secrets.token_bytes,
            authoriser=TableAuthoriser(frozenset({(OFFICER, RIGHTS.certify, "ca")})),
            prove=self.prover,
        )
        self.queue = IssueQueue(self.authority)

    def close(self) -> None:
        self.queue.close()
        self.authority.close()
        self.prover.close()

    def run(self, threads: int = THREADS) -> float:
        """Seconds for each certificate, 32 in flight; their requests were made before."""
        size = IN_FLIGHT // threads
        orders = [[[_order() for _ in range(size)] for _ in range(EACH)] for _ in range(threads)]
        asking = [threading.Thread(target=self._ask, args=(some,)) for some in orders]
        start = time.perf_counter()
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        return (time.perf_counter() - start) / (IN_FLIGHT * EACH)

    def _ask(self, messages: list[list[Order]]) -> None:
        for orders in messages:
            self.queue.issue_ders(orders)

    def fill(self, count: int) -> None:
        """Certificates of the size of real ones straight into the register and its index."""
        (der,) = self.authority.issue_ders([_order()])
        assert isinstance(der, bytes)
        for start in range(0, count, AT_ONCE):
            self._add(min(AT_ONCE, count - start), der)
            self._settle()

    def index_seconds(self) -> float:
        """What the index costs for each certificate: as many as wait are put into it."""
        self._add(AT_ONCE, secrets.token_bytes(700))
        return self._settle() / AT_ONCE

    def _add(self, count: int, der: bytes) -> None:
        with self.authority.database.transaction() as connection:
            number = store.last_change(connection)
            values = {"number": number, "count": count, "der": der}
            for statement in _FILL:
                driver_of(connection).execute(statement, values)

    def _settle(self) -> float:
        """Put all that waits into the index; seconds."""
        authority = self.authority
        with authority.database.reading() as connection:
            authority.finder.ids(connection, 0)
        start = time.perf_counter()
        with authority.database.transaction() as connection:
            while authority.finder.settle(connection):
                pass
        return time.perf_counter() - start


#: As the store inserts them, of the same sizes; the register of the bench has nothing but issues.
_ROWS = (
    "WITH RECURSIVE row(n) AS (SELECT :number + 1 UNION ALL SELECT n + 1 FROM row WHERE n < :number + :count)"
)
_FILL = (
    f"""{_ROWS} INSERT INTO certificates
        (id, serial, profile, use, name, spki, at, shard, registration, approval, not_after, der)
        SELECT n, randomblob(16), 'buyer', 'sign', 'urn:e2s:market:alpha:person-' || n, randomblob(32),
        1700000000, NULL, 'c-0123456789', x'', 1900000000, :der FROM row""",
    f"{_ROWS} INSERT INTO changes (number, kind, certificate) SELECT n, 0, n FROM row",
)
_COUNT = iter(range(10**9))


def _order() -> Order:
    name = f"urn:e2s:market:alpha:person-{next(_COUNT)}"
    asked = request(generate("p256-sha256", secrets.token_bytes), (name,))
    case = sha256(asked).hexdigest()[:12]
    return Order(profile="buyer", key=asked, names=(name,), officer=OFFICER, case=case)
