"""A directory whose disk is full, then a publisher whose disk is: nothing is lost, and it goes on; run as a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from e2s.base.errors import E2SError
from tests.fire import disks
from tests.worlds.directory import Published
from tests.worlds.directory_faults import apart
from tests.worlds.slapd import SUFFIX, Server


def _rule(act: Callable[[], object]) -> str:
    """What an act was refused for; it is tried until it is."""
    for _ in range(300):
        try:
            act()
        except E2SError as error:
            return error.rule
    return ""


def _more(world: Published, many: int) -> None:
    for _ in range(many):
        world.issue()
    world.publish()


def main(folder: Path) -> dict[str, object]:
    theirs, ours = folder / "slapd", folder / "state"
    for one in (theirs, ours):
        one.mkdir()
        disks.mount(one)
    server = Server(theirs).start()
    world = Published(folder / "ca", server.address(), server.login, SUFFIX)
    world.close()
    state = str(ours / "directory.sqlite")
    world.start(state)
    _more(world, 20)
    refused = {}
    for name, disk in (("directory", theirs), ("publisher", ours)):
        disks.full(disk)
        refused[name] = _rule(lambda: _more(world, 40))
        world.publisher.tick()
        disks.free(disk)
        world.restart(state)
        _more(world, 1)
        found = apart(world)
        assert not found, found
    world.close()
    server.stop()
    for one in (theirs, ours):
        disks.unmount(one)
    return {"refused": refused, "faults": found}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
