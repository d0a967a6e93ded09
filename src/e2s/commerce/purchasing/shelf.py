"""What is for sale now, and at whose prices: one catalogue version with one price list per organisation.

A version comes signed by the catalogue's key, whole, and never goes back; what a buyer saw is named by
the # of her organisation's list, and an offer is made only on the list that stands.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.instants import Clock
from e2s.base.wire import b64u, unb64u
from e2s.commerce.purchasing import documents, store
from e2s.commerce.purchasing.catalogue import Catalogue
from e2s.commerce.purchasing.load import read_items
from e2s.commerce.purchasing.offer import PriceList
from e2s.commerce.purchasing.pricing import check_rules
from e2s.crypto import oids
from e2s.crypto.acts import Act, read_act
from e2s.security.verification.trust import Trust

MAX_PUBLISH_BYTES = 2 * 1024 * 1024
MAX_LISTS = 1000


@dataclass(frozen=True, kw_only=True)
class Stock:
    """One version, as it is served: the index, the currency, the lists by organisation."""

    version: int
    currency: str
    index: Catalogue
    lists: Mapping[str, PriceList]

    def prices(self, organisation: str) -> PriceList:
        """The organisation's list; raises :class:`Refusal` ``no-contract``."""
        found = self.lists.get(organisation)
        if found is None:
            raise Refusal("no-contract", "there is no contract with your organisation")
        return found


class Shelf:
    """The current stock, held in memory; what it is read from stands in the store and in ``folder``."""

    def __init__(
        self, *, database: Database, folder: Path, trust: Trust, clock: Clock, merchant: str
    ) -> None:
        """Takes up the version that was published last."""
        self._database = database
        self._folder = folder
        self._trust = trust
        self._clock = clock
        self._merchant = merchant
        self._lock = threading.Lock()
        self._stock = self._stored()

    @property
    def stock(self) -> Stock:
        """What is for sale; raises :class:`Refusal` ``no-catalogue`` before the first publication."""
        if self._stock is None:
            raise Refusal("no-catalogue", "the shop has published no catalogue yet")
        return self._stock

    def publish(self, body: bytes) -> bytes:
        """Take a version: ``{catalogue, items, lists}``, all of it good or nothing; answers ``{version}``.

        Raises :class:`Refusal` ``old-version`` for one below the current, ``altered-items`` for an item
        file that is not the one signed, besides those of the acts.
        """
        asked = wire.decode(body, MAX_PUBLISH_BYTES)
        if set(asked) != {"catalogue", "items", "lists"} or not isinstance(asked["lists"], list):
            raise Refusal("bad-request", "a publication is a catalogue, its items and its lists")
        catalogue = self._checked(asked["catalogue"], documents.CATALOGUE.type)
        lists = [self._checked(one, documents.LIST.type) for one in asked["lists"][:MAX_LISTS]]
        octets = unb64u(_text(asked["items"]))
        if "sha-256:" + b64u(sha256(octets).digest()) != catalogue.document["items"]:
            raise Refusal("altered-items", "the item file is not the one that was signed")
        _check_lists(catalogue, lists)
        with self._lock:
            return self._take(catalogue, lists, octets)

    def _take(self, catalogue: Act, lists: Sequence[Act], octets: bytes) -> bytes:
        version = catalogue.document["version"]
        done = wire.encode({"version": version})
        with self._database.reading() as connection:
            newest = _newest(connection)
        if newest is not None and newest.id == catalogue.id:
            return done
        if newest is not None and newest.document["version"] >= version:
            raise Refusal("old-version", "a newer version stands", version=newest.document["version"])
        items = read_items(octets)
        if len(items) != catalogue.document["count"]:
            raise Refusal("altered-items", "the item file has another number of items", found=len(items))
        Catalogue.build(self._path(version), items).close()
        with self._database.transaction() as connection:
            connection.execute(
                store.CATALOGUE.insert().values(version=version, id=catalogue.id, octets=catalogue.octets)
            )
            connection.execute(store.LIST.update().values(current=False))
            for one in lists:
                values = {"organisation": one.document["organisation"], "octets": one.octets, "current": True}
                connection.execute(store.LIST.insert().values(id=one.id, **values))
        old, self._stock = self._stock, self._stored()
        for path in self._folder.glob("*.db"):
            if path != self._path(version) and (old is None or path != old.index.path):
                path.unlink(missing_ok=True)
        return done

    def _checked(self, octets: object, kind: str) -> Act:
        act = read_act(unb64u(_text(octets)))
        documents.FORMS[kind].check(act.document)
        purpose, now = oids.SIGNING["catalogue"], self._clock.now()
        return self._trust.check_act(
            act, type=kind, to=self._merchant, purpose=purpose, at=now, name=self._merchant
        )

    def _stored(self) -> Stock | None:
        with self._database.reading() as connection:
            newest = _newest(connection)
            rows = connection.execute(sa.select(store.LIST.c.octets).where(store.LIST.c.current)).scalars()
            lists = {one.organisation: one for one in map(_price_list, map(read_act, rows))}
        if newest is None:
            return None
        version = newest.document["version"]
        return Stock(
            version=version,
            currency=newest.document["currency"],
            index=Catalogue(self._path(version)),
            lists=lists,
        )

    def _path(self, version: int) -> Path:
        return self._folder / f"catalogue-{version:010d}.db"


def _newest(connection: sa.Connection) -> Act | None:
    table = store.CATALOGUE
    octets = connection.execute(sa.select(table.c.octets).order_by(table.c.version.desc()).limit(1)).scalar()
    return read_act(octets) if octets is not None else None


def _price_list(act: Act) -> PriceList:
    document = act.document
    return PriceList(
        id=act.id,
        version=document["version"],
        organisation=document["organisation"],
        terms=document["terms"],
        rules=document["rules"],
    )


def _check_lists(catalogue: Act, lists: Sequence[Act]) -> None:
    """Each list is for this catalogue, and each organisation has one."""
    known: set[str] = set()
    for one in lists:
        document = one.document
        if document["catalogue"] != catalogue.id or document["version"] != catalogue.document["version"]:
            raise Refusal("wrong-catalogue", "a price list is for another catalogue version")
        if document["organisation"] in known:
            raise Refusal(
                "list-twice", "an organisation has one price list", organisation=document["organisation"]
            )
        known.add(document["organisation"])
        check_rules(document["rules"])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Refusal("bad-request", "octets are written as text")
    return value
