"""A registration authority with two officers and its CA, in one process and on one folder."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Unreachable
from e2s.base.rights import TableAuthoriser
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.pem import armoured
from e2s.network.sessions.link import Door
from e2s.security.certificates.certify import request
from e2s.security.keys.generation import generate
from e2s.security.pki import store as pki_store
from e2s.security.pki.approvals import Judge
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.service import doors
from e2s.security.registration import acts, approving, ordering, store, tables, withdrawing
from e2s.security.registration.evidence import Evidence
from e2s.security.registration.office import Office
from tests.worlds.pki import Pki, SetClock

CA = "authority-ca"
OLGA, OSKAR, OTTO = (f"urn:e2s:market:authority:{name}" for name in ("olga", "oskar", "otto"))
RIGHTS_GIVEN = frozenset(
    {
        (OLGA, RIGHTS.register, CA),
        (OLGA, RIGHTS.approve, CA),
        (OLGA, RIGHTS.revoke, CA),
        (OSKAR, RIGHTS.register, CA),
        (OSKAR, RIGHTS.approve, CA),
    }
)
HEADER = "name,party,person,profile,evidence,issuer,number,expires,seen,place,request"


def csr(key: PrivateKey | None = None, name: str = "urn:e2s:market:alpha:whoever") -> bytes:
    """A request of a new key, DER."""
    return request(key or generate("p256-sha256", secrets.token_bytes), (name,))


def csr_pem(key: PrivateKey | None = None) -> str:
    return armoured(csr(key), b"CERTIFICATE REQUEST").decode()


class World:
    """``olga`` and ``oskar`` hold rights, ``otto`` is an officer without any."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.folder = folder
        self.pki = pki
        self.clock = SetClock(pki.at)
        self.officers = {name: pki.signer("officer", name) for name in (OLGA, OSKAR, OTTO)}
        self.olga, self.oskar, self.otto = self.officers.values()
        self.office = self.opened()

    @cached_property
    def ca(self) -> Ca:
        """The CA, founded when first needed."""
        return Ca(self)

    def opened(self) -> Office:
        return Office(
            community="market",
            component="authority-registration",
            ca=CA,
            database=Database.open(self.folder / "data.db", tables.TABLES),
            trust=self.pki.trust(self.clock),
            authoriser=TableAuthoriser(RIGHTS_GIVEN),
            clock=self.clock,
            random=secrets.token_bytes,
        )

    def reopen(self) -> None:
        self.office.database.close()
        self.office = self.opened()

    # -------------------------------------------------------------- acts
    def open(self, officer=None, *, der: bytes | None = None, **given) -> str:
        officer = officer or self.olga
        document = acts.open_document(
            self.office,
            officer.certificate.name,
            **{
                "profile": "person",
                "party": "alpha",
                "title": "Anna Berg",
                "request": csr() if der is None else der,
                "protection": "software",
                **given,
            },
        )
        return acts.take(self.office, acts.signed(document, officer))["case"]

    def seen(self, officer=None, number: str = "C01X00T47", **given) -> Evidence:
        officer = officer or self.olga
        plain = Evidence(
            kind="passport",
            issuer="Utopia",
            document=self.office.document_digest("passport", "Utopia", number),
            expires="2030-01-01",
            seen="original",
            place="Alpha, front desk",
            at="2026-03-01T10:00:00Z",
            officer=officer.certificate.name,
            scan=wire.b64u(hashlib.sha256(number.encode()).digest()),
        )
        return replace(plain, **given)

    def evidence(self, case: str, officer=None, *, seen: Evidence | None = None, **given):
        officer = officer or self.olga
        record = seen or self.seen(officer, **given)
        document = acts.evidence_document(self.office, officer.certificate.name, case, record)
        return acts.take(self.office, acts.signed(document, officer))

    def name(self, case: str, label: str = "", officer=None, *, same: bool = False):
        officer = officer or self.olga
        document = acts.name_document(self.office, officer.certificate.name, case, label, same=same)
        return acts.take(self.office, acts.signed(document, officer))

    def named(self, number: str = "C01X00T47", label: str = "", **given) -> str:
        case = self.open(**given)
        self.evidence(case, number=number)
        self.name(case, label)
        return case

    def first(self, cases: Sequence[str], officer=None):
        officer = officer or self.olga
        document = approving.draft(self.office, cases, officer.certificate.name)
        return approving.take_first(self.office, acts.signed(document, officer))

    def second(self, approval: int, officer=None):
        officer = officer or self.oskar
        document = approving.second_document(self.office, approval, officer.certificate.name)
        return approving.take_second(self.office, acts.signed(document, officer))

    def submit(self):
        return ordering.submit(self.office, self.ca.ask)

    def withdraw(self, serial: int, act: str, reason: str = "", officer=None):
        officer = officer or self.olga
        document = withdrawing.withdrawal_document(self.office, officer.certificate.name, serial, act, reason)
        return withdrawing.take_withdrawal(self.office, acts.signed(document, officer))

    # -------------------------------------------------------------- what is seen
    def row(self, case: str):
        with self.office.database.reading() as connection:
            return store.case(connection, case)

    def state(self, case: str) -> str:
        return self.row(case).state

    def events(self) -> list[dict]:
        with self.office.database.reading() as connection:
            waiting = tables.OUTBOX.waiting(connection, "audit", 100_000)
        return [wire.decode(body) for _, body in waiting]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events()]

    def count(self, state: str) -> int:
        with self.office.database.reading() as connection:
            return store.counts(connection).get(state, 0)


class Ca:
    """The CA behind its doors, which may be away."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.away = False
        self.lose_answers = 0
        self.asked: list[tuple[str, bytes]] = []
        rights = TableAuthoriser(RIGHTS_GIVEN)
        self.authority = Authority(
            world.pki.operating_ca.signer,
            Database.open(world.folder / "register.sqlite", pki_store.TABLES),
            kind="operating-ca",
            component=CA,
            clock=world.clock,
            random=secrets.token_bytes,
            authoriser=rights,
        )
        self.doors = self.doors_of(rights)

    def doors_of(self, rights: TableAuthoriser) -> Mapping[str, Door]:
        """The CA's doors, by these rights."""
        trust = self.world.pki.trust(self.world.clock)
        return doors(self.authority, Judge(trust=trust, authoriser=rights, community="market", ca=CA))

    def ask(self, path: str, body: bytes) -> bytes:
        if self.away:
            raise Unreachable("unreachable", "nobody answers")
        self.asked.append((path, body))
        answer = self.doors[path]("authority-registration", body)
        if self.lose_answers:
            self.lose_answers -= 1
            raise Unreachable("dropped", "the answer was lost")
        return answer

    def issued(self) -> list[bytes]:
        """The certificates that went into its register."""
        with self.authority.database.reading() as connection:
            table = pki_store.CERTIFICATES
            rows = connection.execute(sa.select(table.c.der).where(table.c.der.is_not(None)))
            return [row.der for row in rows]


def sheet(rows: Sequence[Sequence[str]], header: str = HEADER, delimiter: str = ",") -> io.BytesIO:
    """A CSV with quoted cells."""

    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    lines = [delimiter.join(header.split(",")), *(delimiter.join(map(quoted, row)) for row in rows)]
    return io.BytesIO("\r\n".join(lines).encode())


def a_row(n: int, *, profile: str = "person", pem: str | None = None, **cells: str) -> list[str]:
    """Row ``n`` of a sheet: a person of her own."""
    said = {
        "name": f"Person {_spoken(n)}", "party": "alpha", "person": "", "profile": profile, "evidence": "passport",
        "issuer": "Utopia", "number": f"P{n:06d}", "expires": "2030-01-01", "seen": "original",
        "place": "Alpha", "request": pem or cells.get("request") or csr_pem(), **cells,
    }  # fmt: skip
    return [said[column] for column in HEADER.split(",")]


def _spoken(n: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(n)).capitalize()
