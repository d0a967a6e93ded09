"""A responder that is killed as it follows a CA, which is killed with it, and what it answers after each time.

Run as a program: each life is a process of its own on real databases.  What was followed is noted only after it
was; what must be answered is asked of the CA's register and lists after a new start.
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
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from e2s.base import meter
from e2s.base.database import Database
from e2s.base.errors import E2SError, Refusal
from e2s.base.http import Request
from e2s.crypto.ports import Signer
from e2s.security.pki import store as register
from e2s.security.pki.ca import Authority
from e2s.security.status import store
from e2s.security.status.answers import cert_id
from e2s.security.status.queries import write_query
from e2s.security.status.responder import QUERY, Responder
from e2s.security.verification.crls import REMOVED, CrlIndex
from e2s.security.verification.ocsp import Answer
from tests.worlds.pki import Pki, SetClock, make_pki
from tests.worlds.register_faults import KEYS, OFFICER, Notes, started

LIVES = 25
ASKED = 50


def opened(folder: Path, pki: Pki, signer: Signer) -> tuple[Responder, Database]:
    """The responder on the statuses in ``folder``."""
    database = Database.open(folder / "status.sqlite", store.TABLES)
    responder = Responder(database, clock=SetClock(pki.at))
    responder.speak(pki.operating, signer)
    return responder, database


def follow(responder: Responder, database: Database, ca: Authority, pki: Pki, most: int) -> int:
    """Take the next changes, at most so many; how many there were."""
    with database.transaction() as connection:
        after = responder.followed(connection, pki.operating)
        changes = ca.changes(after, most)
        responder.apply(connection, pki.operating, changes, pki.at)
    return len(changes)


def life(folder: Path, pki: Pki, signer: Signer, seed: str) -> None:
    """Issue, withdraw, follow and answer until killed."""
    signal.alarm(60)
    chance = random.Random(seed)
    if chance.random() < 0.5:
        threading.Timer(chance.uniform(0.0, 0.2), _die).start()
    else:
        point = chance.randint(1, 80) + meter._COUNTS["commit"]
        meter.watch(lambda what, count: _die() if what == "commit" and count >= point else None)
    ca, notes = started(folder, pki), Notes(folder)
    responder, database = opened(folder, pki, signer)
    threading.Thread(target=_work, args=(ca, f"{seed}-w"), daemon=True).start()
    while True:
        count = follow(responder, database, ca, pki, chance.choice((1, 3, 50)))
        with database.reading() as connection:
            notes.note("followed", responder.followed(connection, pki.operating), count)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _work(ca: Authority, seed: str) -> None:
    chance = random.Random(seed)
    known = [change.serial for change in ca.changes(0)][-20:]
    while True:
        act = chance.choice(("issue", "revoke", "hold", "release")) if known else "issue"
        serial = chance.choice(known) if known else 0
        with suppress(Refusal):
            match act:
                case "issue":
                    key = chance.choice(KEYS).public_key()
                    names = ("urn:e2s:market:volt:ada",)
                    known.append(ca.issue("buyer", key, names, officer=OFFICER).serial)
                case "revoke":
                    ca.revoke(serial, chance.choice(("superseded", "keyCompromise")), officer=OFFICER)
                case "hold":
                    ca.hold(serial, officer=OFFICER)
                case _:
                    ca.release(serial, officer=OFFICER)


def faults(folder: Path, pki: Pki, signer: Signer) -> list[str]:
    """In what the responder, the CA's register and its lists differ after a new start."""
    found: list[str] = []
    ca = started(folder, pki)
    responder, database = opened(folder, pki, signer)
    try:
        with database.reading() as connection:
            number = responder.followed(connection, pki.operating)
        noted = max((int(line.split()[1]) for line in _lines(folder)), default=0)
        with ca.database.reading() as connection:
            last = register.last_change(connection)
        if not noted <= number <= last:
            found.append(f"followed {number}, noted {noted}, the CA is at {last}")
        while follow(responder, database, ca, pki, 100):
            pass
        wanted, told = _register(ca), _answers(responder, pki, [*_serials(ca), 77])
        if told != {**wanted, 77: "unknown"}:
            found.append("answers and register differ")
        if {serial for serial, status in told.items() if status not in {"good", "unknown"}} != _listed(ca):
            found.append("answers and lists differ")
    except E2SError as error:
        found.append(f"refused: {error}")
    finally:
        ca.close()
        database.close()
    return found


def _serials(ca: Authority) -> list[int]:
    with ca.database.reading() as connection:
        rows = connection.execute(register.CERTIFICATES.select()).all()
    return [int.from_bytes(row.serial, "big") for row in rows]


def _register(ca: Authority) -> dict[int, str]:
    """Of each serial, why it is revoked or that it is good."""
    with ca.database.reading() as connection:
        rows = connection.execute(register.CERTIFICATES.select()).all()
        standing = connection.execute(register.REVOCATIONS.select()).all()
    reasons = {row.certificate: row.reason for row in standing}
    return {int.from_bytes(row.serial, "big"): reasons.get(row.id, "good") for row in rows}


def _listed(ca: Authority) -> set[int]:
    """What the complete list says, as its delta list changes it."""
    lists = {one.delta: CrlIndex.read(one.der).revoked for one in ca.current_lists()}
    known = {serial: lists[kind][serial].reason for kind in (False, True) for serial in lists[kind]}
    return {serial for serial, reason in known.items() if reason != REMOVED}


def _answers(responder: Responder, pki: Pki, serials: list[int]) -> dict[int, str]:
    told = {}
    for start in range(0, len(serials), ASKED):
        some = serials[start : start + ASKED]
        query = write_query(tuple(cert_id(pki.operating, serial) for serial in some))
        body = responder.handle(Request("POST", "/", query, {"content-type": QUERY})).body
        for single in Answer.read(body).singles:
            reason = None if single.revocation is None else single.revocation.reason
            told[single.serial] = reason or single.status
    return told


def _lines(folder: Path) -> list[str]:
    path = folder / "released"
    return path.read_text().splitlines() if path.exists() else []


def killed(folder: Path, seed: str, times: int) -> dict[str, Any]:
    """Live and be killed ``times`` times; what was found."""
    pki, found, counts = make_pki(), [], Counter[str]()
    signer = pki.signer("ocsp-responder", "urn:e2s:market:ca:ocsp")
    home = folder
    for number in range(times):
        home = folder / f"status-{number // LIVES}"
        home.mkdir(exist_ok=True)
        pid = os.fork()
        if not pid:
            with suppress(E2SError):
                life(home, pki, signer, f"{seed}/{number}")
            os._exit(1)
        _, status = os.waitpid(pid, 0)
        if status != signal.SIGKILL:
            found.append(f"life {number} ended by itself: {status}")
        found += [f"life {number}: {fault}" for fault in faults(home, pki, signer)]
        counts["kills"] += 1
    lines = [line.split() for home in folder.glob("status-*") for line in _lines(home)]
    counts["followed"] = sum(int(count) for _, _, count in lines)
    return {"faults": found, "overlooked": overlooked(home, pki, signer), **counts}


#: Ways in which a responder could be wrong; each must be found.
FALSE = {
    "a revocation is gone": "UPDATE status SET entry = NULL",
    "a certificate is gone": "DELETE FROM status",
    "it ran ahead": "UPDATE status_ca SET number = number + 1000",
}


def overlooked(home: Path, pki: Pki, signer: Signer) -> list[str]:
    """Which falsified statuses nobody noticed."""
    missed = []
    for name, statement in FALSE.items():
        copy = home.with_name(f"false-{secrets.token_hex(4)}")
        shutil.copytree(home, copy)
        database = Database.open(copy / "status.sqlite", store.TABLES)
        with database.transaction() as connection:
            connection.exec_driver_sql(statement)
        database.close()
        if not faults(copy, pki, signer):
            missed.append(name)
    return missed


if __name__ == "__main__":
    print(json.dumps(killed(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
