"""What revocation costs as a CA's list grows: the act, the list, its memory, and the look-up in it.

``revocation.act`` is one revocation, durable and with its event, with a hundred thousand revoked in one with
a hundred.  ``revocation.list-million`` is a complete list of a million, from the register to the register, in
one of a hundred thousand; ``revocation.list-memory`` the most that making it added to its process, in sizes
of the list, and ``revocation.index-memory`` the same of reading it, checking it and looking certificates up;
``revocation.look-up`` a look-up in it in one in a list of ten thousand.  The act is measured on a disk; lists
in memory, since how fast fifty megabytes reach a disk says nothing of the work.
"""

from __future__ import annotations

import resource
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from bench.figure import Figure, in_turn, seconds
from e2s.base import prepared
from e2s.base.database import Database
from e2s.base.instants import SystemClock
from e2s.base.rights import TableAuthoriser
from e2s.security.pki import store
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.feed import Kind
from e2s.security.status.entries import Entry, encode
from e2s.security.status.lists import write_list
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.revoked import Revoked
from tests.worlds.pki import START, make_pki

HERE = Path(__file__).parent
OFFICER = "urn:e2s:market:authority"
FEW, MANY, MOST = 100, 100_000, 1_000_000
ROUNDS, ACTS, LISTS, LOOK_UPS = 15, 40, 5, 1_000
AT_ONCE = 50_000
_KIB = 1024


def rounds() -> Iterator[Figure]:
    disk = HERE.parent / "build"
    disk.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=disk) as folder:
        home = Path(folder)
        few, many = Register.filled(home / "few", FEW), Register.filled(home / "many", MANY)
        yield _act(few, many)
        for one in (few, many):
            one.authority.close()
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else disk) as folder:
        home = Path(folder)
        many, most = (Register.filled(home / str(size), size, whole=False) for size in (MANY, MOST))
        (home / "list.crl").write_bytes(most.authority.crl())
        many.authority.crl()
        for one in (many, most):
            one.authority.close()
        yield _list(home / str(MANY), home / str(MOST))
        yield _memory("list-memory", "make", home / str(MOST))
        yield _memory("index-memory", "read", home / "list.crl")
        yield _look_up(home / "list.crl", most.listed)


class Register:
    """A CA with so many revoked certificates, and some that are not."""

    def __init__(self, folder: Path) -> None:
        pki = make_pki(at=SystemClock().now())
        self.random = Random(folder.name)
        self.listed: list[int] = []
        self.serials: list[int] = []
        self.authority = Authority(
            pki.operating_ca.signer,
            Database.open(folder / "register.sqlite", store.TABLES),
            kind="operating-ca",
            component="ca",
            clock=SystemClock(),
            random=secrets.token_bytes,
            authoriser=TableAuthoriser(frozenset({(OFFICER, RIGHTS.revoke, "ca")})),
        )

    @classmethod
    def filled(cls, folder: Path, revoked: int, *, whole: bool = True) -> Register:
        """With ``revoked`` revoked certificates; ``whole``: as issued and revoked, and others to revoke."""
        made = cls(folder)
        for start in range(0, revoked, AT_ONCE):
            made.listed = made._fill(start, min(AT_ONCE, revoked - start), whole=whole)[:LOOK_UPS]
        if whole:
            made.serials = made._issued((ROUNDS + 1) * ACTS)
            made._settle()
        return made

    def act(self) -> None:
        self.authority.revoke(self.serials.pop(), "keyCompromise", officer=OFFICER)

    def _issued(self, count: int) -> list[int]:
        """Certificates straight into the register."""
        serials = [self.random.getrandbits(127) | 1 << 127 for _ in range(count)]
        with self.authority.database.transaction() as connection:
            store.issued(connection, [_row(one) for one in serials])
        return serials

    def _fill(self, start: int, count: int, *, whole: bool) -> list[int]:
        """Revoked certificates, from row ``start`` on, as the act leaves them."""
        at = SystemClock().now()
        serials = self._issued(count) if whole else [self.random.getrandbits(127) for _ in range(count)]
        entries = [encode(Entry(one, at, "superseded")) for one in serials]
        kept = {"at": store.seconds(at), "reason": "superseded", "invalidity": None, "not_after": 2**31}
        with self.authority.database.transaction() as connection:
            first = store.last_change(connection) + 1 if whole else start + 1
            told = [
                {"certificate": start + n + 1, "number": first + n, "shard": None, "entry": entry}
                for n, entry in enumerate(entries)
            ]
            if whole:
                kind = Kind.REVOKED.value
                changes = [
                    {"number": row["number"], "certificate": row["certificate"], "kind": kind} for row in told
                ]
                prepared.add_all(connection, store.CHANGES, changes)
                prepared.add_all(connection, store.WITHDRAWALS, told)
            rows = [{**row, **kept, "retired": 0} for row in told]
            prepared.add_all(connection, store.REVOCATIONS, rows)
        return serials

    def _settle(self) -> None:
        authority = self.authority
        waiting = True
        while waiting:
            with authority.database.transaction() as connection:
                authority.finder.ids(connection, 0)
                waiting = bool(authority.finder.settle(connection))


def _row(serial: int) -> dict[str, object]:
    return {
        "serial": store.serial_octets(serial),
        "profile": "buyer",
        "use": "sign",
        "name": "urn:e2s:market:alpha:somebody",
        "spki": secrets.token_bytes(32),
        "at": 1_700_000_000,
        "shard": None,
        "registration": "case",
        "approval": b"",
        "not_after": 2**31,
        "der": b"certificate",
    }


def _act(few: Register, many: Register) -> Figure:
    for one in (few, many):
        seconds(one.act, ACTS)
    ratios, times = [], []
    for _ in range(ROUNDS):
        small, large = seconds(few.act, ACTS), seconds(many.act, ACTS)
        ratios.append(large / small)
        times.append((small, large))
    detail = {
        "with_hundred_us": 1e6 * statistics.median(one for one, _ in times),
        "with_hundred_thousand_us": 1e6 * statistics.median(one for _, one in times),
        "rounds": ROUNDS,
        "times": ACTS,
    }
    return Figure(name="revocation.act", value=statistics.median(ratios), limit=1.2, detail=detail)


def _list(many: Path, most: Path) -> Figure:
    """Each list by a process of its own, as a CA makes one after half a day: nothing is warm."""
    times = [(_alone("make", many)[2], _alone("make", most)[2]) for _ in range(LISTS)]
    detail = {
        "of_hundred_thousand_ms": statistics.median(one for one, _ in times) / 1e3,
        "of_million_ms": statistics.median(one for _, one in times) / 1e3,
        "rounds": LISTS,
    }
    value = statistics.median(large / small for small, large in times)
    return Figure(name="revocation.list-million", value=value, limit=12, detail=detail)


# ------------------------------------------------------------------ memory and look-up


def _resident() -> int:
    """Octets of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _peak() -> int:
    """The most octets of this process that ever were."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * _KIB


def make(folder: Path) -> tuple[int, int, int]:
    """The size of the register's list, the most that making it added, and its microseconds."""
    register = Register(folder)
    before, start = _resident(), time.perf_counter()
    size = len(register.authority.crl())
    taken = time.perf_counter() - start
    return size, _peak() - before, int(1e6 * taken)


def read(file: Path) -> tuple[int, int, int]:
    """The size of a list, the most that reading, checking and searching it added, and its microseconds."""
    ca = make_pki().operating
    before, start = _resident(), time.perf_counter()
    index = CrlIndex.read(file.read_bytes())
    index.signed_by(ca)  # it is another's: what the check of a signature costs is the same
    found = sum(serial in index.revoked for serial in range(1, LOOK_UPS))
    taken = time.perf_counter() - start
    return len(index.der) + found, _peak() - before, int(1e6 * taken)


def _alone(act: str, path: Path) -> tuple[int, ...]:
    """What a process of its own says of an act."""
    command = [sys.executable, "-m", "bench.revocation", act, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE.parent)
    return tuple(map(int, done.stdout.split()))


def _memory(name: str, act: str, path: Path) -> Figure:
    size, grown, taken = _alone(act, path)
    detail = {"list_octets": size, "grown_octets": grown, "entries": MOST, "ms": taken / 1e3}
    return Figure(name=f"revocation.{name}", value=grown / size, limit=4, detail=detail)


def _look_up(file: Path, listed: list[int]) -> Figure:
    """As many look-ups of certificates that are listed as of ones that are not."""
    random = Random(3)
    some = [random.getrandbits(127) | 1 << 127 for _ in range(10_000)]
    octets = write_list(
        (encode(Entry(one, START, "superseded")) for one in some),
        make_pki().operating_ca.signer,
        number=1,
        at=START,
        until=START + timedelta(days=1),
    )
    small, large = CrlIndex.read(octets).revoked, CrlIndex.read(file.read_bytes()).revoked
    sought = {id(small): some[:LOOK_UPS], id(large): listed}

    def search(index: Revoked) -> None:
        for serial in sought[id(index)]:
            if index.get(serial) is None or index.get(serial ^ 1) is not None:
                raise AssertionError(serial)

    value, detail = in_turn(partial(search, large), partial(search, small), rounds=9, times=1)
    return Figure(
        name="revocation.look-up", value=value, limit=2, detail={**detail, "look_ups": 2 * LOOK_UPS}
    )


if __name__ == "__main__":
    print(*{"make": make, "read": read}[sys.argv[1]](Path(sys.argv[2])))
