"""The keys that EST makes for others and those of SCEP's door, in a process that is killed again and again.

Run as a program.  Holders ask for keys and devices for certificates until each has hers, from the start in each
life.  Whoever got something once gets the same for ever; no certificate is for a key that is lost.
"""

from __future__ import annotations

import json
import random
import secrets
import signal
import sys
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from e2s.base.http import Handler, Request, Response
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.security.enrolment.invitations import code_of
from e2s.security.enrolment.storage import Storage
from e2s.security.est import packages, store
from e2s.security.est.client import EstClient, Made
from e2s.security.pki import store as pki_store
from e2s.security.scep.keys import KeyRing
from tests.worlds.enrolment import World, key
from tests.worlds.enrolment_faults import lived
from tests.worlds.pki import START, Pki, make_pki
from tests.worlds.scep import Device, rsa_key

HOLDERS = 4


class Direct:
    """An exchange with a door in this process."""

    def __init__(self, door: Handler) -> None:
        self._door = door

    def send(self, _origin: str, request: Request) -> Response:
        return self._door(replace(request, secure=True, client="192.0.2.1"))


class Campaign:
    """Some holders, each of whom is made one key, and a device that enrols."""

    def __init__(self, folder: Path, pki: Pki, device_key) -> None:
        folder.mkdir()
        self.folder, self.pki, self.device_key = folder, pki, device_key
        self.storage = secrets.token_bytes(32)
        self.keys = [key() for _ in range(HOLDERS)]
        world = self.opened()
        self.codes = [world.invite("person") for _ in range(HOLDERS + 1)]
        world.close()
        self.requests = [packages.key_request(one) for one in self.keys]

    def opened(self) -> World:
        return World(self.folder, pki=self.pki, storage=self.storage)

    def live(self) -> None:
        """What clients do until each has her answer; what they got is written down and compared."""
        world = self.opened()
        world.desk.tick()
        est, scep = world.door("est"), world.door("scep")
        for place, request in enumerate(self.requests):
            asking = EstClient(
                Direct(est), "https://localhost", label="person-agreement", invitation=self.codes[place]
            )
            made = asking.serverkeygen(request, packages.opener_of(self.keys[place], START))
            assert isinstance(made, Made)
            self._same(f"holder-{place}", made.certificate.der + packages.plain(made.key))
        device = Device(scep, START, key=self.device_key)
        self._same("sealing", device.ra_sealing.der)
        self._same("signing", device.ra_signing.der)
        answer = device.enrol(code_of(*self.codes[-1]))
        self._same("device", answer.certificates[0].der)
        world.close()

    def _same(self, name: str, octets: bytes) -> None:
        """What was got once is got again; the answer is with its client from now on."""
        path = self.folder / f"got-{name}"
        if path.exists():
            assert path.read_bytes() == octets, f"{name} got something else than before"
            return
        aside = path.with_suffix(".new")
        aside.write_bytes(octets)
        aside.replace(path)

    def faults(self, *, ended: bool) -> list[str]:
        """What may not be: a certificate for a key that nobody has, or two of what there is one of."""
        world = self.opened()
        world.desk.tick()
        table = pki_store.CERTIFICATES
        with world.authority.database.reading() as connection:
            query = sa.select(table.c.profile, table.c.der).where(table.c.der.is_not(None))
            issued = [(row.profile, Certificate.read(row.der)) for row in connection.execute(query)]
        found = [
            *self._made([one for profile, one in issued if profile == "person-agreement"]),
            *self._doors(world, [one for profile, one in issued if profile == "component-agreement"]),
        ]
        persons = sum(profile == "person" for profile, _ in issued)
        if persons > 1 or (ended and persons != 1):
            found.append(f"the device has {persons} certificates")
        world.close()
        return found

    def _made(self, issued: list[Certificate]) -> list[str]:
        kept: set[bytes] = set()
        if (self.folder / "est.sqlite").exists():
            storage = Storage(self.storage, "e2s/1/est-key", secrets.token_bytes)
            engine = sa.create_engine(f"sqlite:///{self.folder / 'est.sqlite'}")
            with engine.connect() as connection:
                if sa.inspect(connection).has_table("keys"):
                    for row in connection.execute(sa.select(store.KEYS)):
                        opened = packages.read_plain(storage.open(row.transaction, row.key))
                        kept.add(spki_of(opened.public_key()))
            engine.dispose()
        lost = [one for one in issued if one.spki not in kept]
        if lost or len(issued) > HOLDERS:
            return [f"{len(issued)} certificates for keys that were made, {len(lost)} of them for lost ones"]
        return []

    def _doors(self, world: World, issued: list[Certificate]) -> list[str]:
        pairs = KeyRing(world.setting(certify=None))._read()
        keys = {spki_of(pair.key.public_key()) for pair in pairs or ()}
        lost = [one for one in issued if one.spki not in keys]
        return [f"{len(lost)} certificates of the door are for lost keys"] if lost else []


def main(folder: Path, seed: str, kills: int) -> dict[str, object]:
    chance, pki, device_key = random.Random(seed), make_pki(), rsa_key()
    died, campaigns, faults = 0, 0, list[str]()
    while died < kills and not faults:
        campaign = Campaign(folder / f"{campaigns}", pki, device_key)
        campaigns += 1
        ended = False
        while not ended and not faults:
            status = lived(campaign.live, f"{chance.random()}" if died < kills else "")
            ended = status == 0
            if status == -signal.SIGKILL:
                died += 1
            elif status:
                faults.append(f"a life ended with {status}")
            faults += campaign.faults(ended=ended)
    return {"kills": died, "campaigns": campaigns, "faults": faults}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
