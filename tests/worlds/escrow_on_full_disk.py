"""An escrow whose disk is full: it refuses, loses nothing, and goes on; run as a program."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from e2s.base.errors import E2SError
from e2s.crypto.keys import spki_of
from e2s.security.escrow.judging import judge_transcript
from e2s.security.escrow.transcript import transcript
from tests.fire import disks
from tests.worlds.escrow import ANNA, Person, World
from tests.worlds.pki import make_pki


def main(folder: Path) -> dict[str, object]:
    disk = folder / "disk"
    disk.mkdir()
    disks.mount(disk)
    world = World(disk, make_pki())
    case = world.open()
    others = [Person(world.pki, ANNA, "person") for _ in range(24)]
    disks.full(disk)
    refused = {
        "deposit": _rule(lambda: [world.deposit(one) for one in others]),
        "approve": _rule(lambda: [world.approve(case, one) for one in world.keepers[:3] for _ in range(20)]),
    }
    disks.free(disk)
    approved = sum(kind == "approved" for kind in world.kinds())
    for keeper in world.keepers[:3]:
        _rule(lambda keeper=keeper: world.approve(case, keeper))
    world.clock.forward(hours=80)
    disks.full(disk)
    refused["release"] = _rule(lambda: [world.release(case) for _ in range(3)])
    kept = world.state(case)
    disks.free(disk)
    world.release(case)
    (key,) = world.recover(case)
    world.receive(case)
    found = judge_transcript(transcript(world.vault, case), [world.pki.root])
    told = {
        "refused": refused,
        "approved": approved,
        "kept": kept,
        "state": found.state,
        "recovered": spki_of(key.public_key()) == world.anna.certificate.spki,
    }
    world.vault.database.close()
    disks.unmount(disk)
    return told


def _rule(act) -> str:
    try:
        act()
    except E2SError as error:
        return error.rule
    return ""


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
