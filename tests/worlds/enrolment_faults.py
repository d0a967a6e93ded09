"""A CA with its desk, one process that is killed again and again while many enrol, decide, renew and withdraw.

Run as a program.  Each life is a process of its own, killed at a commit, at a signature or at some instant.
After each death the books of both are looked through; at the end nothing is left undone.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa

from e2s.base import meter, wire
from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.security.enrolment import deciding, store
from e2s.security.enrolment.asking import Asked, Holder, Invited, Issued, Pending
from e2s.security.pki import store as pki_store
from tests.worlds.enrolment import ANNA, OSKAR, World, csr, key
from tests.worlds.pki import Pki, make_pki

#: Of each campaign: invitations, of which every third waits for an officer, and uses of each.
INVITED, USES, THREADS = 3, 2, 3
KINDS = ("commit", "commit", "commit", "sign", "time")


class Campaign:
    """Some invitations, each used as often as it may be and once more, and half of what came of it withdrawn."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        folder.mkdir()
        self.folder, self.pki = folder, pki
        self.storage = secrets.token_bytes(32)
        self.keys = [key() for _ in range(INVITED * (USES + 1))]
        self.requests = [csr(ANNA, private=one) for one in self.keys]
        self.codes: list[tuple[str, bytes]] = []
        self.officers: dict[str, KeySigner] = {}
        world = self.opened()
        for place in range(INVITED):
            self.codes.append(world.invite("code-signing" if place % 3 == 2 else "component", uses=USES))
        self.officers = {OSKAR: world.officer(OSKAR)}
        world.close()

    def opened(self) -> World:
        return World(self.folder, pki=self.pki, storage=self.storage, officers=self.officers)

    def live(self) -> None:
        """What clients do until each has her answer, and an officer decides; again from the start each time."""
        world = self.opened()
        world.desk.tick()
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in range(2):
                answers = list(pool.map(lambda place: self._ask(world, place), range(len(self.requests))))
                for row in deciding.waiting(world.office):
                    world.decide(row.case, "decline" if row.n % 5 == 0 else "approve")
        for place, answer in enumerate(answers):
            if isinstance(answer, Issued) and place % 2:
                self._withdraw(world, place, answer)
        world.close()

    def _ask(self, world: World, place: int) -> Issued | Pending | str:
        shown = world.desk.show(*self.codes[place % INVITED])
        asked = Asked(door="world", transaction=b"%d" % place, request=self.requests[place], shown=shown)
        try:
            return world.desk.ask(asked)
        except Refusal as refusal:
            if refusal.rule not in {"invitation-used", "declined"}:
                raise
            return refusal.rule

    def _withdraw(self, world: World, place: int, answer: Issued) -> None:
        certificate = Certificate.read(answer.certificate)
        shown: Invited | Holder = Invited(reference=self.codes[place % INVITED][0])
        if place % 4 == 1:
            shown = Holder(certificate=certificate)
        world.desk.withdraw(certificate.serial, "superseded", shown, door="world")

    def faults(self, *, ended: bool) -> list[str]:
        """What the books of both say that may not be; after a restart, that is, a tick, nothing is undone."""
        world = self.opened()
        world.desk.tick()
        try:
            return list(self._faults(world, ended=ended))
        finally:
            world.close()

    def _faults(self, world: World, *, ended: bool):
        with world.office.database.reading() as connection:
            rows = list(connection.execute(sa.select(store.REQUESTS)))
            claims = list(connection.execute(sa.select(store.CLAIMS)))
            told = Counter(
                (event["kind"], event["facts"].get("request"))
                for event in map(wire.decode, _events(connection, store.OUTBOX))
                if event["kind"].startswith("enrolment.")
            )
        with world.authority.database.reading() as connection:
            table = pki_store.CERTIFICATES
            good = sa.select(table).where(table.c.der.is_not(None), table.c.approval != b"")
            issued = [row.der for row in connection.execute(good)]
        if any(row.state == "intended" for row in rows):
            yield "an intent without an outcome after a restart"
        mine = [row.certificate for row in rows if row.state == "issued"]
        if sorted(mine) != sorted(issued):
            yield f"{len(mine)} certificates at the desk, {len(issued)} of approvals at the CA"
        taken = Counter(row.reference for row in claims)
        for reference, _ in self.codes:
            live = [
                row for row in rows if row.reference == reference and row.state not in {"declined", "refused"}
            ]
            if taken[reference] > USES or taken[reference] != len(live):
                yield f"{reference}: {taken[reference]} uses taken by {len(live)} requests, of {USES}"
        for row in rows:
            begun = told["enrolment.asked", row.case] + told["enrolment.waits", row.case]
            if begun != 1 or told["enrolment.issued", row.case] != (row.state == "issued"):
                yield f"{row.case}: {begun} events of its intent, state {row.state}"
        if ended and any(row.state == "waiting" for row in rows):
            yield "something still waits"
        if ended and not all(taken[reference] == USES for reference, _ in self.codes[:2]):
            yield "an invitation was not used as often as it might have been"


def _events(connection, outbox) -> list[bytes]:
    return [body for _, body in outbox.waiting(connection, "audit", 100_000)]


def lived(act, seed: str = "") -> int:
    """The status of a process that does ``act``, killed at a point that ``seed`` draws."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)
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
    kind, point, delay = chance.choice(KINDS), chance.randint(1, 30), chance.uniform(0.0, 0.3)
    if kind == "time":
        threading.Timer(delay, _die).start()
        return
    before = meter._COUNTS[kind]
    meter.watch(lambda what, count: _die() if what == kind and count >= before + point else None)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def campaigned(make, folder: Path, seed: str, kills: int) -> dict[str, object]:
    """Campaigns that ``make`` gives for a folder and a PKI, each lived to its end, until so many kills."""
    chance, pki = random.Random(seed), make_pki()
    died, campaigns, faults = 0, 0, list[str]()
    while died < kills and not faults:
        campaign = make(folder / f"{campaigns}", pki)
        campaigns += 1
        ended = False
        while not ended and not faults:
            status = lived(campaign.live, f"{chance.random()}" if died < kills else "")
            ended = status == 0
            if status == -signal.SIGKILL:
                died += 1
            elif status:
                faults.append(f"a life ended with {status}")
            faults += campaign.faults(ended=ended)
    return {"kills": died, "campaigns": campaigns, "faults": faults}


if __name__ == "__main__":
    print(json.dumps(campaigned(Campaign, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
