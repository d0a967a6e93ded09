"""Enrolment in one process: a CA, a desk with invitations, and any door, in memory or served."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.http import Handler, Request, Response
from e2s.base.instants import Clock
from e2s.base.rights import TableAuthoriser
from e2s.community.doors import Doors, door_of
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.crypto.kinds import PrivateKey, PublicKey
from e2s.network.sessions.server import Served
from e2s.network.sessions.tls import TlsFiles
from e2s.security.certificates.certify import request
from e2s.security.enrolment import deciding, inviting, store
from e2s.security.enrolment.asking import Asked, Invited, Issued
from e2s.security.enrolment.certifying import OwnCa
from e2s.security.enrolment.desk import EnrolmentDesk
from e2s.security.enrolment.office import Office
from e2s.security.enrolment.policy import Policy, shipped
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.keys.generation import generate
from e2s.security.pki import store as pki_store
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.queue import IssueQueue
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier
from tests.worlds.pki import START, Pki, SetClock, make_pki

CA = "authority-ca"
COMPONENT = "authority-enrolment"
NAME = "urn:e2s:market:authority:enrolment"
OLGA, OSKAR, OTTO = (f"urn:e2s:market:authority:{name}" for name in ("olga", "oskar", "otto"))
ANNA = "urn:e2s:market:alpha:anna"
#: Certifies what is not enrolled: officers, and doors.
OPERATOR = "urn:e2s:market:authority:operator"
RIGHTS_GIVEN = frozenset(
    {
        *((officer, right, CA) for officer in (OLGA, OSKAR) for right in (RIGHTS.register, RIGHTS.approve)),
        (NAME, RIGHTS.register, CA),
        (OPERATOR, RIGHTS.certify, CA),
    }
)


def key(suite: str = "p256-sha256") -> PrivateKey:
    return generate(suite, secrets.token_bytes)


def csr(*names: str, private: PrivateKey | None = None) -> bytes:
    """A request of a new key for these names, DER."""
    return request(private or key(), names or (ANNA,))


class Lists:
    """The CA's lists as of now, and the root's."""

    def __init__(self, authority: Authority, pki: Pki, clock: Clock) -> None:
        self._authority, self._pki, self._clock = authority, pki, clock

    def crls(self, *_certificates: Certificate) -> Sequence[bytes]:
        own = tuple(one.der for one in self._authority.current_lists())
        return (*own, self._pki.crls(self._clock.now())[0])


class World:
    """``olga`` and ``oskar`` may invite and approve, ``otto`` may nothing; ``clock`` stands unless given.

    Real programs compare with the machine's clock: give a world for them ``SystemClock()``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        policy: Policy | None = None,
        suite: str = "p256-sha256",
        pki: Pki | None = None,
        storage: bytes = b"",
        officers: dict[str, KeySigner] | None = None,
    ) -> None:
        self.folder = folder
        self.clock: Any = clock or SetClock()
        self.pki = pki or make_pki(at=self.clock.now() if clock else START, suite=suite)
        self.policy = policy or shipped()
        self.rights = TableAuthoriser(RIGHTS_GIVEN)
        self.storage = storage or secrets.token_bytes(32)
        self._open()
        self._officers: dict[str, KeySigner] = dict(officers or {})
        self._stack = contextlib.ExitStack()
        self.origin = "http://127.0.0.1"

    def _open(self) -> None:
        self.authority = Authority(
            self.pki.operating_ca.signer,
            Database.open(self.folder / "register.sqlite", pki_store.TABLES),
            kind="operating-ca",
            component=CA,
            clock=self.clock,
            random=secrets.token_bytes,
            authoriser=self.rights,
        )
        self.queue = IssueQueue(self.authority)
        self.lists = Lists(self.authority, self.pki, self.clock)
        self.trust = Trust(Verifier((self.pki.root,)), self.lists)
        self.office = Office(
            component=COMPONENT,
            officer=NAME,
            database=Database.open(self.folder / "enrolment.sqlite", store.TABLES),
            ca=OwnCa(self.authority, self.queue.issue_ders),
            root=self.pki.root,
            trust=self.trust,
            clock=self.clock,
            random=secrets.token_bytes,
            storage=self.storage,
            policy=self.policy,
        )
        self.desk = EnrolmentDesk(self.office)

    def close(self) -> None:
        self._stack.close()
        self.queue.close()
        self.office.database.close()
        self.authority.database.close()

    def reopen(self) -> None:
        """The same as a new process finds it."""
        self.queue.close()
        self.office.database.close()
        self.authority.database.close()
        self._open()

    # -------------------------------------------------------------- people
    def officer(self, name: str) -> KeySigner:
        """The PSE of an officer."""
        if name not in self._officers:
            private = key()
            made = self.authority.issue("officer", private.public_key(), (name,), officer=OPERATOR)
            self._officers[name] = KeySigner(made, (self.pki.operating,), private)
        return self._officers[name]

    def invite(
        self, profile: str = "person", names: Sequence[str] = (ANNA,), *, officer: str = OLGA, **more
    ) -> tuple[str, bytes]:
        """An invitation's reference and secret."""
        made, secret = inviting.invite(
            self.office, officer=officer, profile=profile, names=tuple(names), **more
        )
        return made.reference, secret

    def invited(self, profile: str = "person", names: Sequence[str] = (ANNA,), **more) -> Invited:
        """Who showed a new invitation."""
        return self.desk.show(*self.invite(profile, names, **more))

    def enrolled(
        self, profile: str = "person", names: Sequence[str] = (ANNA,), *, private: PrivateKey | None = None
    ) -> KeySigner:
        """A signer with a certificate that was enrolled by a new invitation."""
        private = private or key()
        shown = self.invited(profile, names)
        asked = Asked(
            door="world",
            transaction=secrets.token_bytes(8),
            request=csr(*names, private=private),
            shown=shown,
        )
        made = self.desk.ask(asked)
        assert isinstance(made, Issued)
        return KeySigner(Certificate.read(made.certificate), (self.pki.operating,), private)

    def decide(self, case: str, decision: str = "approve", officer: str = OSKAR, why: str = ""):
        document = deciding.decision_document(self.office, case, officer, decision, why)
        return deciding.decide(self.office, deciding.sign_decision(document, self.officer(officer)))

    # -------------------------------------------------------------- doors
    def certify(self, profile: str, names: tuple[str, ...], public: PublicKey) -> Issued:
        made = self.authority.issue(profile, public, names, officer=OPERATOR)
        return Issued(certificate=made.der, chain=(self.pki.operating.der,))

    def setting(self, **more) -> DoorSetting:
        """What doors are given here; ``more`` takes the place of members."""
        private = key()
        made = self.certify("component", (NAME,), private.public_key())
        given = DoorSetting(
            clock=self.clock,
            random=secrets.token_bytes,
            folder=self.folder,
            origin=self.origin,
            component=COMPONENT,
            name=NAME,
            policy=self.policy,
            storage=self.storage,
            signer=KeySigner(Certificate.read(made.certificate), (self.pki.operating,), private),
            certify=self.certify,
            certificate=self._certificate,
            crls=lambda: [one.der for one in self.authority.current_lists()],
        )
        return replace(given, **more)

    def _certificate(self, serial: int) -> bytes | None:
        with self.authority.database.reading() as connection:
            row = pki_store.by_serial(connection, self.authority.finder, serial)
        return None if row is None else row.der

    def door(self, name: str, **more) -> Any:
        """The door of this name ("acme", "est", "cmp", "scep", "enrol") alone."""
        return door_of(name, self.desk, self.setting(**more))

    def doors(self, **more) -> Doors:
        """All doors together."""
        return Doors(self.desk, self.setting(**more))

    def ask(self, door: Handler, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        """One request to a door in memory."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return door(Request(method, path, body, named, "192.0.2.1"))

    def tls_files(self, *names: str) -> TlsFiles:
        """A server's certificate for these names and its key, as files."""
        private, hosts = key(), names or ("localhost", "127.0.0.1")
        made = self.authority.issue("tls-server", private.public_key(), hosts, officer=OPERATOR)
        certificate, keys = self.folder / "tls.pem", self.folder / "tls.key"
        certificate.write_bytes(made.pem + self.pki.operating.pem)
        plain = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        keys.write_bytes(plain)
        keys.chmod(0o600)
        anchors = self.folder / "clients.pem"
        anchors.write_bytes(self.pki.root.pem + self.pki.operating.pem)
        return TlsFiles(certificate_file=certificate, key_file=keys, client_anchors_file=anchors)

    @contextlib.contextmanager
    def served(self, *names: str, tls: bool = False, **more) -> Iterator[Served]:
        """Doors served on a free port of loopback; ``names`` none: all of them."""
        from e2s.network.sessions.server import listen

        listening = listen()
        port = listening.getsockname()[1]
        listening.close()
        origin = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{port}"
        doors = Doors(self.desk, self.setting(origin=origin, **more), names=names or None)
        files = self.tls_files() if tls else None
        tick = lambda: doors.tick(self.clock.now())  # noqa: E731 - as the server calls it
        with Served(doors, tls=files, port=port, tick=tick, threads=16, quick=doors.quick) as served:
            yield served
        doors.close()

    # -------------------------------------------------------------- what is seen
    def events(self) -> list[dict]:
        with self.office.database.reading() as connection:
            waiting = store.OUTBOX.waiting(connection, "audit", 100_000)
        return [wire.decode(body) for _, body in waiting]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events()]

    def requests(self, state: str) -> list:
        with self.office.database.reading() as connection:
            return store.in_state(connection, state)
