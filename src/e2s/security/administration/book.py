"""The book follows the CA's register and the words of registration, and says when one of them was cut.

Each reading is a short one, so that it holds up neither; what was read is committed with how far it was.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from e2s.base import prepared
from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import read_signed
from e2s.crypto.kinds import kind_of
from e2s.security.administration.book_tables import ENTRY, MARK, PLACE, TABLES
from e2s.security.pki.feed import Kind
from e2s.security.pki.store import CERTIFICATES, CHANGES, REVOCATIONS
from e2s.security.registration.tables import APPROVAL, WITHDRAWAL, WORD
from e2s.security.verification.crls import HELD

#: Changes, or words, that are read at once.
CHUNK: Final = 5000
_CHANGES: Final = (
    sa.select(
        CHANGES.c.number,
        CHANGES.c.kind,
        CERTIFICATES,
        REVOCATIONS.c.at.label("withdrawn"),
        REVOCATIONS.c.reason,
    )
    .select_from(
        CHANGES.join(CERTIFICATES, CERTIFICATES.c.id == CHANGES.c.certificate).outerjoin(
            REVOCATIONS, REVOCATIONS.c.certificate == CERTIFICATES.c.id
        )
    )
    .where(CHANGES.c.number > sa.bindparam("after"))
    .order_by(CHANGES.c.number)
    .limit(CHUNK)
)
_LAST: Final = sa.select(sa.func.max(CHANGES.c.number))
_FIRST: Final = sa.select(CERTIFICATES.c.serial).order_by(CERTIFICATES.c.id).limit(1)
_ROWID: Final[sa.ColumnElement[int]] = sa.literal_column("rowid")
#: The words of registration: table, columns of signed octets, and the column that numbers its rows.
_WORDS: Final = (
    ("words", sa.select(_ROWID, WORD.c.octets).select_from(WORD), _ROWID),
    ("approvals", sa.select(APPROVAL.c.n, APPROVAL.c.first, APPROVAL.c.second), APPROVAL.c.n),
    ("withdrawals", sa.select(WITHDRAWAL.c.n, WITHDRAWAL.c.octets), WITHDRAWAL.c.n),
)


class Book:
    """The book of one CA, open."""

    def __init__(self, path: Path, register: Path | None, registration: Database) -> None:
        """``register`` is the CA's, read only; without one the book stays as it is.

        Raises :class:`Misuse` ``no-register`` where there is none at the path.
        """
        self.database = Database.open(path, TABLES)
        self._register = None if register is None else read_only(register)
        self._registration = registration

    def close(self) -> None:
        """Give back book and register."""
        self.database.close()
        if self._register is not None:
            self._register.close()

    def follow(self) -> int:
        """Read what is new; how many changes there were.  Raises :class:`Refusal` ``register-cut``."""
        done = 0
        if self._register is not None:
            self._check(self._register)
            while (number := self._changes(self._register)) > 0:
                done += number
        for name, chosen, numbered in _WORDS:
            while self._marks(name, chosen, numbered):
                pass
        return done

    def _check(self, register: Database) -> None:
        """A register only grows, and is the one that was read."""
        with register.reading() as connection:
            last = connection.execute(_LAST).scalar() or 0
            first = connection.execute(_FIRST).scalar() or b""
        with self.database.reading() as connection:
            row = connection.execute(sa.select(PLACE).where(PLACE.c.name == "changes")).first()
        if row is not None and (last < row.number or (row.octets and row.octets != first)):
            raise Refusal("register-cut", "the CA's register lacks what it had", known=row.number, has=last)

    def _changes(self, register: Database) -> int:
        with self.database.reading() as connection:
            after = _place(connection, "changes")
        with register.reading() as connection:
            rows = list(connection.execute(_CHANGES, {"after": after}))
            first = connection.execute(_FIRST).scalar() or b""
        if not rows:
            return 0
        issued = {row.id: _entry(row) for row in rows if row.kind == Kind.ISSUED.value and row.der}
        with self.database.transaction() as connection:
            for entry in issued.values():
                connection.execute(ENTRY.insert().prefix_with("OR IGNORE"), entry)
            for row in rows:
                if row.kind != Kind.ISSUED.value:
                    prepared.change(connection, ENTRY, {"id": row.id}, _state(row))
            _put_place(connection, "changes", rows[-1].number, first)
        return len(rows)

    def _marks(self, name: str, chosen: sa.Select[Any], numbered: Any) -> bool:
        """Note whose keys signed the next words; False when there are none."""
        with self.database.reading() as connection:
            after = _place(connection, name)
        with self._registration.reading() as connection:
            rows = list(connection.execute(chosen.where(numbered > after).order_by(numbered).limit(CHUNK)))
        if not rows:
            return False
        with self.database.transaction() as connection:
            for row in rows:
                for octets in row[1:]:
                    if octets:
                        _mark(connection, octets, name)
            _put_place(connection, name, rows[-1][0])
        return True


def read_only(path: Path) -> Database:
    """A database that another process writes, for reading; raises :class:`Misuse` ``no-register``."""
    if not path.is_file():
        raise Misuse("no-register", "there is no CA's register here", file=str(path))
    engine = sa.create_engine(
        f"sqlite:///{path}",
        isolation_level="AUTOCOMMIT",
        poolclass=sa.QueuePool,
        pool_reset_on_return=None,
        connect_args={"check_same_thread": False, "timeout": 30},
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")

    return Database(engine)


def _place(connection: sa.Connection, name: str) -> int:
    found = connection.execute(sa.select(PLACE.c.number).where(PLACE.c.name == name)).scalar()
    return int(found or 0)


def _put_place(connection: sa.Connection, name: str, number: int, octets: bytes = b"") -> None:
    values = {"name": name, "number": number, "octets": octets}
    connection.execute(PLACE.insert().prefix_with("OR REPLACE"), values)


def _mark(connection: sa.Connection, octets: bytes, how: str) -> None:
    with suppress(Refusal):
        signed = read_signed(octets)
        spki = sha256(signed.signer_certificate.spki).digest()
        values = {"spki": spki, "at": format_instant(signed.at), "how": how}
        connection.execute(MARK.insert().prefix_with("OR REPLACE"), values)


def _entry(row: Any) -> dict[str, object]:
    """All that reports ask of a certificate."""
    certificate = Certificate.read(row.der)
    key, bits = strength_of(certificate)
    values = certificate.values
    usage = values.get(x509.KeyUsage)
    hashing = certificate.x509.signature_hash_algorithm
    return {
        "id": row.id,
        "serial": f"{certificate.serial:x}",
        "profile": row.profile,
        "name": row.name,
        "spki": row.spki,
        "case": row.registration,
        "not_before": int(certificate.not_before.timestamp()),
        "not_after": row.not_after,
        "key": key,
        "bits": bits,
        "hash": "" if hashing is None else hashing.name,
        "agree": int(usage is not None and (usage.key_agreement or usage.key_encipherment)),
        "places": int(x509.CRLDistributionPoints in values or _asks(values)),
        **_state(row),
    }


def _asks(values: Any) -> bool:
    """Whether the certificate names a responder (RFC 5280, 4.2.2.1), or says that nobody need ask."""
    access = values.get(x509.AuthorityInformationAccess, ())
    ocsp = x509.oid.AuthorityInformationAccessOID.OCSP
    return x509.OCSPNoCheck in values or any(one.access_method == ocsp for one in access)


def _state(row: Any) -> dict[str, object]:
    if row.withdrawn is None:
        return {"state": "good", "since": 0, "reason": ""}
    held = row.reason == HELD
    return {"state": "held" if held else "revoked", "since": row.withdrawn, "reason": row.reason}


def strength_of(certificate: Certificate) -> tuple[str, int]:
    """The kind of a certificate's key, and its size in bits or the number in its name."""
    key = certificate.public_key
    kind = kind_of(type(key))
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return kind, key.key_size
    if kind.startswith("ml-"):
        name, _, number = kind.rpartition("-")
        return name, int(number)
    return kind, {"ed25519": 256, "x25519": 256, "ed448": 448, "x448": 448}.get(kind, 0)
