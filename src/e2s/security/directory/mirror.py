"""What the directory is to hold of a CA, followed in a database of our own: changes in order, newest lists.

Each change is noted in one transaction with the entries that it touches, which then wait in the outbox; so
neither an outage of the CA nor one of the directory loses anything.  CAs of one tree share one database: an
entry may hold certificates of several.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final

import msgspec
import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.instants import Clock
from e2s.base.outbox import Outbox
from e2s.crypto.certificates import Certificate
from e2s.security.directory import store
from e2s.security.directory.entries import Entry, Held, HeldList, Role
from e2s.security.directory.sights import Facts, sight
from e2s.security.directory.tree import Tree
from e2s.security.repository.following import Change, Feed
from e2s.security.repository.published import Listed
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.followed import older

#: How many changes are asked for at once, and about how many are taken in one transaction: each waits for the
#: disk.
MOST_CHANGES: Final = 1000
_MOST_TAKEN: Final = 4000
_MOST_ENDED: Final = 500
#: What waits: entries of lists are sent before all others.
LIST: Final = "list"
ENTRY: Final = "entry"
#: By whom the CAs themselves are noted: they come by no feed.
_ABOVE: Final = b"above "
_ROLES: Final = {role.value: role for role in Role}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """For how long a certificate stays in the directory after its end; None for ever."""

    keep_ended: timedelta | None = timedelta(0)


#: What has ended goes at once: nothing is encrypted to it, and signatures carry their certificates.
DEFAULT: Final = Policy()


class Mirror:
    """What is to stand of the CA ``authority``, and of those ``above`` it up to the root."""

    def __init__(
        self,
        feed: Feed,
        authority: Certificate,
        above: Sequence[Certificate],
        *,
        tree: Tree,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        policy: Policy = DEFAULT,
    ) -> None:
        """``database`` has :data:`store.TABLES`."""
        self.authority = authority
        self.authorities = tuple(dict.fromkeys((authority, *above)))
        self.tree = tree
        self.database = database
        self._feed = feed
        self._outbox = outbox
        self._clock = clock
        self._policy = policy

    def found(self) -> None:
        """Note the CAs themselves, once: no feed need tell of them."""
        with self.database.transaction() as connection:
            for one in self.authorities:
                if store.setting(connection, one.id):
                    continue
                gone = store.withdrawn(connection, one.serial, one.der)
                # Each by itself: two CAs above may have numbered alike
                row = self._row(one.der, _ABOVE + one.digest)
                store.hold(connection, [{**row, "standing": int(not gone)}])
                self._wait(connection, ENTRY, [str(row["key"])])
                store.set_to(connection, one.id, "noted")

    def take_lists(self) -> int:
        """Take the CA's newer lists; how many.

        Raises :class:`Refusal` ``bad-crl`` or ``old-crl``, :class:`Unreachable` where the CA does not answer.
        """
        with self.database.glance() as connection:
            known = store.labels(connection, self.authority.digest)
        lists = self._feed.lists(known)
        for one in lists:
            self.put_list(self.authority, one)
        return len(lists)

    def put_list(self, authority: Certificate, listed: Listed) -> bool:
        """Take a list of ``authority``, where it is not the one held; raises ``bad-crl`` or ``old-crl``."""
        found = CrlIndex.read(listed.der)
        whose = found.names(authority) and found.signed_by(authority)
        if not whose or (found.base is not None) is not listed.delta:
            raise Refusal("bad-crl", "the list is not that of this CA", number=listed.number)
        shard, delta = listed.shard, listed.delta
        with self.database.transaction() as connection:
            held = store.list_octets(connection, authority.digest, shard, delta=delta)
            if held == listed.der:
                return False
            if held is not None and older(found, CrlIndex.read(held)):
                raise Refusal(
                    "old-crl", "an older list does not take a newer one's place", number=found.number
                )
            key = self.tree.of_part(authority, shard)
            store.put_list(
                connection, authority.digest, shard, key, delta=delta, number=listed.number, der=listed.der
            )
            self._wait(connection, LIST, [key])
        return True

    def take_changes(self) -> int:
        """Take the next changes; how many, none when there are none yet."""
        with self.database.glance() as connection:
            after = store.followed(connection, self.authority.digest)
        changes: list[Change] = []
        while len(changes) < _MOST_TAKEN:
            some = self._feed.changes(changes[-1].number if changes else after, MOST_CHANGES)
            changes += some
            if len(some) < MOST_CHANGES:
                break
        if changes:
            with self.database.transaction() as connection:
                self._apply(connection, changes)
                store.follow(connection, self.authority.digest, changes[-1].number)
        return len(changes)

    def take_ended(self) -> int:
        """Let go what has ended, some at a time; how many."""
        keep = self._policy.keep_ended
        if keep is None:
            return 0
        with self.database.transaction() as connection:
            keys = store.end(connection, self._clock.now() - keep, _MOST_ENDED)
            self._wait(connection, ENTRY, keys)
        return len(keys)

    def differing(self) -> int:
        """Of how many certificates the CA's register says something else than was noted here.

        As far as it was followed; what has ended counts for nothing.
        """
        ca = self.authority.digest
        with self.database.glance() as connection:
            last = store.followed(connection, ca)
        told: dict[bytes, tuple[bool, bytes]] = {}
        after = 0
        while after < last and (changes := self._feed.changes(after, MOST_CHANGES)):
            for change in changes:
                serial = store.serial_octets(change.serial)
                if change.number <= last and change.der and not self._ended(change.der):
                    told[serial] = True, sha256(change.der).digest()
                elif change.number <= last and serial in told:
                    told[serial] = change.entry is None, told[serial][1]
            after = changes[-1].number
        differing = 0
        with self.database.reading() as connection:
            for serial, standing, der in store.all_held(connection, ca):
                noted = standing, sha256(der).digest()
                differing += told.pop(serial, None) != noted and not self._ended(der)
        return differing + len(told)

    def _ended(self, der: bytes) -> bool:
        """Whether a certificate is one that the directory has no more; an unreadable one it never had."""
        keep = self._policy.keep_ended
        try:
            end = sight(der).ends
        except Refusal:
            return True
        return keep is not None and end < self._clock.now() - keep

    def begin_again(self) -> None:
        """Follow the CA from its first change on once more; what is held is noted over."""
        with self.database.transaction() as connection:
            store.follow(connection, self.authority.digest, 0)

    def want(self, keys: Iterable[str]) -> None:
        """Let entries be sent, whether or not they changed."""
        with self.database.transaction() as connection:
            self._wait(connection, ENTRY, keys)

    def entries(self, keys: Sequence[str]) -> dict[str, Entry | None]:
        """The entries of those keys as they are to stand; None for one that is to be gone."""
        certificates: dict[str, list[Held]] = {key: [] for key in keys}
        lists: dict[str, list[HeldList]] = {key: [] for key in keys}
        with self.database.reading() as connection:
            for key, role, der, facts in store.held(connection, keys):
                known = msgspec.msgpack.decode(facts, type=Facts)
                certificates[key].append(Held(_ROLES[role], der, known))
            for row in store.lists(connection, keys):
                lists[row.key].append(HeldList(bool(row.delta), bytes(row.der)))
        return {key: self.tree.entry(key, certificates[key], lists[key]) for key in keys}

    def _apply(self, connection: sa.Connection, changes: Sequence[Change]) -> None:
        ca = self.authority.digest
        rows = []
        for change in changes:
            if change.der:
                try:
                    rows.append(self._row(change.der, ca))
                except Refusal as refusal:
                    named = {f"serial {change.serial:x}": refusal.rule}
                    store.settle(connection, (), named, self._clock.now())
        store.hold(connection, rows)
        touched = dict.fromkeys(str(row["key"]) for row in rows)
        for change in changes:
            if not change.der:
                key = store.stand(connection, ca, change.serial, standing=change.entry is None)
                touched |= {} if key is None else {key: None}
        self._wait(connection, ENTRY, touched)

    def _row(self, der: bytes, ca: bytes) -> dict[str, object]:
        seen = sight(der)
        place = self.tree.place(seen)
        return {
            "key": place.key,
            "role": place.role.value,
            "ca": ca,
            "serial": store.serial_octets(seen.serial),
            "standing": 1,
            "not_after": store.seconds(seen.ends),
            "facts": msgspec.msgpack.encode(seen.facts),
            "der": der,
        }

    def _wait(self, connection: sa.Connection, topic: str, keys: Iterable[str]) -> None:
        bodies = [key.encode() for key in dict.fromkeys(keys)]
        if bodies:
            self._outbox.put_all(connection, topic, bodies, self._clock.now())
