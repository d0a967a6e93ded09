"""What registering many costs: a row beside the bare proof that its key is there, and as the register grows.

``registration.judge`` is judging a row of a CSV, in checks of its PKCS #10 request alone;
``registration.register`` is registering and approving it, durable, with its events, in the same;
``registration.growth`` is the latter with twenty thousand in the register, in that with none.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figure import Figure
from e2s.security.certificates.certify import read_request
from e2s.security.registration import batch
from e2s.security.registration.applicants import judge_rows
from e2s.security.registration.sheets import request_of_pem
from tests.worlds.pki import make_pki
from tests.worlds.registration import OLGA, World, a_row, sheet

HERE = Path(__file__).parent
ROWS, ROUNDS, MANY = 200, 7, 20_000


def rounds() -> Iterator[Figure]:
    disk = HERE.parent / "build"
    disk.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=disk) as folder:
        (Path(folder) / "few").mkdir()
        (Path(folder) / "many").mkdir()
        pki = make_pki()
        few, many = World(Path(folder) / "few", pki), World(Path(folder) / "many", pki)
        _register(many, _sheet(1_000_000, MANY)[0])
        judged, registered, grown, bare = [], [], [], []
        for number in range(ROUNDS):
            file, requests = _sheet(number * ROWS, ROWS)
            bare.append(_seconds(lambda requests=requests: [read_request(one) for one in requests]))
            judged.append(_seconds(lambda file=file: _judge(few, file)))
            registered.append(_seconds(lambda file=file: _register(few, file)))
            grown.append(_seconds(lambda file=file: _register(many, file)))
        for world in (few, many):
            world.office.database.close()
    detail = {"rows": ROWS, "rounds": ROUNDS, "bare_us": 1e6 * statistics.median(bare) / ROWS}
    for name, taken, limit in (("judge", judged, 6.0), ("register", registered, 15.0)):
        ratio = statistics.median(one / base for one, base in zip(taken, bare, strict=True))
        taken_us = 1e6 * statistics.median(taken) / ROWS
        yield Figure(
            name=f"registration.{name}", value=ratio, limit=limit, detail={**detail, "row_us": taken_us}
        )
    growth = statistics.median(much / little for much, little in zip(grown, registered, strict=True))
    yield Figure(name="registration.growth", value=growth, limit=1.3, detail={**detail, "known": MANY})


def _sheet(first: int, rows: int) -> tuple[io.BytesIO, list[bytes]]:
    cells = [a_row(first + n) for n in range(rows)]
    return sheet(cells), [request_of_pem(row[-1]) for row in cells]


def _judge(world: World, file: io.BytesIO) -> None:
    ident = batch.batch_id(file, world.office)
    for judged, _ in judge_rows(world.office, file, world.folder, OLGA, ident):
        assert judged.result == "ok", judged


def _register(world: World, file: io.BytesIO) -> None:
    ident = batch.batch_id(file, world.office)
    tally = batch.register(world.office, file, world.folder, world.olga, ident)
    assert not tally.refused


def _seconds(act) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
