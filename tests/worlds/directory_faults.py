"""A publisher that is killed again and again, its slapd with it, and what stands in the directory after each time.

Run as a program: each life is a process of its own on a real register, a real database and a real slapd.  After
each, a new start must bring directory and register together, entry by entry, and a repetition change nothing.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from e2s.base import meter
from e2s.base.errors import E2SError, Refusal
from e2s.security.directory import entries, store
from e2s.security.directory.entries import Entry
from e2s.security.directory.session import Session
from e2s.security.pki import holdings
from tests.worlds.directory import KEYS, OFFICER, Published
from tests.worlds.slapd import SUFFIX, Server

#: A register and a tree are used for so many lives: a longer one would tell no more.
LIVES = 25
KINDS = ("commit", "answer", "answer", "time")


def opened(folder: Path, server: Server, number: int) -> Published:
    return Published(folder / f"ca-{number}", server.address(), server.login, f"ou=f{number},{SUFFIX}")


def life(folder: Path, server: Server, number: int, seed: str) -> None:
    """Issue, withdraw, list and publish until killed."""
    signal.alarm(60)  # a life that nothing ends is a fault
    chance = random.Random(seed)
    kind, point = chance.choice(KINDS), chance.randint(1, 40)
    killing = chance.random() < 0.3
    if kind == "time":
        threading.Timer(chance.uniform(0.01, 0.25), _die).start()
    world = opened(folder, server, number)
    counts = Counter[str]()
    answer = Session._answer

    def count(what: str) -> None:
        counts[what] += 1
        if killing and counts[what] == max(1, point // 2) and server.process is not None:
            os.kill(server.process.pid, signal.SIGKILL)
        if what == kind and counts[what] >= point:
            _die()

    def answered(self: Session, *words: Any) -> None:
        answer(self, *words)
        count("answer")

    Session._answer = answered  # type: ignore[method-assign,assignment]
    meter.watch(lambda what, _count: count(what) if what == "commit" else None)
    known = [change.serial for change in world.ca.changes(0) if change.der][-20:]
    while True:
        for _ in range(chance.choice((1, 3, 12))):
            _act(world, chance, known)
        world.ca.current_lists()
        world.clock.forward(seconds=1)
        world.publisher.tick()
        if killing and world.publisher._failures > 2:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _act(world: Published, chance: random.Random, known: list[int]) -> None:
    serial = chance.choice(known) if known else 0
    act = chance.choice(("issue", "issue", "revoke", "hold", "release")) if known else "issue"
    with suppress(Refusal):
        match act:
            case "issue":
                holder = chance.choice(("ada", "bob", "cyd", "dan", "eve", "Fay", "gil,x"))
                kind, key = chance.choice((("buyer", KEYS[0]), ("component", KEYS[1])))
                name = f"urn:e2s:market:{chance.choice(('volt', 'alpha'))}:{holder}"
                known.append(world.ca.issue(kind, key, (name,), officer=OFFICER).serial)
            case "revoke":
                world.ca.revoke(serial, "superseded", officer=OFFICER)
            case "hold":
                world.ca.hold(serial, officer=OFFICER)
            case _:
                world.ca.release(serial, officer=OFFICER)


def faults(folder: Path, server: Server, number: int) -> list[str]:
    """In what register and directory differ after a new start, and what a repetition changes."""
    if server.process is None or server.process.poll() is not None:
        server.process = None
        server.start()
    found: list[str] = []
    world = opened(folder, server, number)
    try:
        world.publish()
        found += apart(world)
        before = world.stamps()
        with world.database.reading() as connection:
            keys = sorted(store.all_keys(connection))
        world.mirror.want(keys)
        world.publish()
        if world.stamps() != before:
            found.append("a repetition changed an entry")
        if world.waiting():
            found.append("something still waits")
    except E2SError as error:
        found.append(f"refused: {error}")
    finally:
        world.close()
        world.ca.close()
    return found


def apart(world: Published) -> list[str]:
    """What an outsider sees: the register's good certificates are those in the tree, and the list is the newest."""
    with world.ca.database.reading() as connection:
        good = {
            one.certificate.der
            for one in holdings.holdings(connection, world.clock.now())
            if one.state == "good"
        }
    standing: set[bytes] = set()
    for _dn, values in world.session.every(world.tree.dn(""), "(objectClass=pkiUser)", (entries.USER,)):
        standing.update(values.get(entries.USER, ()))
    found = [] if standing == good else [f"{len(standing - good)} too many, {len(good - standing)} lacking"]
    newest = {one.der for one in world.ca.current_lists()}
    values = world.values("cn=operating-ca,ou=ca") or {}
    if set(values.get(entries.LIST, ())) != newest:
        found.append("another list stands there")
    found += [f"differs: {one}" for one in world.differ()]
    if world.mirror.differing():
        found.append("the database differs from the register")
    return found


def killed(folder: Path, seed: str, times: int) -> dict[str, Any]:
    """Live and be killed ``times`` times; what was found."""
    server = Server(folder / "slapd").start()
    found: list[str] = []
    counts = Counter[str]()
    try:
        for turn in range(times):
            number = turn // LIVES
            before = server.process
            pid = os.fork()
            if not pid:
                with suppress(E2SError):
                    life(folder, server, number, f"{seed}/{turn}")
                os._exit(1)
            _, status = os.waitpid(pid, 0)
            if status != signal.SIGKILL:
                found.append(f"life {turn} ended by itself: {status}")
            found += [f"life {turn}: {fault}" for fault in faults(folder, server, number)]
            counts["kills"] += 1
            counts["slapds"] += server.process is not before
        overlooking = overlooked(folder, server, (times - 1) // LIVES)
        counts["changes"] = sum(_changes(folder, server, number) for number in range(-(-times // LIVES)))
    finally:
        server.stop()
    return {"faults": found, "overlooked": overlooking, **counts}


def _changes(folder: Path, server: Server, number: int) -> int:
    world = opened(folder, server, number)
    with world.database.reading() as connection:
        last = store.followed(connection, world.ca.certificate.digest)
    world.close()
    world.ca.close()
    return last


def overlooked(folder: Path, server: Server, number: int) -> list[str]:
    """Which false directories nobody noticed."""
    world = opened(folder, server, number)
    missed = []
    try:
        anna = world.issue("urn:e2s:market:alpha:anna")
        gone = world.issue("urn:e2s:market:alpha:gone")
        world.revoke(gone)
        world.publish()
        at, ca = world.tree.dn("uid=anna,ou=alpha"), world.tree.dn("cn=operating-ca,ou=ca")
        back = Entry(dn=world.tree.dn("uid=gone,ou=alpha"), attributes=_person(gone.der))
        for name, act in {
            "a certificate is gone": lambda: world.session.delete_all([at]),
            "a revoked one is back": lambda: world.session.add_all([back]),
            "one stands with another": lambda: world.session.change_all([(at, {entries.USER: (anna.der, gone.der)})]),
            "there is no list": lambda: world.session.change_all([(ca, {"objectClass": (b"applicationProcess", b"pkiCA", b"labeledURIObject"), entries.LIST: (), entries.AUTHORITY_LIST: ()})]),
        }.items():  # fmt: skip
            act()
            if not apart(world):
                missed.append(name)
            world.mirror.want(["uid=anna,ou=alpha", "uid=gone,ou=alpha", "cn=operating-ca,ou=ca"])
            world.publish()
            if apart(world):
                missed.append(f"{name}, and stays so")
    finally:
        world.close()
        world.ca.close()
    return missed


def _person(der: bytes) -> dict[str, tuple[bytes, ...]]:
    return {
        "objectClass": (b"inetOrgPerson", b"pkiUser"),
        "uid": (b"gone",),
        "cn": (b"gone",),
        "sn": (b"gone",),
        entries.USER: (der,),
    }


if __name__ == "__main__":
    print(json.dumps(killed(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
