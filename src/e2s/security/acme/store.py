"""The register of one ACME door: accounts, orders, what authorises them, and the events of each act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.prepared import Prepared, given

TABLES = sa.MetaData()
_Text, _Octets, _Integer = sa.Text, sa.LargeBinary, sa.Integer

ACCOUNT = sa.Table(
    "accounts",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    #: What the desk knows it by: random, so that it is nobody else's in any other register.
    sa.Column("id", _Text, nullable=False, unique=True),
    sa.Column("jwk", _Text, nullable=False),
    sa.Column("thumbprint", _Text, nullable=False, unique=True),
    sa.Column("state", _Text, nullable=False),
    sa.Column("contacts", _Text, nullable=False),
    #: The invitation that it is bound to, or the empty string.
    sa.Column("reference", _Text, nullable=False),
    sa.Column("at", _Text, nullable=False),
)
AUTHORISATION = sa.Table(
    "authorisations",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("account", _Integer, sa.ForeignKey("accounts.n"), nullable=False),
    sa.Column("kind", _Text, nullable=False),
    sa.Column("value", _Text, nullable=False),
    sa.Column("state", _Text, nullable=False),
    sa.Column("expires", _Text, nullable=False),
    sa.Index("authorisation_host", "account", "value", "state"),
)
CHALLENGE = sa.Table(
    "challenges",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("authorisation", _Integer, sa.ForeignKey("authorisations.n"), nullable=False, index=True),
    sa.Column("account", _Integer, nullable=False),
    sa.Column("kind", _Text, nullable=False),
    sa.Column("token", _Text, nullable=False),
    sa.Column("state", _Text, nullable=False),
    sa.Column("tries", _Integer, nullable=False, default=0),
    #: When it is tried again.
    sa.Column("due", _Text, nullable=False, default=""),
    sa.Column("error", _Text, nullable=False, default=""),
    sa.Column("validated", _Text, nullable=False, default=""),
    sa.Index("challenge_due", "state", "due"),
)
ORDER = sa.Table(
    "orders",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("account", _Integer, sa.ForeignKey("accounts.n"), nullable=False, index=True),
    sa.Column("state", _Text, nullable=False),
    sa.Column("identifiers", _Text, nullable=False),
    sa.Column("authorisations", _Text, nullable=False),
    sa.Column("not_after", _Text, nullable=False),
    sa.Column("expires", _Text, nullable=False),
    #: The certificate that it replaces, as RFC 9773, 4.1 names it.
    sa.Column("replaces", _Text, nullable=False),
    sa.Column("serial", _Text, index=True),
    sa.Column("certificate", _Octets),
    sa.Column("chain", _Integer),
    sa.Column("revoked", _Integer, nullable=False, default=0),
    sa.Column("error", _Text, nullable=False, default=""),
)
#: The issuers above certificates, PEM: few, and the same for many.
CHAIN = sa.Table(
    "chains",
    TABLES,
    sa.Column("n", _Integer, primary_key=True),
    sa.Column("digest", _Octets, nullable=False, unique=True),
    sa.Column("pem", _Octets, nullable=False),
)
sa.Index("order_replaces", ORDER.c.replaces, sqlite_where=ORDER.c.replaces != sa.literal_column("''"))
OUTBOX: Final = Outbox(outbox_table(TABLES))

_ACCOUNT: Final = Prepared(sa.select(ACCOUNT).where(ACCOUNT.c.n == given("which")))
_BY_KEY: Final = Prepared(sa.select(ACCOUNT).where(ACCOUNT.c.thumbprint == given("which")))
_ORDER: Final = Prepared(sa.select(ORDER).where(ORDER.c.n == given("which")))
_BY_SERIAL: Final = Prepared(sa.select(ORDER).where(ORDER.c.serial == given("which")))
_REPLACING: Final = Prepared(
    sa.select(ORDER.c.n)
    .where(
        ORDER.c.replaces == given("which"),
        ORDER.c.replaces != sa.literal_column("''"),
        ORDER.c.state != "invalid",
    )
    .limit(1)
)
_ORDERS: Final = Prepared(
    sa.select(ORDER.c.n)
    .where(ORDER.c.account == given("who"), ORDER.c.n > given("after"), ORDER.c.state != "invalid")
    .order_by(ORDER.c.n)
    .limit(given("most"))
)
_AUTHORISATION: Final = Prepared(sa.select(AUTHORISATION).where(AUTHORISATION.c.n == given("which")))
_VALID: Final = Prepared(
    sa.select(AUTHORISATION.c.n)
    .where(
        AUTHORISATION.c.account == given("who"),
        AUTHORISATION.c.value == given("host"),
        AUTHORISATION.c.state == given("state"),
        AUTHORISATION.c.kind == given("kind"),
        AUTHORISATION.c.expires > given("now"),
    )
    .order_by(AUTHORISATION.c.n.desc())
    .limit(1)
)
_PENDING: Final = Prepared(
    sa.select(sa.func.count())
    .select_from(AUTHORISATION)
    .where(
        AUTHORISATION.c.account == given("who"),
        AUTHORISATION.c.state == sa.literal_column("'pending'"),
        AUTHORISATION.c.expires > given("now"),
    )
)
_CHALLENGE: Final = Prepared(sa.select(CHALLENGE).where(CHALLENGE.c.n == given("which")))
_CHALLENGES: Final = Prepared(
    sa.select(CHALLENGE).where(CHALLENGE.c.authorisation == given("which")).order_by(CHALLENGE.c.n)
)
_DUE: Final = Prepared(
    sa.select(CHALLENGE)
    .where(CHALLENGE.c.state == sa.literal_column("'processing'"), CHALLENGE.c.due <= given("now"))
    .order_by(CHALLENGE.c.due)
    .limit(given("most"))
)
_CHAIN: Final = Prepared(sa.select(CHAIN.c.n).where(CHAIN.c.digest == given("which")))
_CHAIN_PEM: Final = Prepared(sa.select(CHAIN.c.pem).where(CHAIN.c.n == given("which")))


# ---------------------------------------------------------------- accounts
def account(connection: sa.Connection, n: int) -> sa.Row[Any] | None:
    """The account of this number."""
    return _ACCOUNT.row(connection, which=n)


def account_of_key(connection: sa.Connection, thumbprint: str) -> sa.Row[Any] | None:
    """The account that this key signs for."""
    return _BY_KEY.row(connection, which=thumbprint)


def add_account(connection: sa.Connection, values: Mapping[str, object]) -> int:
    """A new account; its number."""
    return prepared.add(connection, ACCOUNT, values)


def change_account(connection: sa.Connection, n: int, **values: object) -> None:
    """Set what changed."""
    prepared.change(connection, ACCOUNT, {"n": n}, values)


# ---------------------------------------------------------------- orders
def order(connection: sa.Connection, n: int) -> sa.Row[Any] | None:
    """The order of this number."""
    return _ORDER.row(connection, which=n)


def order_of_serial(connection: sa.Connection, serial: str) -> sa.Row[Any] | None:
    """The order that gave the certificate of this serial, in hexadecimal."""
    return _BY_SERIAL.row(connection, which=serial)


def replaced(connection: sa.Connection, named: str) -> bool:
    """Whether an order that is not invalid replaces the certificate so named."""
    return _REPLACING.value(connection, which=named) is not None


def orders(connection: sa.Connection, account_n: int, after: int, most: int) -> list[int]:
    """The numbers of an account's orders behind ``after``, without those that are invalid."""
    return _ORDERS.column(connection, who=account_n, after=after, most=most)


def add_order(connection: sa.Connection, values: Mapping[str, object]) -> int:
    """A new order; its number."""
    return prepared.add(connection, ORDER, values)


def change_order(connection: sa.Connection, n: int, **values: object) -> None:
    """Set what changed."""
    prepared.change(connection, ORDER, {"n": n}, values)


def known_chain(connection: sa.Connection, digest: bytes) -> int | None:
    """The number of the issuers whose PEM has this digest, if they are kept."""
    found: int | None = _CHAIN.value(connection, which=digest)
    return found


def add_chain(connection: sa.Connection, digest: bytes, pem: bytes) -> int:
    """Keep the issuers ``pem``; their number."""
    return prepared.add(connection, CHAIN, {"digest": digest, "pem": pem})


def chain(connection: sa.Connection, n: int) -> bytes:
    """The issuers of this number, PEM."""
    return bytes(_CHAIN_PEM.value(connection, which=n) or b"")


# ---------------------------------------------------------------- what authorises
def authorisation(connection: sa.Connection, n: int) -> sa.Row[Any] | None:
    """The authorisation of this number."""
    return _AUTHORISATION.row(connection, which=n)


def authorisations(connection: sa.Connection, numbers: Iterable[int]) -> list[sa.Row[Any]]:
    """Those of these numbers."""
    found = [_AUTHORISATION.row(connection, which=n) for n in numbers]
    return [row for row in found if row is not None]


def standing(
    connection: sa.Connection, account_n: int, kind: str, host: str, state: str, now: str
) -> int | None:
    """The newest authorisation of an account for a host in ``state`` that is not over at ``now``."""
    found: int | None = _VALID.value(connection, who=account_n, kind=kind, host=host, state=state, now=now)
    return found


def pending(connection: sa.Connection, account_n: int, now: str) -> int:
    """How many authorisations of an account wait for their challenges."""
    return int(_PENDING.value(connection, who=account_n, now=now))


def add_authorisation(
    connection: sa.Connection, values: Mapping[str, object], challenges: Sequence[Mapping[str, object]]
) -> int:
    """A new authorisation with its challenges; its number."""
    n = prepared.add(connection, AUTHORISATION, values)
    own = {"authorisation": n, "account": values["account"]}
    prepared.add_all(connection, CHALLENGE, [{**own, **one} for one in challenges])
    return n


def change_authorisation(connection: sa.Connection, n: int, **values: object) -> None:
    """Set what changed."""
    prepared.change(connection, AUTHORISATION, {"n": n}, values)


def challenge(connection: sa.Connection, n: int) -> sa.Row[Any] | None:
    """The challenge of this number."""
    return _CHALLENGE.row(connection, which=n)


def challenges(connection: sa.Connection, authorisation_n: int) -> list[sa.Row[Any]]:
    """The challenges of an authorisation."""
    return _CHALLENGES.rows(connection, which=authorisation_n)


def due(connection: sa.Connection, now: str, most: int) -> list[sa.Row[Any]]:
    """Challenges that are to be tried."""
    return _DUE.rows(connection, now=now, most=most)


def change_challenge(connection: sa.Connection, n: int, **values: object) -> None:
    """Set what changed."""
    prepared.change(connection, CHALLENGE, {"n": n}, values)


def numbers_of(text: str) -> list[int]:
    """A list of numbers as it is kept."""
    return msgspec.json.decode(text, type=list[int])


def kept(value: object) -> str:
    """A value as JSON, for a column."""
    return msgspec.json.encode(value).decode()
