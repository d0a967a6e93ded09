"""Administration of a small domain: four officers with rights of their own, a CA's register, records."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from e2s.base import wire
from e2s.base.http import Request, Response
from e2s.base.rights import TableAuthoriser
from e2s.base.wire import Document
from e2s.crypto.ports import Signer
from e2s.network.sessions.client import HttpExchange
from e2s.network.sessions.guarding import guarded
from e2s.network.sessions.server import Mounted, Server, listen
from e2s.security.administration import home, policies
from e2s.security.administration.desk import Desk
from e2s.security.administration.interface import application
from e2s.security.administration.logins import Logins
from e2s.security.administration.officers import KNOWN
from e2s.security.ceremonies.ceremony import write_record
from e2s.security.ceremonies.folder import CEREMONIES
from e2s.security.keys.container import Cost
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse
from e2s.security.pki.ca import RIGHTS
from e2s.security.registration import acts
from e2s.security.registration.home import Home
from e2s.security.registration.office import Office
from tests.worlds.pki import Pki
from tests.worlds.registration import CA, RIGHTS_GIVEN, World

PAULA, PETER, AUDREY, TESSA = (
    f"urn:e2s:market:authority:{name}" for name in ("paula", "peter", "audrey", "tessa")
)
#: The CA's operator, who issues by hand.
PETRA = "urn:e2s:market:authority:petra"
GIVEN = RIGHTS_GIVEN | frozenset(
    {
        *((name, right, CA) for name in (PAULA, PETER) for right in (RIGHTS.policy, RIGHTS.officers)),
        (PETER, RIGHTS.audit, CA),
        (AUDREY, RIGHTS.audit, CA),
        (PETRA, RIGHTS.certify, CA),
        # whatever may be held beside registration
        *((TESSA, right, CA) for right in KNOWN if not right.startswith(("ca.certify", "escrow."))),
    }
)
PHRASE = "the words of an officer"


class Administration(World):
    """``paula`` and ``peter`` set policy, ``audrey`` reads; olga and oskar register."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        super().__init__(folder, pki)
        for name in (PAULA, PETER, AUDREY, TESSA):
            self.officers[name] = pki.signer("officer", name)
        self.paula, self.peter, self.audrey, self.tessa = (
            self.officers[name] for name in (PAULA, PETER, AUDREY, TESSA)
        )
        record = write_record(pki.root_ca.signer, community="market", rights=GIVEN, at=self.clock.now())
        (folder / CEREMONIES).mkdir()
        (folder / CEREMONIES / "0001.cms").write_bytes(record)
        self.ca.authority.authoriser = TableAuthoriser(GIVEN)
        home.found(folder, ca=folder)

    def opened(self) -> Office:
        return replace(super().opened(), authoriser=TableAuthoriser(GIVEN))

    @cached_property
    def desk(self) -> Desk:
        return self.new_desk()

    def new_desk(self, **more) -> Desk:
        ra = Home(office=self.office, ask=self.ca.ask)
        return home.open_desk(ra, self.folder, self.pki.root, **more)

    def close(self) -> None:
        self.desk.close()
        self.office.database.close()
        self.ca.authority.close()

    # -------------------------------------------------------------- certificates
    def issue(
        self, profile: str, *names: str, case: str = "", not_after: datetime | None = None, key=None
    ) -> int:
        """A certificate by the CA's operator; its serial."""
        private = key or generate("p256-sha256", secrets.token_bytes)
        made = self.ca.authority.issue(
            profile, private.public_key(), names, officer=PETRA, case=case, not_after=not_after
        )
        return made.serial

    # -------------------------------------------------------------- policies
    def propose(self, subject: str, content: bytes, officer: Signer | None = None, why: str = "better"):
        officer = officer or self.paula
        said = policies.propose(self.desk, officer.certificate.name, subject, content, why)
        return policies.take(self.desk, acts.signed(said, officer))

    def decide(self, proposal: int, decision: str = "approve", officer: Signer | None = None):
        officer = officer or self.peter
        said = policies.decide(self.desk, officer.certificate.name, proposal, decision)
        return policies.take(self.desk, acts.signed(said, officer))

    # -------------------------------------------------------------- officers' folders
    def officers_folder(self, name: str) -> Path:
        """A folder with a sealed file, as an officer has it, and a new certificate in it."""
        folder = self.folder / "officers" / name.rpartition(":")[2]
        certificate, chain, key = self.pki.issue("officer", name)
        entry = Entry(private_key=key, certificate=certificate, chain=chain)
        cost = Cost(memory_kib=8, passes=1)
        SoftwarePse.create(
            folder / "pse", Phrase(PHRASE), {"officer": entry}, cost=cost, random=secrets.token_bytes
        ).close()
        return folder


class Interface:
    """The interface of a world's administration, served on loopback."""

    def __init__(self, world: Administration) -> None:
        self.world = world
        listening = listen()
        self.origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.logins = Logins(world.desk, audience=self.origin, random=secrets.token_bytes)
        app = guarded(application(world.desk, self.logins), origins={self.origin})  # type: ignore[arg-type]
        self._server = Server(Mounted(app), listening, threads=1)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._server.run, args=(self._ready.set,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._thread.join(20)

    def call(
        self, method: str, path: str, body: object = None, token: str = "", **headers: str
    ) -> tuple[int, Any]:
        """Status and document of one answer."""
        response = self.raw(
            method, path, None if body is None else json.dumps(body).encode(), token, **headers
        )
        return response.status, json.loads(response.body) if response.body else None

    def raw(self, method: str, path: str, body: bytes | None, token: str = "", **headers: str) -> Response:
        said = {"content-type": "application/json"} if body is not None else {}
        said |= {"authorization": f"Bearer {token}"} if token else {}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        return HttpExchange(timeout_seconds=20).send(self.origin, Request(method, path, body or b"", said))

    def signed(self, document: Document, officer: Signer) -> dict[str, str]:
        """A word as it is sent."""
        return {"word": wire.b64u(acts.signed(document, officer))}

    def challenged(self, officer: Signer) -> Document:
        _, found = self.call("POST", "/v1/login/challenge", {"officer": officer.certificate.name})
        return dict(found["document"])

    def login(self, officer: Signer) -> str:
        status, found = self.call("POST", "/v1/login", self.signed(self.challenged(officer), officer))
        assert status == 200, found
        return str(found["token"])

    def say(self, act: dict[str, object], officer: Signer, token: str) -> tuple[int, Any]:
        """Draft, sign, and send the word."""
        status, found = self.call("POST", "/v1/drafts", act, token)
        if status != 200:
            return status, found
        return self.call("POST", "/v1/words", self.signed(found["document"], officer), token)


def findings(rows: Sequence) -> list[tuple[str, str]]:
    """Who, and what was found."""
    return [(row.name.rpartition(":")[2], row.finding) for row in rows]
