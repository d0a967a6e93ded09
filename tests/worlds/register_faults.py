"""A CA that is killed again and again, and the look through its books after each time.

Run as a program: each life is a process of its own on a real register; it notes what it released only after
it was released.  What the books must say is asked of a new start, which every life begins with.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from e2s.base import meter, wire
from e2s.base.database import Database
from e2s.base.errors import E2SError, Refusal
from e2s.base.rights import TableAuthoriser
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.certify import request
from e2s.security.certificates.places import Places
from e2s.security.keys.generation import generate
from e2s.security.pki import finding, listing, store
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.feed import Kind
from e2s.security.pki.issuing import VOID
from e2s.security.pki.orders import Order
from e2s.security.pki.queue import IssueQueue
from e2s.security.verification.crls import CrlIndex
from tests.worlds.pki import Pki, SetClock, make_pki

OFFICER = "urn:e2s:market:ca:officer"
_RIGHTS = TableAuthoriser(frozenset((OFFICER, right, "ca") for right in (RIGHTS.certify, RIGHTS.revoke)))
_PLACES = Places(base="http://repository.example", deltas=True)
#: A register is used for so many lives: looking through a longer one would tell no more.
LIVES = 25
KEYS = [generate("p256-sha256", secrets.token_bytes) for _ in range(24)]
REQUESTS = [request(key, ("urn:e2s:market:volt",)) for key in KEYS]
EVENTS = {
    Kind.ISSUED: ("certificate.issued",),
    Kind.REVOKED: ("certificate.revoked", "certificate.voided"),
    Kind.HELD: ("certificate.held",),
    Kind.RELEASED: ("certificate.released",),
}
KINDS = ("commit", "sign", "time", "time")


def started(folder: Path, pki: Pki) -> Authority:
    """The CA on the register in ``folder``."""
    return Authority(
        pki.operating_ca.signer,
        Database.open(folder / "register.sqlite", store.TABLES),
        kind="operating-ca",
        component="ca",
        clock=SetClock(pki.at),
        random=secrets.token_bytes,
        authoriser=_RIGHTS,
        places=_PLACES,
    )


class Notes:
    """What was released: one line each, written at once."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "released", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def life(folder: Path, pki: Pki, seed: str) -> None:
    """Issue, revoke, hold, release and list until killed."""
    signal.alarm(60)  # a life that nothing ends is a fault
    chance = random.Random(seed)
    kind, point = chance.choice(KINDS), chance.randint(1, 60)
    if kind == "time":
        delay = chance.uniform(0.0, 0.25)
        threading.Timer(delay, _die).start()
    else:
        meter.watch(lambda what, count: _die() if what == kind and count >= point + before[kind] else None)
    before = Counter({what: meter._COUNTS[what] for what in ("commit", "sign")})
    notes, ca = Notes(folder), started(folder, pki)
    queue = IssueQueue(ca)
    known: list[int] = [change.serial for change in ca.changes(0) if change.der][-20:]
    with ThreadPoolExecutor(5) as pool:
        for number in range(4):
            pool.submit(_issue, queue, notes, known, f"{seed}-{number}")
        pool.submit(_withdraw, ca, notes, known, f"{seed}-w").result()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _issue(queue: IssueQueue, notes: Notes, known: list[int], seed: str) -> None:
    chance = random.Random(seed)
    while True:
        orders = [
            Order(
                profile="buyer",
                key=chance.choice(REQUESTS) if chance.random() < 0.9 else b"garbage",
                names=("urn:e2s:market:volt:ada",),
                officer=OFFICER,
            )
            for _ in range(chance.choice((1, 1, 1, 7)))
        ]
        for made in queue.issue_ders(orders):
            if isinstance(made, bytes):
                notes.note("issued", sha256(made).hexdigest())
                known.append(Certificate.read(made).serial)


def _withdraw(ca: Authority, notes: Notes, known: list[int], seed: str) -> None:
    chance = random.Random(seed)
    while True:
        if not known:
            time.sleep(0.001)
            continue
        serial = chance.choice(known[-40:])
        act = chance.choice(("revoked", "held", "released", "list"))
        with suppress(Refusal):
            if act == "revoked":
                ca.revoke(serial, "superseded", officer=OFFICER)
                notes.note(act, f"{serial:x}")
            elif act == "list":
                for one in ca.current_lists():
                    notes.note(act, one.number, int(one.delta))
            else:
                (ca.hold if act == "held" else ca.release)(serial, officer=OFFICER)


def faults(folder: Path, pki: Pki) -> list[str]:
    """What the books say wrong after a new start; a list whose every line is a fault."""
    ca = started(folder, pki)
    try:
        books = Books(folder, ca)
        parts = (books.whole, books.events, books.released, books.feed, books.void, books.lists)
        return [fault for part in parts for fault in part()]
    finally:
        ca.close()


class Books:
    """All that a CA has written, and what it released."""

    def __init__(self, folder: Path, ca: Authority) -> None:
        self.ca = ca
        self.notes = [line.split() for line in _lines(folder)]
        with ca.database.reading() as connection:
            self.rows = connection.execute(store.CERTIFICATES.select()).all()
            standing = connection.execute(store.REVOCATIONS.select()).all()
            self.left = store.intents(connection)
            self.said = [wire.decode(body) for _, body in ca.outbox.waiting(connection, "audit", most=10**6)]
            self.sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()
        self.serials = {row.id: int.from_bytes(row.serial, "big") for row in self.rows}
        self.certificates = {self.serials[row.id]: row.der for row in self.rows if row.der}
        self.now = {self.serials[row.certificate]: row for row in standing}
        self.changes = _feed(ca)

    def whole(self) -> Iterator[str]:
        """Nothing is left over, and the file is sound."""
        if self.left or self.sound != "ok":
            yield f"intents are left: {len(self.left)}; integrity: {self.sound}"

    def events(self) -> Iterator[str]:
        """No certificate without its event, no event without its certificate, and so of each change."""
        ids = {f"sha-256:{wire.b64u(sha256(der).digest())}" for der in self.certificates.values()}
        issued = [one["facts"]["certificate"] for one in self.said if one["kind"] == "certificate.issued"]
        if sorted(issued) != sorted(ids):
            yield f"{len(issued)} events of {len(ids)} certificates"
        told = Counter(one["kind"] for one in self.said)
        kinds = Counter(change.kind for change in self.changes)
        for kind, names in EVENTS.items():
            if kinds[kind] != sum(told[name] for name in names):
                yield f"{kinds[kind]} changes are {kind}, and events otherwise"

    def released(self) -> Iterator[str]:
        """What was released is on record."""
        kept = {sha256(der).hexdigest() for der in self.certificates.values()}
        lost = [digest for act, digest, *_ in self.notes if act == "issued" and digest not in kept]
        if lost:
            yield f"{len(lost)} certificates were released without a record"
        for act, what, *_ in self.notes:
            if act == "revoked" and self._reason(int(what, 16)) != "superseded":
                yield "a revocation was lost"

    def feed(self) -> Iterator[str]:
        """The feed has no gaps and says what the register says."""
        changes = self.changes
        if [change.number for change in changes] != list(range(1, len(changes) + 1)):
            yield "the feed has gaps"
        if {change.serial for change in changes if change.kind is Kind.ISSUED} != set(self.certificates):
            yield "the feed tells other certificates than the register"
        last = {change.serial: change.entry for change in changes}
        if {serial for serial, entry in last.items() if entry} != set(self.now):
            yield "the feed tells other revocations than the register"

    def void(self) -> Iterator[str]:
        """What was intended and not recorded is void."""
        for row in self.rows:
            if not row.der and self._reason(self.serials[row.id]) != VOID:
                yield "a serial without a certificate is not void"

    def lists(self) -> Iterator[str]:
        """Lists say what the register says, and their numbers grow."""
        lists = {one.delta: CrlIndex.read(one.der) for one in self.ca.current_lists()}
        known = {serial: entry.reason for serial, entry in lists[False].revoked.items()}
        known |= {serial: entry.reason for serial, entry in lists[True].revoked.items()}
        if {serial for serial, reason in known.items() if reason != "removeFromCRL"} != set(self.now):
            yield "lists and register differ"
        base = lists[True].base
        if base is None or base > lists[False].number:
            yield "the delta list is over a list that is not there"
        for delta, listed in lists.items():
            label = [str(int(delta))]
            numbers = [int(what) for act, what, *rest in self.notes if act == "list" and rest == label]
            if numbers != sorted(numbers) or (numbers and numbers[-1] > listed.number):
                yield "a list's number went back"

    def _reason(self, serial: int) -> str:
        row = self.now.get(serial)
        return "" if row is None else row.reason


def _feed(ca: Authority) -> list[Any]:
    found: list[Any] = []
    while some := ca.changes(found[-1].number if found else 0):
        found += some
    return found


def _lines(folder: Path) -> list[str]:
    path = folder / "released"
    return path.read_text().splitlines() if path.exists() else []


def killed(folder: Path, seed: str, times: int) -> dict[str, Any]:
    """Live and be killed ``times`` times; what was found, and what was done."""
    pki, found, counts = make_pki(), [], Counter[str]()
    for module, name, small in ((listing, "SMALL", 8), (finding, "WAITING", 64), (finding, "SLICE", 32)):
        setattr(module, name, small)
    for number in range(times):
        home = folder / f"register-{number // LIVES}"
        home.mkdir(exist_ok=True)
        pid = os.fork()
        if not pid:
            with suppress(E2SError):
                life(home, pki, f"{seed}/{number}")
            os._exit(1)
        _, status = os.waitpid(pid, 0)
        if status != signal.SIGKILL:
            found.append(f"life {number} ended by itself: {status}")
        found += [f"life {number}: {fault}" for fault in faults(home, pki)]
        counts["kills"] += 1
    for home in folder.glob("register-*"):
        counts.update(line.split()[0] for line in _lines(home))
        database = Database.open(home / "register.sqlite", store.TABLES)
        with database.reading() as connection:
            counts["void"] += sum(not row.der for row in connection.execute(store.CERTIFICATES.select()))
        database.close()
    return {"faults": found, "overlooked": overlooked(folder / "register-0", pki), **counts}


#: Ways in which a book could be wrong; each must be found.
FALSE = {
    "an event is gone": "DELETE FROM outbox WHERE id = 1",
    "a certificate is gone": "UPDATE certificates SET der = NULL WHERE id = 1",
    "a revocation is gone": "DELETE FROM revocations WHERE certificate = (SELECT min(certificate) FROM revocations)",
    "a change is gone": "DELETE FROM changes WHERE number = 2",
}


def overlooked(home: Path, pki: Pki) -> list[str]:
    """Which falsified books nobody noticed."""
    missed = []
    for name, statement in FALSE.items():
        copy = home.with_name(f"false-{len(missed)}-{secrets.token_hex(4)}")
        shutil.copytree(home, copy)
        database = Database.open(copy / "register.sqlite", store.TABLES)
        with database.transaction() as connection:
            connection.exec_driver_sql(statement)
        database.close()
        if not faults(copy, pki):
            missed.append(name)
    return missed


if __name__ == "__main__":
    print(json.dumps(killed(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
