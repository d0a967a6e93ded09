"""A registration authority whose disk is full: it refuses, loses nothing, and goes on; run as a program."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from e2s.base.errors import E2SError
from e2s.security.registration import batch
from tests.fire import disks
from tests.worlds.pki import make_pki
from tests.worlds.registration import World, a_row, sheet

ROWS = 200


def main(folder: Path) -> dict[str, object]:
    disk = folder / "disk"
    disk.mkdir()
    disks.mount(disk)
    world = World(disk, make_pki())
    world.ca.away = True
    file = sheet([a_row(n) for n in range(ROWS)])
    ident = batch.batch_id(file, world.office)
    case = world.named("X1000000", label="anna")
    world.office.salt()
    disks.full(disk)
    refused = {
        "batch": _rule(lambda: batch.register(world.office, file, disk, world.olga, ident)),
        "open": _rule(lambda: [world.open() for _ in range(200)]),
        "approve": _rule(lambda: [world.first([case]) for _ in range(1)]),
    }
    disks.free(disk)
    kept = world.state(case)
    file.seek(0)
    tally = batch.register(world.office, file, disk, world.olga, ident)
    if world.state(case) == "named":
        world.first([case])
    world.ca.away = False
    certified = world.submit().certified
    told = {"refused": refused, "kept": kept, "certified": certified, "registered": tally.ok + tally.done}
    world.office.database.close()
    world.ca.authority.close()
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
