"""A CA with its desk on a disk that is full: it refuses, takes no use, loses nothing, and goes on; a program."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from e2s.base.errors import E2SError
from e2s.security.enrolment.asking import Asked
from tests.fire import disks
from tests.worlds.enrolment import World, csr

MANY = 60


def main(folder: Path) -> dict[str, object]:
    disk = folder / "disk"
    disk.mkdir()
    disks.mount(disk)
    world = World(disk)
    codes = [world.invite() for _ in range(MANY)]
    requests = [csr() for _ in codes]
    disks.full(disk)
    refused = Counter(_ask(world, code, one) for code, one in zip(codes, requests, strict=True))
    inviting = _rule(lambda: [world.invite() for _ in range(200)])
    disks.free(disk)
    world.desk.tick()
    later = Counter(_ask(world, code, one) for code, one in zip(codes, requests, strict=True))
    told = {"refused": refused, "inviting": inviting, "later": later, "left": len(world.requests("intended"))}
    world.close()
    disks.unmount(disk)
    return told


def _ask(world: World, code: tuple[str, bytes], request: bytes) -> str:
    shown = world.desk.show(*code)
    return _rule(lambda: world.desk.ask(Asked(door="world", transaction=b"1", request=request, shown=shown)))


def _rule(act) -> str:
    try:
        act()
    except E2SError as error:
        return error.rule
    return ""


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
