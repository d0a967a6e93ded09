"""A CA, its desk and its ACME door, one process that is killed again and again while servers get certificates.

Run as a program.  What clients remember is what they were answered: an account's key, an order's address.  After
each death the books of all three are looked through; at the end each order has its certificate, and no more.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa

from e2s.base import wire
from e2s.crypto.certificates import Certificate
from e2s.security.acme import store
from e2s.security.acme.client import Placed
from e2s.security.enrolment import store as desk_store
from e2s.security.keys.durable import replace_file
from e2s.security.pki import store as pki_store
from tests.worlds.acme import AcmeWorld, Word, csr
from tests.worlds.enrolment import key
from tests.worlds.enrolment_faults import _events, campaigned
from tests.worlds.pki import Pki

#: Accounts, and orders of each.
ACCOUNTS, ORDERS = 3, 2


class Campaign:
    """Some servers, from their invitation to their certificates."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        folder.mkdir()
        self.folder, self.pki = folder, pki
        self.storage = secrets.token_bytes(32)
        self.keys = [key() for _ in range(ACCOUNTS)]
        self.hosts = [f"host-{place}.alpha.example" for place in range(ACCOUNTS)]
        self.requests = [[csr(host) for _ in range(ORDERS)] for host in self.hosts]
        world = self.opened()
        self.codes = [world.invite((host,)) for host in self.hosts]
        world.close()

    def opened(self) -> AcmeWorld:
        return AcmeWorld(self.folder, pki=self.pki, storage=self.storage)

    def live(self) -> None:
        """What each client does, again from the start but for the orders that it remembers."""
        world = self.opened()
        world.door.tick(world.clock.now())
        with ThreadPoolExecutor(ACCOUNTS) as pool:
            list(pool.map(lambda place: self._client(world, place), range(ACCOUNTS)))
        world.close()

    def _client(self, world: AcmeWorld, place: int) -> None:
        client = world.client(key=self.keys[place], register=False)
        client.register(binding=self.codes[place])
        for number, request in enumerate(self.requests[place]):
            memory = self.folder / f"order-{place}-{number}"
            if not memory.exists():
                replace_file(memory, client.order([self.hosts[place]]).url.encode())
            url = memory.read_text()
            placed = Placed(url=url, document=client.look(url))
            client.prove(placed, Word(world.hosts))
            (made, _) = client.finalise(placed, request)
            assert made.dns == (self.hosts[place],)

    def faults(self, *, ended: bool) -> list[str]:
        """What the books say that may not be; after a restart, that is, a tick, nothing is undone at the desk."""
        world = self.opened()
        world.world.desk.tick()
        try:
            return list(self._faults(world, ended=ended))
        finally:
            world.close()

    def _faults(self, world: AcmeWorld, *, ended: bool):
        with world.door.database.reading() as connection:
            accounts = list(connection.execute(sa.select(store.ACCOUNT)))
            orders = list(connection.execute(sa.select(store.ORDER)))
            told = Counter(
                (event["kind"], event["facts"].get("order", event["facts"].get("account")))
                for event in map(wire.decode, _events(connection, store.OUTBOX))
                if event["kind"] in {"acme.account", "acme.order", "acme.certificate"}
            )
        with world.world.office.database.reading() as connection:
            rows = list(connection.execute(sa.select(desk_store.REQUESTS)))
        with world.world.authority.database.reading() as connection:
            table = pki_store.CERTIFICATES
            good = sa.select(table).where(table.c.der.is_not(None), table.c.approval != b"")
            issued = {row.der for row in connection.execute(good)}
        mine = [row.certificate for row in orders if row.state == "valid"]
        if len(set(mine)) != len(mine) or not set(mine) <= issued:
            yield "two orders with one certificate, or one that the CA has not on record"
        if {row.certificate for row in rows if row.state == "issued"} != issued:
            yield "certificates of the desk and of the CA differ"
        if any(
            f"{Certificate.read(row.certificate).serial:x}" != row.serial for row in orders if row.certificate
        ):
            yield "an order with another's serial"
        if any((row.certificate is not None) != (row.state == "valid") for row in orders):
            yield "an order that is valid without a certificate, or the other way round"
        for account in accounts:
            if told["acme.account", account.n] != 1:
                yield f"account {account.n}: {told['acme.account', account.n]} events"
        for order in orders:
            if told["acme.order", order.n] != 1 or told["acme.certificate", order.n] != (
                order.state == "valid"
            ):
                yield f"order {order.n}: events do not tell its state, {order.state}"
        if ended and not len(mine) == len(issued) == ACCOUNTS * ORDERS == 2 * len(accounts):
            yield f"{len(mine)} orders with certificates, {len(issued)} issued, {len(accounts)} accounts"


if __name__ == "__main__":
    print(json.dumps(campaigned(Campaign, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
