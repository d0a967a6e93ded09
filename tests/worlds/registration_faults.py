"""A registration authority and its CA, two processes that are killed again and again while a batch goes through.

Run as a program.  They talk through a folder; each life is a process of its own, killed at a commit, at a
signature or at some instant.  The books of both are looked through after each death.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from e2s.base import meter, wire
from e2s.crypto.certificates import Certificate
from e2s.security.pki import store as pki_store
from e2s.security.pki.spool import Spool, answer_spool
from e2s.security.registration import batch, ordering, store, tables
from tests.worlds.pki import Pki, make_pki
from tests.worlds.registration import World, a_row, sheet

ROWS = 24
#: Of these processes only: a batch of a few rows has several approvals and messages.
ORDERS, SENT = 7, 4
KINDS = ("commit", "commit", "sign", "time")


class Campaign:
    """One batch, from its first row to the last certificate."""

    def __init__(self, folder: Path, pki: Pki, rows: list[list[str]]) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "staff.csv").write_bytes(sheet(rows).getvalue())
        self.world = World(folder, pki)
        self.world.office.database.close()
        self.world.ca.authority.close()
        del self.world.ca

    def register(self) -> None:
        """What ``e2s ra bulk --resume`` does, the second officer, and the orders until none waits."""
        setattr(batch, "MAX_ORDERS", ORDERS)  # noqa: B010 - a constant, but of this process
        setattr(ordering, "MAX_SENT", SENT)  # noqa: B010
        world = self.world
        world.office = world.opened()
        ask = Spool(self.folder / "spool").ask
        with (self.folder / "staff.csv").open("rb") as file:
            ident = batch.batch_id(file, world.office)
            batch.register(world.office, file, self.folder, world.olga, ident)
        with world.office.database.reading() as connection:
            waiting = [row.n for row in store.approvals(connection, "once")]
        for n in waiting:
            world.second(n)
        while ordering.submit(world.office, ask).waiting:
            time.sleep(0.005)

    def certify(self) -> None:
        """What ``e2s ca answer`` does, until it is killed."""
        doors = self.world.ca.doors
        while True:
            answer_spool(self.folder / "spool", doors)
            time.sleep(0.005)

    def faults(self, *, ended: bool) -> list[str]:
        """What the books of both say that may not be."""
        world = self.world
        world.office = world.opened()
        try:
            with world.office.database.reading() as connection:
                cases = list(connection.execute(sa.select(tables.CASE)))
                names = connection.execute(sa.select(sa.func.count()).select_from(tables.NAME)).scalar_one()
                told = Counter(
                    (event["kind"], event["facts"].get("case"))
                    for event in map(wire.decode, _events(connection, tables.OUTBOX))
                )
        finally:
            world.office.database.close()
        certified = [row for row in cases if row.certificate is not None]
        issued, issuing = self._issued()
        found = []
        if len({row.line for row in cases}) != len(cases) or len({row.name for row in cases}) != len(cases):
            found.append("somebody was registered twice")
        if names != len(cases):
            found.append(f"{names} names for {len(cases)} cases")
        if len({spki for spki, _ in issued}) != len(issued):
            found.append("a key was certified twice")
        if not {row.certificate for row in certified} <= {der for _, der in issued}:
            found.append("a certificate that the CA has not on record")
        if sorted(issuing) != sorted(der for _, der in issued):
            found.append("certificates and their events at the CA differ")
        for row in cases:
            if told["case.registered", row.id] != 1:
                found.append(f"{row.id}: {told['case.registered', row.id]} events of registration")
            if told["case.certified", row.id] != (row.certificate is not None):
                found.append(f"{row.id}: {told['case.certified', row.id]} events of certification")
        if ended and not len(certified) == len(issued) == len(cases) == ROWS:
            found.append(f"{len(certified)} certified, {len(issued)} issued of {len(cases)} cases")
        return found

    def _issued(self) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
        """The CA's certificates with their keys, and those of its events."""
        authority = self.world.ca.authority
        try:
            with authority.database.reading() as connection:
                table = pki_store.CERTIFICATES
                # a serial that was intended and never recorded has none: it is void
                good = sa.select(table.c.spki, table.c.der).where(table.c.der.is_not(None))
                rows = [(row.spki, row.der) for row in connection.execute(good)]
                events = [wire.decode(body) for body in _events(connection, authority.outbox)]
        finally:
            authority.close()
            del self.world.ca
        serials = {event["facts"]["serial"] for event in events if event["kind"] == "certificate.issued"}
        return rows, [der for _, der in rows if f"{Certificate.read(der).serial:x}" in serials]


def _events(connection, outbox) -> list[bytes]:
    return [body for _, body in outbox.waiting(connection, "audit", 100_000)]


def lived(act, seed: str = "") -> int:
    """Run ``act`` in a process of its own, killed at a point that ``seed`` draws; its number."""
    child = os.fork()
    if child:
        return child
    try:
        signal.alarm(120)  # a life that nothing ends is a fault
        if seed:
            _doom(random.Random(seed))
        act()
    except BaseException as error:  # noqa: BLE001 - the parent reads the status
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def _doom(chance: random.Random) -> None:
    kind, point, delay = chance.choice(KINDS), chance.randint(1, 25), chance.uniform(0.0, 0.6)
    if kind == "time":
        threading.Timer(delay, _die).start()
        return
    before = meter._COUNTS[kind]
    meter.watch(lambda what, count: _die() if what == kind and count >= before + point else None)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, seed: str, kills: int) -> dict[str, object]:
    chance, pki = random.Random(seed), make_pki()
    rows = [a_row(n, profile="code-signing" if n % 6 == 5 else "person") for n in range(ROWS)]
    died, faults, campaigns = Counter[str](), [], 0
    while died.total() < kills and not faults:
        campaign = Campaign(folder / f"{campaigns}", pki, rows)
        campaigns += 1
        ended = False
        while not ended and not faults:
            doomed = died.total() < kills
            ca = lived(campaign.certify, f"{chance.random()}" if doomed and chance.random() < 0.5 else "")
            ra = lived(campaign.register, f"{chance.random()}" if doomed else "")
            status = _wait(ra, partial(_restart, campaign, ca, died))
            ended = status == 0
            if status == -signal.SIGKILL:
                died["registration"] += 1
            elif status:
                faults.append(f"the registration authority ended with {status}")
            _end_all()
            faults += campaign.faults(ended=ended)
    return {"kills": died.total(), "died": dict(died), "campaigns": campaigns, "faults": faults}


_LIVING: list[int] = []


def _restart(campaign: Campaign, first: int, died: Counter[str]) -> None:
    """Start the CA again where it died."""
    if not _LIVING:
        _LIVING.append(first)
    done, status = os.waitpid(_LIVING[-1], os.WNOHANG)
    if done:
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            raise RuntimeError(f"the CA ended with {status}")
        died["ca"] += 1
        _LIVING[-1] = lived(campaign.certify)


def _wait(child: int, meanwhile) -> int:
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            meanwhile()
            return os.waitstatus_to_exitcode(status)
        meanwhile()
        time.sleep(0.002)


def _end_all() -> None:
    while _LIVING:
        child = _LIVING.pop()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
