"""Key management and holders in a process that is killed again and again while PSEs are delivered.

Run as a program.  Each life is a process of its own, killed at a commit, at a signature or at some instant; the
books of both sides are looked through after each death.  Some holders never come back: what they were given is
revoked in the end.
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
from datetime import timedelta
from pathlib import Path

from e2s.base import meter, wire
from e2s.base.http import Handler, Request
from e2s.crypto.certificates import Certificate
from e2s.security.environments import store, waiting
from e2s.security.environments.holding import Edges
from e2s.security.environments.joining import code_with_root, join, look, read_invitation
from e2s.security.environments.kinds import shipped
from e2s.security.environments.receiving import begin
from e2s.security.environments.service import door
from e2s.security.keys.container import Cost
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse
from tests.worlds.enrolment import NAME, World

HOLDERS, LOST = 6, 2
CHEAP = Cost(memory_kib=8, passes=1)
WORD, ORIGIN = "a word", "http://enrol"
KINDS = ("commit", "commit", "sign", "time")
PER_PSE = 2
#: Up to which commit, or signature, of a life it ends.
POINTS = {"deliver": 40, "sweep": 8}


class Vault:
    """An escrow that is a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def deposit(self, _holder, certificate, _key) -> None:
        replace_file(self.folder / f"{certificate.serial:x}", b"deposited")


class Near:
    """Carries requests to a door in this process."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def send(self, _origin, request):
        return self._handler(request)


class Campaign:
    """Some invitations, from the codes to the receipts, or to their end."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.vault = Vault(folder / "vault")
        self.vault.folder.mkdir()
        self.world = World(folder)
        handler = self.opened()
        self.told = []
        for number in range(HOLDERS + LOST):
            kind = shipped()["employee" if number % 2 else "person"]
            name = f"urn:e2s:market:alpha:anna-{number}"
            reference, secret = self.world.invite(kind.profile, (name,))
            with handler.database.transaction() as connection:
                store.mean(connection, reference, kind.name, "{}")
            code = code_with_root(reference, secret, self.world.pki.root)
            self.told.append((name, kind, read_invitation(code)))
        handler.close()
        self.world.close()

    def opened(self):
        setting = self.world.setting(deposit=self.vault, crls=self.world.lists.crls, origin=ORIGIN)
        return door(self.world.desk, setting)

    @property
    def edges(self) -> Edges:
        return Edges(clock=self.world.clock, random=secrets.token_bytes, cost=CHEAP)

    def path(self, number: int) -> Path:
        return self.folder / f"{number}.holder"

    def deliver(self) -> None:
        """Every holder joins; the last ones ask, and go away."""
        self.world._open()
        exchange = Near(self.opened())
        for number, (_name, kind, invitation) in enumerate(self.told):
            path = self.path(number)
            if number >= HOLDERS:
                self.ask_alone(path, kind, invitation, exchange)
            elif not path.exists() or waiting.waits(path):
                join(path, Phrase(WORD), invitation, ORIGIN, exchange, self.edges)

    def ask_alone(self, path, kind, invitation, exchange) -> None:
        if not waiting.waits(path):
            offer = look(exchange, ORIGIN, invitation, self.edges)
            begin(path, Phrase(WORD), invitation, kind, offer.names, ORIGIN, self.edges)
        made = waiting.read(path, Phrase(WORD))
        exchange.send(ORIGIN, Request("POST", "/pse/ask", made.ask))

    def sweep(self) -> None:
        """Much later, key management looks through what nobody received."""
        self.world.clock.at += timedelta(days=20)
        self.world._open()
        self.opened().tick(self.world.clock.now())

    def faults(self, *, ended: bool, swept: bool) -> list[str]:
        """What the books may not say."""
        world, found = self.world, []
        world._open()
        handler = self.opened()
        with handler.database.reading() as connection:
            states = {row.reference: row.state for row in store.deliveries(connection, 1000)}
            bodies = [body for _, body in store.OUTBOX.waiting(connection, "audit", 100_000)]
        events = Counter((e["kind"], e["facts"].get("reference")) for e in map(wire.decode, bodies))
        issued = [Certificate.read(one.der) for one in world.authority.changes(0) if one.der]
        by_name: dict[str, list[Certificate]] = {}
        for one in issued:
            by_name.setdefault(one.name, []).append(one)
        for number, (name, kind, invitation) in enumerate(self.told):
            own = by_name.get(name, [])
            state = states.get(invitation.reference, "")
            found += self._of(number, kind.name, invitation.reference, own, state, events)
            if ended and number < HOLDERS and state != "delivered":
                found.append(f"{name}: {state}")
            if swept and number >= HOLDERS and not all(world.desk.revoked(one.serial) for one in own):
                found.append(f"{name}: an orphan")
        if set(by_name) - {name for name, _, _ in self.told} - {NAME}:
            found.append("somebody was certified whom nobody invited")
        handler.close()
        world.close()
        return found

    def _of(self, number, kind, reference, own, state, events) -> list[str]:
        found, path = [], self.path(number)
        if len(own) > PER_PSE or len({one.spki for one in own}) != len(own):
            found.append(f"{reference}: {len(own)} certificates")
        once = ("pse.asked", "pse.sealed", "pse.delivered", "pse.over")
        found += [f"{reference}: {event} twice" for event in once if events[event, reference] > 1]
        if events["pse.delivered", reference] != (state == "delivered"):
            found.append(f"{reference}: {state} and its event differ")
        if kind == "employee" and events["pse.sealed", reference]:
            deposited = {one.name for one in self.vault.folder.iterdir()}
            if not any(f"{one.serial:x}" in deposited for one in own):
                found.append(f"{reference}: released, not deposited")
        if state == "delivered" and not path.exists():
            found.append(f"{reference}: delivered, and its holder has nothing")
        if path.exists():
            pse = SoftwarePse.open(path, Phrase(WORD))
            if {pse.certificate(label).serial for label in pse.labels()} != {one.serial for one in own}:
                found.append(f"{reference}: the holder has other certificates than the CA gave")
            pse.close()
        return found


def lived(act, seed: str = "", points: int = 40) -> int:
    """How ``act`` ended in a process of its own, killed at a point that ``seed`` draws."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        signal.alarm(120)  # a life that nothing ends is a fault
        if seed:
            _doom(random.Random(seed), points)
        act()
    except BaseException as error:  # noqa: BLE001 - the parent reads the status
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def _doom(chance: random.Random, points: int) -> None:
    kind, point, delay = chance.choice(KINDS), chance.randint(1, points), chance.uniform(0.02, 0.4)
    if kind == "time":
        threading.Timer(delay, _die).start()
        return
    before = meter._COUNTS[kind]
    meter.watch(lambda what, count: _die() if what == kind and count >= before + point else None)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, seed: str, kills: int) -> dict[str, object]:
    chance, faults, campaigns = random.Random(seed), [], 0
    died: Counter[str] = Counter()
    while died.total() < kills and not faults:
        campaign = Campaign(folder / f"{campaigns}")
        campaigns += 1
        for phase in ("deliver", "sweep"):
            ended = False
            while not ended and not faults:
                doomed = died.total() < kills
                drawn = f"{chance.random()}" if doomed else ""
                status = lived(getattr(campaign, phase), drawn, POINTS[phase])
                ended = status == 0
                if status == -signal.SIGKILL:
                    died[phase] += 1
                elif status:
                    faults.append(f"{phase} ended with {status}")
                if phase == "deliver":
                    faults += campaign.faults(ended=ended, swept=False)
        campaign.world.clock.at += timedelta(days=20)
        faults += campaign.faults(ended=True, swept=True)
    return {"kills": died.total(), "died": dict(died), "campaigns": campaigns, "faults": faults}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
