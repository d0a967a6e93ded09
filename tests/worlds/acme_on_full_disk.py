"""A CA, its desk and its ACME door on a disk that is full: they refuse, lose nothing, and go on; a program."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from e2s.base.errors import E2SError
from e2s.security.acme import store
from e2s.security.acme.client import AcmeClient, Placed
from tests.fire import disks
from tests.worlds.acme import SHOP, AcmeWorld, csr

MANY = 40


def main(folder: Path) -> dict[str, object]:
    disk = folder / "disk"
    disk.mkdir()
    disks.mount(disk)
    world = AcmeWorld(disk)
    client = world.client(SHOP)
    world.obtain(client)
    placed = [client.order([SHOP]) for _ in range(MANY)]
    requests = [csr(SHOP) for _ in placed]
    client.looks = 2
    disks.full(disk)
    refused = Counter(_ask(client, *one) for one in zip(placed, requests, strict=True))
    refused += Counter(_rule(lambda: client.order([SHOP])) for _ in range(200))
    disks.free(disk)
    world.world.desk.tick()
    later = Counter(_ask(client, *one) for one in zip(placed, requests, strict=True))
    with world.door.database.reading() as connection:
        orders = list(connection.execute(sa.select(store.ORDER)))
    told = {
        "refused": refused,
        "later": later,
        # the first was before the disk was full
        "valid": sum(row.state == "valid" for row in orders) - 1,
        "issued": world.world.kinds().count("enrolment.issued") - 1,
    }
    world.close()
    disks.unmount(disk)
    return told


def _ask(client: AcmeClient, placed: Placed, request: bytes) -> str:
    return _rule(lambda: client.finalise(placed, request))


def _rule(act) -> str:
    try:
        act()
    except E2SError as error:
        return error.rule
    return ""


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
