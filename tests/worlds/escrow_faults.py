"""An escrow whose vault and tools are killed again and again, from its first policy to shares that moved.

Run as a program.  Each life is a process of its own, killed at a commit, at a signature or at some instant, and
goes on where the one before it died.  What the vault has is looked through after each death: every case's
transcript must be good, and what is told must be what was done.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2s.base import wire
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.security.escrow import governing, recovering, rehearsing, resharing, store, tables
from e2s.security.escrow.judging import judge_transcript
from e2s.security.escrow.transcript import transcript
from e2s.security.escrow.words import sign_at
from e2s.security.keys.durable import replace_file
from tests.worlds.escrow import PAUL, RITA, World
from tests.worlds.pki import Pki, make_pki
from tests.worlds.registration_faults import lived

KEYS = 2


class Campaign:
    """One escrow, from its policy to its last receipt."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        folder.mkdir()
        self.world = World(folder, pki, governed=False)
        self.world.vault.database.close()
        self.given = folder / "given"
        self.given.mkdir()
        #: Keys are made before: a holder's does not change when a deposit is repeated.
        self.owners = [self.world.anna, self.world.lena][:KEYS]

    # ---------------------------------------------------------------- a life
    def live(self) -> None:
        """All that is still to be done."""
        world = self.world
        world.vault = world.opened()
        start = world.clock.at
        self._govern(1, world.keepers[:3])
        for owner in self.owners:
            world.deposit(owner)
        for owner in self.owners:
            self._recover(owner.name, owner.certificate)
        world.clock.at = start + timedelta(days=5)
        self._rehearse()
        self._govern(2, world.keepers[2:5])
        for keeper in (*world.keepers, *world.keepers):
            resharing.move_all(
                world.vault, keeper.name, [keeper.opener], keeper.sign,
                secrets.token_bytes,
            )  # fmt: skip
        world.vault.database.close()

    def _govern(self, version: int, keepers) -> None:
        world = self.world
        with world.vault.database.reading() as connection:
            rows = [one for one in store.policies(connection) if one.version == version]
        if any(one.agreed is not None for one in rows):
            return
        if not rows:
            world.govern(keepers)
            return
        agreed = governing.agree_document(world.vault, PAUL, rows[0].id)
        governing.take_policy(world.vault, sign_at(agreed, world.paul.signer))

    def _recover(self, holder: str, certificate: Certificate) -> None:
        world = self.world
        world.clock.at = world.pki.at
        row = self._case(holder)
        if row is None:
            world.open(world.deposited(certificate), to=world.otto)
            row = self._case(holder)
        with world.vault.database.reading() as connection:
            approved = {one.officer for one in store.words(connection, row.n) if one.kind == "approved"}
        if row.state == "open":
            for keeper in world.keepers[:2]:
                if keeper.name not in approved:
                    world.approve(row.short, keeper)
        world.clock.at = world.pki.at + timedelta(hours=80)
        if row.state == "received":
            return
        world.release(row.short)
        package = recovering.package(world.vault, row.short)
        (found,) = recovering.recover(package, world.otto.opener)
        plain = found.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        replace_file(self.given / holder.rsplit(":", 1)[-1], plain)
        world.receive(row.short, world.otto)

    def _rehearse(self) -> None:
        world = self.world

        def sign(said):
            return sign_at(said, world.rita.signer)

        rows = [one for one in self._cases() if one.path == "drill"]
        if not rows:
            rehearsing.start(world.vault, RITA, [world.rita.certificate], sign)
            rows = [one for one in self._cases() if one.path == "drill"]
        row = rows[-1]
        if row.state == "received":
            return
        with world.vault.database.reading() as connection:
            approved = {one.officer for one in store.words(connection, row.n)}
        for keeper in world.keepers[:2]:
            if keeper.name not in approved and row.state == "open":
                world.approve(row.short, keeper)
        rehearsing.finish(world.vault, RITA, row.short, world.rita.opener, sign)

    def _cases(self):
        with self.world.vault.database.reading() as connection:
            return store.cases(connection)

    def _case(self, holder: str):
        return next((one for one in self._cases() if one.holder == holder), None)

    # ---------------------------------------------------------------- what is looked through
    def faults(self, *, ended: bool) -> list[str]:
        """What the vault has that may not be."""
        world = self.world
        world.vault = world.opened()
        try:
            return [*self._books(), *self._stories(), *(self._end() if ended else ())]
        finally:
            world.vault.database.close()

    def _books(self):
        with self.world.vault.database.reading() as connection:
            deposits = store.deposits(connection, drills=True)
            cases = store.cases(connection)
            told = Counter(
                (
                    event["kind"].removeprefix("escrow."),
                    event["facts"].get("case") or event["facts"].get("deposit"),
                )
                for event in (
                    wire.decode(body) for _, body in tables.OUTBOX.waiting(connection, "audit", 100_000)
                )
            )
            for row in deposits:
                if told["deposited", row.id] != 1:
                    yield f"{told['deposited', row.id]} events of a deposit"
                if len(store.shares(connection, row.n)) < 3:
                    yield "a deposit without a share"
            if len({row.certificate for row in deposits}) != len(deposits):
                yield "a key was kept twice"
            for row in cases:
                words = Counter(one.kind for one in store.words(connection, row.n))
                entries = Counter(one.kind for one in store.entries(connection, row.n))
                for kind in ("opened", "notified", "approved", "released", "received", "stopped"):
                    if told[kind, row.short] != entries[kind]:
                        yield f"{row.short}: {told[kind, row.short]} events and {entries[kind]} entries of {kind}"
                    if kind in {"approved", "received"} and words[kind] != entries[kind]:
                        yield f"{row.short}: {words[kind]} words and {entries[kind]} entries of {kind}"
                if max(entries["opened"], entries["released"], entries["received"]) > 1:
                    yield f"{row.short}: something was done twice"
            orphans = sa.select(sa.func.count()).select_from(tables.TURNED)
            boxes = connection.execute(orphans).scalar_one()
            if boxes != sum(told["approved", row.short] for row in cases):
                yield f"{boxes} shares for the approvals"

    def _stories(self):
        for row in self._cases():
            found = judge_transcript(transcript(self.world.vault, row.short), [self.world.pki.root])
            if found.state != row.state:
                yield f"{row.short} is {row.state}, and its story says {found.state}"

    def _end(self):
        world = self.world
        for owner in self.owners:
            path = self.given / owner.name.rsplit(":", 1)[-1]
            plain = owner.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            if not path.exists() or path.read_bytes() != plain:
                yield f"{owner.name}: another key came back, or none"
        if [row.state for row in self._cases()] != ["received"] * (KEYS + 1):
            yield "a case that is not over"
        for owner in self.owners:
            ident = world.deposited(owner.certificate)
            world.clock.at = world.pki.at + timedelta(days=6)
            case = world.open(ident, to=world.otto)
            for keeper in world.keepers[3:5]:
                world.approve(case, keeper)
            world.clock.forward(hours=80)
            world.release(case)
            if spki_of(world.recover(case, world.otto)[0].public_key()) != owner.certificate.spki:
                yield f"{owner.name}: the new officers recover another key"
        world.clock.at = world.pki.at


def main(folder: Path, seed: str, kills: int) -> dict[str, object]:
    chance, pki = random.Random(seed), make_pki()
    died, faults, campaigns = 0, [], 0
    while died < kills and not faults:
        campaign = Campaign(folder / f"{campaigns}", pki)
        campaigns += 1
        ended = False
        while not ended and not faults:
            child = lived(campaign.live, f"{chance.random()}" if died < kills else "")
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            ended = status == 0
            if status == -signal.SIGKILL:
                died += 1
            elif status:
                faults.append(f"a life ended with {status}")
            faults += campaign.faults(ended=ended)
    return {"kills": died, "campaigns": campaigns, "faults": faults}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
