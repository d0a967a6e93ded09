"""Catalogue updating: a file becomes a signed version, pushed to purchasing and to the public outside.

The component that reads people's files holds no session, no trade and no key of the merchant but, through
the key handler, the catalogue's (figure 6.5).  A version is intended, signed, kept, then pushed until taken.
"""

from __future__ import annotations

import re
import threading
import tomllib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from html import escape
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.instants import Clock, format_instant
from e2s.base.money import decimals
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.wire import Document, b64u
from e2s.commerce.purchasing.documents import CATALOGUE, LIST
from e2s.commerce.purchasing.load import MAX_CSV_BYTES, read_csv, write_items
from e2s.commerce.purchasing.offer import terms_of
from e2s.commerce.purchasing.pricing import check_rules
from e2s.crypto.acts import act_id
from e2s.security.keys.key_handler import AskLink, KeyClient

KEY = "catalogue"
MAX_CONTRACTS_BYTES = 1024 * 1024
#: Keys of many dotted parts, bare or quoted: the TOML reader's work grows with the square of their number.
_DOTTED = re.compile(rb"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){16}""", re.ASCII)
STANDS = timedelta(days=365)
TABLES = sa.MetaData()
OUTBOX = Outbox(outbox_table(TABLES))
VERSION = sa.Table(
    "version",
    TABLES,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("intent", sa.LargeBinary, nullable=False),  # the documents that will be signed
    sa.Column("items", sa.LargeBinary, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What one buying organisation agreed with the merchant: its terms and its price rules, in order."""

    organisation: str
    terms: Mapping[str, str]
    rules: Sequence[Mapping[str, str]]


def read_contracts(octets: bytes) -> list[Contract]:
    """Contracts of TOML: ``[[contract]]`` with ``organisation``, ``id``, ``text`` and ``[[contract.rule]]``.

    Raises :class:`Refusal` ``bad-contracts`` with the number of the contract.
    """
    if len(octets) > MAX_CONTRACTS_BYTES:
        raise Refusal("too-large", "the file is larger than may be read", size=len(octets))
    if _DOTTED.search(octets):
        raise Refusal("bad-contracts", "a key has more dotted parts than are read")
    try:
        read = tomllib.loads(octets.decode())
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or a number without end
        raise Refusal("bad-contracts", f"the file is not TOML: {str(error)[:200]}") from error
    entries = read.pop("contract", [])
    if read or not isinstance(entries, list):
        raise Refusal("bad-contracts", "the file holds [[contract]] entries and nothing else")
    return [_contract(entry, n) for n, entry in enumerate(entries, 1)]


def _contract(entry: Any, n: int) -> Contract:
    try:
        if set(entry) - {"rule"} != {"organisation", "id", "text"}:
            raise Refusal("bad-contracts", "a contract has organisation, id, text and rules")
        contract = Contract(
            organisation=entry["organisation"],
            terms=terms_of(entry["id"], entry["text"]),
            rules=tuple(entry.get("rule", ())),
        )
        members = {"organisation": contract.organisation, "terms": dict(contract.terms)}
        for name, value in {**members, "rules": list(contract.rules)}.items():
            LIST.members[name](value, "")
        check_rules(contract.rules)
    except (Refusal, TypeError, AttributeError) as error:
        why = error.message if isinstance(error, Refusal) else "a contract is a table of texts"
        raise Refusal("bad-contracts", why, contract=n) from error
    return contract


class Publisher:
    """The component: ``load`` makes a version, ``tick`` pushes what was not taken yet."""

    def __init__(
        self,
        *,
        store: Database,
        keys: KeyClient,
        purchasing: AskLink,
        outside: AskLink,
        merchant: str,
        title: str,
        origin: str,
        component: str,
        clock: Clock,
    ) -> None:
        """``title`` and ``origin`` are what the public page says of the shop."""
        self.store = store
        self._keys = keys
        self._links = {"purchasing": purchasing, "outside": outside}
        self._merchant = merchant
        self._title = title
        self._origin = origin
        self._component = component
        self._clock = clock
        self._alone = threading.RLock()

    def load(self, csv: bytes, contracts: Sequence[Contract], *, currency: str, source: str) -> int:
        """Make and push the next version from a CSV; its number.  Nothing is kept of a bad file."""
        decimals(currency)
        items = read_csv(csv)
        packed = write_items(items)
        catalogue = {
            "items": "sha-256:" + b64u(sha256(packed).digest()),
            "count": len(items),
            "currency": currency,
            "source": source,
        }
        with self._alone, self.store.transaction() as connection:
            newest = connection.execute(sa.select(sa.func.max(VERSION.c.version))).scalar() or 0
            intent = self._intent(newest + 1, catalogue, contracts)
            values = {"version": newest + 1, "intent": wire.encode(intent), "items": packed, "done": False}
            connection.execute(VERSION.insert().values(**values))
        self.tick()
        return newest + 1

    def _intent(self, version: int, catalogue: Document, contracts: Sequence[Contract]) -> Document:
        """The documents of a version: the catalogue, and a list for each contract that names its #."""
        now = self._clock.now()
        around = {
            "from": self._keys.certificate(KEY).id,
            "to": [self._merchant],
            "at": format_instant(now),
            "until": format_instant(now + STANDS),
            "version": version,
        }
        first = {**around, **catalogue, "type": CATALOGUE.type}
        CATALOGUE.check(first)
        named = act_id(first, [])
        lists = [
            {
                **around,
                "type": LIST.type,
                "to": [self._merchant, contract.organisation],
                "organisation": contract.organisation,
                "catalogue": named,
                "terms": dict(contract.terms),
                "rules": [dict(rule) for rule in contract.rules],
            }
            for contract in contracts
        ]
        for one in lists:
            LIST.check(one)
        return {"catalogue": first, "lists": lists}

    def _finish(self) -> None:
        """Sign intended versions and put them in the outbox."""
        with self.store.reading() as connection:
            rows = connection.execute(
                sa.select(VERSION).where(~VERSION.c.done).order_by(VERSION.c.version)
            ).all()
        for row in rows:
            intent = wire.decode(row.intent, max_bytes=len(row.intent))
            signed = self._keys.sign_document(KEY, intent["catalogue"])
            lists = [self._keys.sign_document(KEY, one) for one in intent["lists"]]
            inner = {
                "catalogue": b64u(signed),
                "items": b64u(row.items),
                "lists": [b64u(one) for one in lists],
            }
            public = {
                "index.html": b64u(self._page(intent["catalogue"])),
                "catalogue.cms": b64u(signed),
                "catalogue.bin": b64u(row.items),
            }
            now = self._clock.now()
            facts = {"version": row.version, "items": intent["catalogue"]["items"], "lists": len(lists)}
            event = Event(kind="catalogue.made", at=now, component=self._component, facts=facts)
            with self.store.transaction() as connection:
                OUTBOX.put(connection, "purchasing", wire.encode(inner), now)
                OUTBOX.put(connection, "outside", wire.encode({"files": public}), now)
                OUTBOX.sink(connection).append(event)
                done = VERSION.update().where(VERSION.c.version == row.version)
                connection.execute(done.values(done=True, items=b""))

    def tick(self) -> None:
        """Push, in order, what the other components have not taken yet."""
        with self._alone:
            self._finish()
            for topic, link in self._links.items():
                self._push(topic, link)

    def _push(self, topic: str, link: AskLink) -> None:
        with self.store.reading() as connection:
            rows = OUTBOX.waiting(connection, topic)
        for key, body in rows:
            try:
                link.ask("/publish", body)
            except Unreachable:
                return
            except Refusal as refusal:
                self._dropped(topic, key, refusal)
                continue
            with self.store.transaction() as connection:
                OUTBOX.done(connection, [key])

    def _dropped(self, topic: str, key: int, refusal: Refusal) -> None:
        """What was refused will be refused again: it is recorded and not repeated."""
        facts = {"to": topic, "rule": refusal.rule}
        event = Event(
            kind="catalogue.push",
            at=self._clock.now(),
            component=self._component,
            outcome="refused",
            facts=facts,
        )
        with self.store.transaction() as connection:
            OUTBOX.done(connection, [key])
            OUTBOX.sink(connection).append(event)

    def close(self) -> None:
        """Give the database back."""
        self.store.close()

    def _page(self, catalogue: Document) -> bytes:
        """The public page, for people: what the shop has, and how to come in."""
        shown = {
            "title": self._title,
            "origin": self._origin,
            "merchant": self._merchant,
            "count": f"{catalogue['count']:,}",
            "currency": catalogue["currency"],
            "version": str(catalogue["version"]),
            "digest": catalogue["items"],
            "source": catalogue["source"],
        }
        return _PAGE.format_map({name: escape(value) for name, value in shown.items()}).encode()


def serves_files(publisher: Publisher) -> Callable[[str, bytes], bytes]:
    """A link door that loads ``{csv, contracts, currency, source}`` for the content manager's tool.

    ``csv`` is deflated (RFC 1950) and then base64url, like ``contracts``; it is inflated no further than a
    catalogue may be large.
    """

    def door(_peer: str, body: bytes) -> bytes:
        asked = wire.decode(body, 2 * 1024 * 1024)
        if set(asked) != {"csv", "contracts", "currency", "source"}:
            raise Refusal("bad-request", "a load has csv, contracts, currency and source")
        if not all(isinstance(value, str) for value in asked.values()):
            raise Refusal("bad-request", "a load's members are text")
        contracts = read_contracts(wire.unb64u(asked["contracts"]))
        csv = _inflated(wire.unb64u(asked["csv"]))
        version = publisher.load(csv, contracts, currency=asked["currency"], source=asked["source"])
        return wire.encode({"version": version})

    return door


def _inflated(packed: bytes) -> bytes:
    """The octets in a zlib stream; raises :class:`Refusal` ``bad-request`` or ``too-large``."""
    stream = zlib.decompressobj()
    try:
        octets = stream.decompress(packed, MAX_CSV_BYTES + 1)
    except zlib.error as error:
        raise Refusal("bad-request", "the file is not deflated") from error
    if len(octets) > MAX_CSV_BYTES:
        raise Refusal("too-large", "the file is larger than may be read", size=len(octets))
    return octets


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/shop.css">
</head>
<body>
<main>
<h1>{title}</h1>
<p>{count} items, prices in {currency}. Contract prices are shown to buyers who log in with their wallet.</p>
<h2>Connect your wallet</h2>
<p>Add this shop to your wallet with its name and address, and compare both with your contract:</p>
<dl>
<dt>Name</dt><dd><code>{merchant}</code></dd>
<dt>Address</dt><dd><code>{origin}</code></dd>
</dl>
<h2>Public catalogue</h2>
<p>Version {version}: <a href="/catalogue.bin">items</a> (deflated CSV) and
<a href="/catalogue.cms">the signed catalogue</a> that names them by digest.</p>
<p><code>{digest}</code></p>
<p>{source}</p>
</main>
</body>
</html>
"""
