"""A CMP door that is killed again and again while clients ask, repeat, confirm, or never do.

Run as a program, as :mod:`tests.worlds.enrolment_faults`.  A client keeps what it is about to send, and sends it
again in the next life until it knows the answer.  At the end each certificate that its client confirmed is
good, every other one is revoked, and none is there twice.
"""

from __future__ import annotations

import json
import secrets
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

from e2s.base.http import Request
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.cmp import store
from e2s.security.cmp.answers import Confirmation, confirmation, read_certified
from e2s.security.cmp.header import Header
from e2s.security.cmp.message import Message, Part, read_message
from e2s.security.cmp.pieces import StatusInfo
from e2s.security.cmp.protection import Shared, protected_message
from e2s.security.cmp.requests import write_request
from e2s.security.cmp.transactions import CONFIRMING
from e2s.security.cmp.vocabulary import MEDIA_TYPE, Body, Status
from e2s.security.pki import store as pki_store
from tests.worlds.enrolment import World, key
from tests.worlds.enrolment_faults import campaigned
from tests.worlds.pki import Pki

NAME = "urn:e2s:market:alpha:box"
CLIENTS, THREADS = 8, 3
#: Of the clients: who rejects what comes, and who never says anything.
REJECTS, SILENT = {3}, {5, 6}


class Campaign:
    """Some clients, each with a key and a folder of what it sent."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        folder.mkdir()
        self.folder, self.pki = folder, pki
        self.storage = secrets.token_bytes(32)
        self.keys = [key() for _ in range(CLIENTS)]
        world = self.opened()
        self.reference, self.secret = world.invite("component", (NAME,), uses=CLIENTS)
        world.close()

    def opened(self) -> World:
        return World(self.folder, pki=self.pki, storage=self.storage)

    def live(self) -> None:
        """Each client goes on where it was."""
        world = self.opened()
        world.desk.tick()
        door = world.door("cmp")
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda place: self._client(world, door, place), range(CLIENTS)))
        door.tick(world.clock.now())
        door.close()
        world.close()

    def _client(self, world: World, door, place: int) -> None:
        content = write_request(self.keys[place], subject=der.sequence())
        answer = self._sent(world, door, place, Part(Body.IR, content))
        if place in SILENT:
            return
        certificate = read_certified(answer.body.content).certificate
        rejected = StatusInfo(status=Status.REJECTION) if place in REJECTS else None
        said = confirmation(Confirmation(sha256(certificate).digest(), 0, rejected))
        self._sent(world, door, place, Part(Body.CERT_CONF, said), answer)
        if place not in REJECTS:
            (self.folder / f"{place}.confirmed").write_bytes(certificate)

    def _sent(self, world: World, door, place: int, body: Part, before: Message | None = None) -> Message:
        """The answer to a message that is the same in each life, twice: a repeat changes nothing."""
        path = self.folder / f"{place}.{body.kind.name}"
        if not path.exists():
            aside = path.with_suffix(".aside")
            aside.write_bytes(self._message(world, body, before))
            aside.rename(path)
        asked = Request("POST", "/cmp", path.read_bytes(), {"content-type": MEDIA_TYPE})
        answers = [door(asked) for _ in range(2)]
        assert answers[0].body == answers[1].body
        assert answers[0].headers.get("e2s-rule") is None, answers[0].headers
        return read_message(answers[0].body)

    def _message(self, world: World, body: Part, before: Message | None) -> bytes:
        header = Header(
            time=world.clock.now(),
            transaction=before.header.transaction if before else secrets.token_bytes(16),
            nonce=secrets.token_bytes(16),
            answered=before.header.nonce if before else b"",
        )
        shared = Shared(reference=self.reference.encode(), secret=self.secret, random=secrets.token_bytes)
        return protected_message(header, body, shared)

    def faults(self, *, ended: bool) -> list[str]:
        """What the books say that may not be, now or, once all is over, later."""
        world = self.opened()
        try:
            return list(self._faults(world, ended=ended))
        finally:
            world.close()

    def _faults(self, world: World, *, ended: bool):
        with world.authority.database.reading() as connection:
            table = pki_store.CERTIFICATES
            rows = connection.execute(
                sa.select(table.c.der).where(table.c.der.is_not(None), table.c.approval != b"")
            )
            issued = [Certificate.read(row.der) for row in rows]
        if len({one.spki for one in issued}) != len(issued):
            yield "a key was certified twice"
        confirmed = {path.read_bytes() for path in self.folder.glob("*.confirmed")}
        for one in issued:
            if one.der in confirmed and world.desk.revoked(one.serial):
                yield "a certificate that was confirmed is revoked"
        if ended:
            yield from self._at_the_end(world, issued, confirmed)

    def _at_the_end(self, world: World, issued: list[Certificate], confirmed: set[bytes]):
        door = world.door("cmp")
        door.tick(world.clock.forward(seconds=CONFIRMING.total_seconds() + 1))
        with door.database.reading() as connection:
            states = {row.state for row in connection.execute(sa.select(store.TRANSACTION))}
        door.close()
        if states - {"done", "lapsed"}:
            yield f"transactions are left in {states}"
        if len(issued) != CLIENTS or len(confirmed) != CLIENTS - len(REJECTS | SILENT):
            yield f"{len(issued)} certificates, {len(confirmed)} confirmed"
        for one in issued:
            if world.desk.revoked(one.serial) == (one.der in confirmed):
                yield "confirmed and revoked, or neither"


if __name__ == "__main__":
    print(json.dumps(campaigned(Campaign, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
