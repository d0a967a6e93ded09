"""A CA whose register is a list of changes, and a responder that follows it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from e2s.base.database import Database
from e2s.base.http import Request, Response
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.security.status import store
from e2s.security.status.answers import cert_id
from e2s.security.status.entries import Entry, encode
from e2s.security.status.queries import write_query
from e2s.security.status.responder import QUERY, Answering, Responder
from e2s.security.verification.ocsp import Answer
from tests.worlds.pki import Pki, SetClock, make_pki

OCSP = "urn:e2s:market:ca:ocsp"


class Told(NamedTuple):
    number: int
    serial: int
    entry: bytes | None = None
    known: bool = True


@dataclass
class StatusWorld:
    """``feed`` is the CA's; :meth:`follow` hands the responder what is new in it."""

    path: Path
    pki: Pki
    clock: SetClock = field(default_factory=SetClock)
    answering: Answering | None = None
    suite: str = "p256-sha256"
    feed: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ca: Certificate = self.pki.operating
        self.signer: Signer = self.pki.signer("ocsp-responder", OCSP, suite=self.suite)
        self.open()

    def open(self) -> None:
        """Start, or start again after the process ended."""
        self.database = Database.open(self.path / "status.sqlite", store.TABLES)
        self.responder = Responder(self.database, clock=self.clock, answering=self.answering, prefix="/ocsp")
        self.responder.speak(self.ca, self.signer)
        self.follow()

    def tell(self, serial: int, entry: Entry | None = None, *, known: bool = True) -> None:
        octets = None if entry is None else encode(entry)
        self.feed.append(Told(len(self.feed) + 1, serial, octets, known))
        self.follow()

    def revoke(self, serial: int, reason: str = "keyCompromise") -> None:
        self.tell(serial, Entry(serial, self.clock.at, reason))

    def follow(self) -> int:
        with self.database.transaction() as connection:
            number = self.responder.followed(connection, self.ca)
            return self.responder.apply(connection, self.ca, self.feed[number:], self.clock.at)

    def query(self, *serials: int, nonce: bytes | None = None, hashing: str = "sha1", ca=None) -> bytes:
        return write_query(tuple(cert_id(ca or self.ca, one, hashing) for one in serials), nonce)

    def ask(self, octets: bytes) -> Response:
        return self.responder.handle(Request("POST", "/ocsp", octets, {"content-type": QUERY}))

    def told(self, *serials: int, **more) -> Answer:
        return Answer.read(self.ask(self.query(*serials, **more)).body)

    def status(self, serial: int) -> str:
        (single,) = self.told(serial).singles
        return single.status if single.revocation is None else single.revocation.reason


def make_status(path: Path, *, suite: str = "p256-sha256", answering: Answering | None = None) -> StatusWorld:
    return StatusWorld(path, make_pki(suite=suite), answering=answering, suite=suite)


def run(*command: object, check: Callable[[int], bool] = lambda code: code == 0) -> str:
    """What a judge printed, on either channel."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=60
    )
    assert check(done.returncode), done.stdout + done.stderr
    return done.stdout + done.stderr
