"""Publishing in a directory: entries a second, in those of ``ldapadd`` from an LDIF file of the same entries.

Two slapds of one configuration, each with a folder of its own: one is filled by ``ldapadd``, the other by a
publisher that follows a CA's register, notes what it takes, sends and forgets.  They take a slice each in
turn.

``directory.publishing`` is with slapds that do not wait for the disk at each entry (``dbnosync``), as one
loads many: then it is the work that is compared, and 100,000 entries take minutes.  ``directory.durable`` is
with slapds that wait, as they come.  ``directory.growth`` is what one withdrawal costs, from the register to
the answer, with all entries in what it costs with a thousand.  ``E2S_DIRECTORY_ENTRIES`` sets another number.
"""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figure import Figure
from e2s.security.directory.entries import Entry, Held, Role
from e2s.security.directory.sights import sight
from e2s.security.keys.generation import generate
from e2s.security.pki.orders import Order
from tests.worlds.directory import OFFICER, Published
from tests.worlds.slapd import SUFFIX, Server, program

HERE = Path(__file__).parent
ENTRIES = int(os.environ.get("E2S_DIRECTORY_ENTRIES", "100000"))
FEW, FIRST, SLICES, ISSUED_AT_ONCE, WITHDRAWN = 10, 1_000, 9, 250, 80
DURABLE, DURABLE_SLICES = 200, 7


def rounds() -> Iterator[Figure]:
    disk = HERE.parent / "build"
    disk.mkdir(exist_ok=True)
    for measured, extra in ((_publishing, "dbnosync\n"), (_durable, "")):
        with TemporaryDirectory(dir=disk) as folder, ExitStack() as closing:
            worlds = []
            for name in ("ours", "few"):
                server = Server(Path(folder) / name, extra=extra).start()
                closing.callback(server.stop)
                worlds.append(Published(Path(folder) / f"{name}-ca", server.address(), server.login, SUFFIX))
                closing.callback(worlds[-1].close)
            theirs = Server(Path(folder) / "theirs", extra=extra).start()
            closing.callback(theirs.stop)
            ours, few = (_Bench(world, theirs, Path(folder)) for world in worlds)
            yield from measured(ours, few)


def _publishing(ours: _Bench, few: _Bench) -> Iterator[Figure]:
    """The few stand in a tree of their own, so that withdrawals from both are measured in turn."""
    ours.both(FEW)
    few.issued(FEW)
    few.world.publisher.all()
    tens = statistics.median(few.withdrawal(number) for number in range(WITHDRAWN))
    ours.both(FIRST)
    few.count = FEW
    few.issued(FIRST)
    few.world.publisher.all()
    yield _ratio("directory.publishing", ours, max(1, (ENTRIES - FEW - FIRST) // SLICES), SLICES)
    pairs = [(ours.withdrawal(number), few.withdrawal(number)) for number in range(WITHDRAWN)]
    full, thousand = (statistics.median(some) for some in zip(*pairs, strict=True))
    grown = {"with_10_us": 1e6 * tens, "with_1000_us": 1e6 * thousand, "with_all_us": 1e6 * full}
    yield Figure(name="directory.growth", value=full / thousand, limit=1.5, detail=grown)


def _durable(bench: _Bench, _few: _Bench) -> Iterator[Figure]:
    bench.both(DURABLE)
    yield _ratio("directory.durable", bench, DURABLE, DURABLE_SLICES)


def _ratio(name: str, bench: _Bench, size: int, slices: int) -> Figure:
    """The median over the slices, which are as large as each other."""
    pairs = [bench.both(size) for _ in range(slices)]
    detail = {
        "entries": bench.count,
        "published_per_second": size / statistics.median(ours for _, ours in pairs),
        "ldapadd_per_second": size / statistics.median(theirs for theirs, _ in pairs),
        "by_slice": [round(theirs / ours, 3) for theirs, ours in pairs],
    }
    ratio = statistics.median(theirs / ours for theirs, ours in pairs)
    return Figure(name=name, value=ratio, limit=0.7, better="higher", detail=detail)


class _Bench:
    def __init__(self, world: Published, theirs: Server, folder: Path) -> None:
        self.world, self.theirs, self.ldif = world, theirs, folder / "slice.ldif"
        self.keys = [generate("p256-sha256", secrets.token_bytes).public_key() for _ in range(64)]
        self.count = 0
        world.publish()

    def both(self, size: int) -> tuple[float, float]:
        """Seconds of ldapadd and of the publisher for the same entries, which the CA issued before."""
        entries = self.issued(size)
        records = [_record(one) for one in entries]
        if not self.count:
            above = self.world.tree.entry("ou=alpha", (), ())
            assert above is not None
            records.insert(0, _record(above))
        self.ldif.write_text("\n".join(records))
        self.count += size
        command = [program("ldapadd"), "-x", "-H", self.theirs.uri, "-D", self.theirs.slapd.publisher]
        start = time.perf_counter()
        subprocess.run(
            [*command, "-y", str(self.theirs.password_file), "-f", str(self.ldif)],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        theirs = time.perf_counter() - start
        start = time.perf_counter()
        sent = self.world.publisher.all()
        ours = time.perf_counter() - start
        assert (sent.standing, sent.refused) == (size, 0)
        return theirs, ours

    def issued(self, size: int) -> list[Entry]:
        """New persons in the CA's register, and their entries."""
        found = []
        for begin in range(0, size, ISSUED_AT_ONCE):
            names = [self.count + place for place in range(begin, min(size, begin + ISSUED_AT_ONCE))]
            orders = [
                Order(
                    profile="person",
                    key=self.keys[number % len(self.keys)],
                    names=(f"urn:e2s:market:alpha:p{number}", f"p{number}@alpha.example"),
                    officer=OFFICER,
                )
                for number in names
            ]
            for der in self.world.ca.issue_ders(orders):
                assert isinstance(der, bytes), der
                found.append(self.entry(der))
        return found

    def entry(self, der: bytes) -> Entry:
        seen = sight(der)
        entry = self.world.tree.entry(self.world.tree.place(seen).key, [Held(Role.USER, der, seen.facts)], ())
        assert entry is not None
        return entry

    def withdrawal(self, number: int) -> float:
        """Seconds from a hold in the register, or its end, to the directory's answer."""
        changes = self.world.ca.changes(0, FEW)
        serials = [one.serial for one in changes if one.der]
        act = self.world.ca.hold if number % 2 == 0 else self.world.ca.release
        act(serials[number // 2 % len(serials)], officer=OFFICER)
        start = time.perf_counter()
        sent = self.world.publisher.all()
        taken = time.perf_counter() - start
        assert sent.standing + sent.gone == 1
        return taken


def _record(entry: Entry) -> str:
    """An entry in LDIF as tools write it: text plain, octets in base64 (RFC 2849)."""
    lines = [f"dn: {entry.dn}"]
    for name, values in entry.attributes.items():
        plain = not name.endswith(";binary")
        lines += [
            f"{name}: {one.decode()}" if plain else f"{name}:: {b64encode(one).decode()}" for one in values
        ]
    return "\n".join(lines) + "\n"
