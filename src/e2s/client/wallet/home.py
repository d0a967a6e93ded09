"""A wallet's or a manager's home is a folder of her own: settings, keys, sealed card, book, evidence.

::

    wallet.toml | manager.toml   settings: who she is, whom she deals with; no secret
    suites.toml                  the community's own rows of suites, where it has some
    pse                          her personal security environment
    card.cms                     the card record, sealed to the wallet
    data.db                      the book
    evidence/TRADE.tar           a bundle for each trade that ended
"""

from __future__ import annotations

import fcntl
import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.base.http import Exchange
from e2s.base.instants import Clock
from e2s.client.wallet import manager, store
from e2s.client.wallet.card import Issuer
from e2s.client.wallet.desk import Desk, Shop
from e2s.client.wallet.session import lines
from e2s.client.wallet.wallet import Wallet
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.suites import load_policy
from e2s.network.sessions.client import HttpExchange
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import SoftwarePse
from e2s.security.verification.services import ClientServices
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier

WALLET_FILE = "wallet.toml"
MANAGER_FILE = "manager.toml"
SUITES_FILE = "suites.toml"
BOOK = "data.db"
_MAX_SETTINGS_BYTES = 64 * 1024
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Edges:
    """What only the edge of a process may read: clock, randomness, waiting; ``exchange`` for tests."""

    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    pause: Callable[[float], None]
    exchange: Exchange | None = None


class HomeLock:
    """One act at a time in a home, among the threads of this process and among processes; re-entrant."""

    def __init__(self, path: Path) -> None:
        """``path`` is made when first used."""
        self._path = path
        self._threads = RLock()
        self._depth = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the home within the block."""
        with self._threads:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._depth = 1
                yield
            finally:
                self._depth = 0
                os.close(descriptor)


class Settings:
    """The settings of one home, each read with its kind checked."""

    def __init__(self, folder: Path, file: str) -> None:
        """Raises :class:`Misuse` ``no-home`` or ``bad-settings``."""
        self.folder = folder
        self._where = str(folder / file)
        try:
            octets = (folder / file).read_bytes()[:_MAX_SETTINGS_BYTES]
            self._read = tomllib.loads(octets.decode("utf-8"))
        except OSError as error:
            raise Misuse("no-home", f"there is no {file} in this folder", home=str(folder)) from error
        except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or a number without end
            raise Misuse("bad-settings", "the settings are not TOML", file=self._where) from error

    def text(self, name: str, default: str | None = None, table: dict[str, Any] | None = None) -> str:
        """The text called ``name``; raises :class:`Misuse` ``bad-settings`` where it is missing."""
        return self._value(name, str, default, table)

    def flag(self, name: str, table: dict[str, Any] | None = None) -> bool:
        """The switch called ``name``, off where it is missing."""
        return self._value(name, bool, False, table)  # noqa: FBT003 - a default

    def texts(self, name: str) -> list[str]:
        """A list of texts, empty where it is missing."""
        found = self._value(name, list, [], None)
        if not all(isinstance(each, str) for each in found):
            raise Misuse("bad-settings", "a list of texts is needed", file=self._where, setting=name)
        return list(found)

    def tables(self, name: str) -> list[dict[str, Any]]:
        """A list of tables, empty where it is missing."""
        found = self._value(name, list, [], None)
        if not all(isinstance(each, dict) for each in found):
            raise Misuse("bad-settings", "a list of tables is needed", file=self._where, setting=name)
        return list(found)

    def path(self, name: str, default: str | None = None, table: dict[str, Any] | None = None) -> Path:
        """A path, taken from the home's folder."""
        return self.folder / self.text(name, default, table)

    def certificates(self, name: str, table: dict[str, Any] | None = None) -> tuple[Certificate, ...]:
        """The certificates in the PEM file called ``name``."""
        path = self.path(name, None, table)
        try:
            return read_certificates(path.read_bytes())
        except OSError as error:
            raise Misuse("bad-settings", "a certificate file is missing", file=str(path)) from error

    def _value(self, name: str, kind: type[T], default: T | None, table: dict[str, Any] | None) -> T:
        value = (self._read if table is None else table).get(name, default)
        if not isinstance(value, kind):
            raise Misuse("bad-settings", "a setting is missing or of another kind", setting=name)
        return value


@dataclass(frozen=True, kw_only=True)
class WalletHome:
    """A wallet, open, with what its owner usually wants."""

    wallet: Wallet
    lock: HomeLock
    cost_centre: str
    deliver_to: str

    @property
    def folder_title(self) -> str:
        """Whose wallet this is, for a page's head."""
        return self.wallet.desk.title


def open_wallet(folder: Path, phrase: Phrase, edges: Edges) -> WalletHome:
    """Open the wallet in ``folder``; the pass phrase opens its keys for sessions, no fresh one."""
    settings = Settings(folder, WALLET_FILE)
    exchange, trust = _world(settings, edges)
    shops = settings.tables("shop")
    here = settings.text("location", "*")
    rows = settings.text("suites", "")
    policy = load_policy(folder / rows) if rows else None
    desk = Desk(
        person=settings.text("person"),
        organisation=settings.text("organisation"),
        title=settings.text("title", ""),
        pse=SoftwarePse.open(settings.path("pse", "pse"), phrase),
        card_file=settings.path("card", "card.cms"),
        database=Database.open(settings.path("book", BOOK), store.TABLES),
        exchange=exchange,
        trust=trust,
        clock=edges.clock,
        random=edges.random,
        authorities=tuple(settings.texts("time_stamps")),
        shops=tuple(_shop(settings, table) for table in shops),
        evidence=settings.path("evidence", "evidence"),
    )
    plain = {settings.text("name", None, t): settings.flag("plain", t) for t in shops}

    def connect(shop: Shop) -> Any:
        pause = lambda n: edges.pause(0.2 * 3**n)  # noqa: E731 - seconds before the n-th repetition
        return lines(desk, location=here, policy=policy, plain=plain[shop.name], pause=pause)(shop)

    lock = HomeLock(folder / "acting")
    return WalletHome(
        wallet=Wallet(desk, connect, lock=lock),
        lock=lock,
        cost_centre=settings.text("cost_centre", "-"),
        deliver_to=settings.text("deliver_to", ""),
    )


def _shop(settings: Settings, table: dict[str, Any]) -> Shop:
    return Shop(
        name=settings.text("name", None, table),
        origin=settings.text("origin", None, table),
        title=settings.text("title", "", table),
    )


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A card-holder of the organisation, as the manager knows her."""

    title: str
    certificate: str


@dataclass(frozen=True, kw_only=True)
class ManagerHome:
    """A manager's desk, open, with the card-holders and wallets of her organisation."""

    desk: manager.Desk
    lock: HomeLock
    holders: tuple[Holder, ...]
    wallets: tuple[Path, ...]


def open_manager(folder: Path, phrase: Phrase, edges: Edges) -> ManagerHome:
    """Open the manager's home in ``folder``."""
    settings = Settings(folder, MANAGER_FILE)
    exchange, trust = _world(settings, edges)
    office = manager.Office(
        person=settings.text("person"),
        organisation=settings.text("organisation"),
        title=settings.text("title", ""),
        currency=settings.text("currency"),
        pse=SoftwarePse.open(settings.path("pse", "pse"), phrase),
        issuer=issuer_of(settings),
        database=Database.open(settings.path("book", BOOK), manager.TABLES),
        exchange=exchange,
        trust=trust,
        clock=edges.clock,
        random=edges.random,
    )
    return ManagerHome(
        desk=manager.Desk(office),
        lock=HomeLock(folder / "acting"),
        holders=tuple(
            Holder(
                title=settings.text("title", None, table),
                certificate=settings.certificates("certificate", table)[0].id,
            )
            for table in settings.tables("holder")
        ),
        wallets=tuple(folder / path for path in settings.texts("wallets")),
    )


def issuer_of(settings: Settings) -> Issuer:
    """The issuing bank that the settings name, with the certificates of its two keys."""
    (table,) = settings.tables("issuer") or [{}]
    signing, *chain = settings.certificates("signing", table)
    return Issuer(
        name=settings.text("name", None, table),
        origin=settings.text("origin", None, table),
        signing=signing,
        agreement=settings.certificates("agreement", table)[0],
        chain=tuple(chain),
    )


def _world(settings: Settings, edges: Edges) -> tuple[Exchange, Trust]:
    """The way out, and the trust in the community's root with its CAs' lists."""
    anchors = settings.certificates("anchors")
    exchange = edges.exchange or HttpExchange(
        proxy=settings.text("proxy", ""), anchors=b"".join(anchor.pem for anchor in anchors)
    )
    lists = [
        (settings.text("origin", None, table), settings.certificates("issuer", table)[0])
        for table in settings.tables("revocation")
    ]
    return exchange, Trust(Verifier(anchors), ClientServices(exchange, lists, edges.clock))


def toml(values: dict[str, Any]) -> str:
    """Settings as TOML: texts, switches, lists of texts, and lists of tables of those."""
    plain = {k: v for k, v in values.items() if not _is_tables(v)}
    parts = [f"{name} = {_written(value)}" for name, value in plain.items()]
    for name, rows in values.items():
        if _is_tables(rows):
            for row in rows:
                parts += ["", f"[[{name}]]", *(f"{k} = {_written(v)}" for k, v in row.items())]
    return "\n".join(parts) + "\n"


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_written(each) for each in value) + "]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    if not escaped.isprintable():
        raise Misuse("bad-settings", "a setting holds characters that are not shown")
    return f'"{escaped}"'
