"""An ACME door in memory, with clients that answer their challenges by word."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import ec

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.http import Handler, Request, Response
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey
from e2s.security.acme import store
from e2s.security.acme.client import AcmeClient
from e2s.security.acme.service import AcmeDoor, Bounds
from e2s.security.acme.validation import Proof
from e2s.security.certificates.certify import request
from e2s.security.enrolment.policy import Policy, shipped
from e2s.security.repository.rates import Rates
from tests.worlds.enrolment import World
from tests.worlds.pki import Pki, SetClock

ORIGIN = "https://enrol.market.example"
BASE = f"{ORIGIN}/acme"
SHOP = "shop.alpha.example"
FREE = Bounds(rates=Rates(each=1e6, total=1e6))


def policy(**more) -> Policy:
    """The policy that comes with E2S, its ACME door told otherwise."""
    return replace(shipped(), acme=replace(shipped().acme, **more))


class Hosts:
    """Every host of the world: what is shown there, and what is asked."""

    def __init__(self) -> None:
        self.shown: dict[tuple[str, str], str] = {}
        self.asked: list[Proof] = []
        self.fault: Refusal | None = None

    def validate(self, proof: Proof) -> None:
        self.asked.append(proof)
        if self.fault is not None:
            raise self.fault
        if self.shown.get((proof.host.value, proof.token)) != proof.authorisation:
            raise Refusal("wrong-answer", "the file is not what was to be in it")


class Word:
    """A responder that tells the hosts."""

    def __init__(self, hosts: Hosts, kind: str = "http-01") -> None:
        self.kind = kind
        self._hosts = hosts

    def show(self, proof: Proof) -> None:
        self._hosts.shown[proof.host.value, proof.token] = proof.authorisation

    def hide(self, proof: Proof) -> None:
        del self._hosts.shown[proof.host.value, proof.token]


class Carried:
    """An exchange with one handler."""

    def __init__(self, door: Handler, client: str = "192.0.2.1") -> None:
        self.door, self.client = door, client
        self.last: Request | None = None

    def send(self, origin: str, request: Request) -> Response:
        assert origin == ORIGIN
        self.last = Request(request.method, request.path, request.body, request.headers, self.client)
        return self.door(self.last)


class AcmeWorld:
    """A desk's ACME door; ``hosts`` prove whatever the clients show there."""

    def __init__(
        self,
        folder: Path,
        *,
        bounds: Bounds = FREE,
        pki: Pki | None = None,
        storage: bytes = b"",
        **told,
    ) -> None:
        told.setdefault("hosts", MappingProxyType({}))
        self.clock = SetClock()
        self.world = World(folder, clock=self.clock, policy=policy(**told), pki=pki, storage=storage)
        self.bounds = bounds
        self.hosts = Hosts()
        self._open()

    def _open(self) -> None:
        setting = self.world.setting(origin=ORIGIN)
        self.door = AcmeDoor(self.world.desk, setting, bounds=self.bounds, validate=self.hosts.validate)

    def close(self) -> None:
        self.door.close()
        self.world.close()

    def reopen(self) -> None:
        self.door.close()
        self.world.reopen()
        self._open()

    def invite(self, names=(SHOP,), **more) -> tuple[str, bytes]:
        return self.world.invite("tls-server", names, **more)

    def client(self, *names: str, key: PrivateKey | None = None, register: bool = True) -> AcmeClient:
        """A client with an account that is bound to a new invitation for ``names``."""
        made = AcmeClient(
            exchange=Carried(self.door),
            directory=f"{BASE}/directory",
            key=key or ec.generate_private_key(ec.SECP256R1()),
            pause=self.pause,
            looks=2000,
        )
        if register:
            made.register(["mailto:anna@alpha.example"], binding=self.invite(names or (SHOP,)))
        return made

    def pause(self, _seconds: float) -> None:
        """Let the validating threads end; what is tried again becomes due."""
        self.settle()
        self.clock.forward(seconds=1)

    def settle(self) -> None:
        """Until nothing is being tried."""
        while self.door._challenges._trying:
            threading.Event().wait(0.001)

    def obtain(self, client: AcmeClient, *names: str, **more) -> tuple[Certificate, ...]:
        names = names or (SHOP,)
        return client.obtain(names, csr(*names), Word(self.hosts), **more)

    def events(self) -> list[dict]:
        with self.door.database.reading() as connection:
            return [wire.decode(body) for _, body in store.OUTBOX.waiting(connection, "audit", 100_000)]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events()]


def csr(*names: str, key: PrivateKey | None = None) -> bytes:
    return request(key or ec.generate_private_key(ec.SECP256R1()), names)


def problem(response: Response) -> dict:
    assert response.headers["content-type"] == "application/problem+json", response
    told = json.loads(response.body)
    assert told["status"] == response.status
    assert told["rule"] == response.headers["e2s-rule"]
    return told


def token() -> str:
    return secrets.token_hex(8)
