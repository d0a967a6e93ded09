"""What reports cost: following the CA's register, and each report as the number of certificates grows.

``reports.follow`` is reading a change of the register into the book, durable, in readings of the bare
certificate; ``reports.growth`` is a report's time for each certificate with a hundred thousand in the book,
in that with a thousand: the slowest of all reports.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from bench.figure import Figure
from e2s.crypto.certificates import _parse
from e2s.security.administration.reports import REPORTS, Scope, report
from e2s.security.pki import store
from tests.worlds.administration import Administration
from tests.worlds.pki import make_pki

HERE = Path(__file__).parent
FEW, MANY, ROUNDS = 1_000, 100_000, 3


def rounds() -> Iterator[Figure]:
    disk = HERE.parent / "build"
    disk.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=disk) as folder:
        (Path(folder) / "few").mkdir()
        (Path(folder) / "many").mkdir()
        pki = make_pki()
        few, many = (Administration(Path(folder) / name, pki) for name in ("few", "many"))
        ders = {world: _filled(world, number) for world, number in ((few, FEW), (many, MANY))}
        bare = _seconds(lambda: [_parse(one) for one in ders[many]]) / len(ders[many])
        few.desk.book.follow()
        followed = _seconds(many.desk.book.follow) / MANY
        detail = {"certificates": MANY, "bare_us": 1e6 * bare, "follow_us": 1e6 * followed}
        yield Figure(name="reports.follow", value=followed / bare, limit=6.0, detail=detail)
        growths = {kind: _growth(kind, few, many) for kind in REPORTS}
        slowest = max(growths, key=growths.__getitem__)
        detail = {kind.replace("-", "_"): value for kind, value in growths.items()}
        detail |= {f"{kind}_s": _seconds(lambda kind=kind: _count(many, kind)) for kind in REPORTS}
        yield Figure(name="reports.growth", value=growths[slowest], limit=2.0, detail=detail)
        for world in (few, many):
            world.close()


def _filled(world: Administration, number: int) -> list[bytes]:
    """A register of so many certificates, as one was issued but for names, keys and serials; the last."""
    world.issue("person", "urn:e2s:market:alpha:p0")
    database = world.ca.authority.database
    with database.reading() as connection:
        first = connection.execute(sa.select(store.CERTIFICATES)).one()._asdict()
    made: list[bytes] = []
    for begin in range(1, number, 5000):
        rows = [_another(first, one) for one in range(begin, min(begin + 5000, number))]
        made = [row["der"] for row in rows]
        with database.transaction() as connection:
            store.issued(connection, rows)
    return made


def _another(first: dict[str, Any], one: int) -> dict[str, Any]:
    """A certificate that is read as the first was: who reads does not judge its signature."""
    serial = b"\x80" + secrets.token_bytes(15)
    der = first["der"].replace(first["serial"], serial, 1)
    name, spki = f"urn:e2s:market:alpha:p{one}", secrets.token_bytes(32)
    return {**first, "name": name, "serial": serial, "spki": spki, "der": der}


def _growth(kind: str, few: Administration, many: Administration) -> float:
    """How much longer a certificate takes among many, each round in turn."""
    ratios = []
    for _ in range(ROUNDS):
        little = statistics.median(_seconds(lambda: _count(few, kind)) for _ in range(5)) / FEW
        ratios.append(_seconds(lambda: _count(many, kind)) / MANY / little)
    return statistics.median(ratios)


def _count(world: Administration, kind: str) -> int:
    scope = Scope(at=world.clock.now(), days=36_500 if kind == "expiring" else 0)
    return sum(1 for _ in report(kind, world.desk.sources, scope))


def _seconds(act) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin
