"""Entries as they are to stand are brought into the directory, whatever stands there now.

An entry is added; where there is one already it is read, and what differs is replaced in one act.  So
sending the same again changes nothing, and it does not matter where an earlier sending was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, Protocol

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.directory.entries import (
    AUTHORITY_LIST,
    DELTA_LIST,
    LIST,
    OWNED,
    Attributes,
    Entry,
)
from e2s.security.directory.session import Outcome
from e2s.security.directory.tree import Tree
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.followed import older

REFUSED: Final = "directory-refused"
_LISTS: Final = (LIST, AUTHORITY_LIST, DELTA_LIST)


class Server(Protocol):
    """Port: operations at one directory; each raises :class:`Unreachable` or ``directory-denied``."""

    def add_all(self, entries: Iterable[Entry]) -> list[Outcome]:
        """Add entries."""

    def delete_all(self, dns: Iterable[str]) -> list[Outcome]:
        """Delete entries."""

    def change_all(self, changes: Iterable[tuple[str, Attributes]]) -> list[Outcome]:
        """Replace values of entries."""

    def read_all(self, dns: Iterable[str], attributes: Iterable[str]) -> list[Attributes | None]:
        """The values of entries."""


class Sender:
    """Brings entries into one directory."""

    def __init__(
        self,
        server: Server,
        tree: Tree,
        *,
        authorities: Sequence[Certificate],
        entries: Callable[[Sequence[str]], Mapping[str, Entry | None]],
    ) -> None:
        """``entries`` gives those of other keys: what an entry stands beneath must be there first."""
        self._server = server
        self._tree = tree
        self._authorities = authorities
        self._entries = entries
        #: What was seen to be there in this life.
        self._there: set[str] = set()

    def send(self, wanted: Mapping[str, Entry | None]) -> dict[str, str]:
        """Let each entry stand as wanted, or be gone; the keys that the directory refused, with the rule."""
        standing = {key: entry for key, entry in wanted.items() if entry is not None}
        refused = self._put(standing)
        absent = [key for key in refused if refused[key] is Outcome.ABSENT]
        if absent:
            # What stood above was taken away by others: once more, from the top
            self._there.clear()
            refused |= dict.fromkeys(absent, Outcome.DONE)
            refused |= self._put({key: standing[key] for key in absent})
        refused |= self._remove([key for key, entry in wanted.items() if entry is None])
        return {key: REFUSED for key, outcome in refused.items() if outcome is not Outcome.DONE}

    def _put(self, standing: Mapping[str, Entry]) -> dict[str, Outcome]:
        """Add or amend, from the top down; what became of those that did not come to stand."""
        refused: dict[str, Outcome] = {}
        above = dict.fromkeys(one for key in standing for one in _above(key) if one not in self._there)
        lacking = [key for key in above if key and key not in standing]
        more = {key: entry for key, entry in self._entries(lacking).items() if entry is not None}
        if "" in above:
            more[""] = self._tree.top()
        whole = {**more, **standing}
        for _depth, keys in groupby(sorted(whole, key=_depth_of), key=_depth_of):
            some = list(keys)
            outcomes = dict(zip(some, self._server.add_all(whole[key] for key in some), strict=True))
            present = [key for key in some if outcomes[key] is Outcome.EXISTS]
            outcomes |= self._amend({key: whole[key] for key in present if key in standing})
            self._there.update(key for key in some if key in above or key in more)
            refused |= {
                key: outcome
                for key, outcome in outcomes.items()
                if key in standing and outcome is not Outcome.DONE
            }
        return refused

    def _amend(self, wanted: Mapping[str, Entry]) -> dict[str, Outcome]:
        """Replace what differs in entries that stand already."""
        found = self._server.read_all((entry.dn for entry in wanted.values()), OWNED)
        changes: dict[str, Attributes] = {}
        outcomes: dict[str, Outcome] = {}
        for (key, entry), standing in zip(wanted.items(), found, strict=True):
            if standing is None:
                outcomes[key] = Outcome.ABSENT
                continue
            outcomes[key] = Outcome.DONE
            differing = self.newest(entry, standing).differs(standing)
            if differing:
                changes[key] = differing
        sent = self._server.change_all((wanted[key].dn, values) for key, values in changes.items())
        return outcomes | dict(zip(changes, sent, strict=True))

    def newest(self, wanted: Entry, standing: Attributes) -> Entry:
        """``wanted``, with the lists that stand there where they are newer than ours.

        Only one that its CA signed is newer: what somebody else put there goes.
        """
        known = {name.lower(): values for name, values in standing.items()}
        lists = {
            name: tuple(self._newer(one, known.get(name.lower(), ())) for one in wanted.attributes[name])
            for name in _LISTS
            if name in wanted.attributes
        }
        return Entry(dn=wanted.dn, attributes={**wanted.attributes, **lists}) if lists else wanted

    def _newer(self, ours: bytes, standing: Iterable[bytes]) -> bytes:
        own = CrlIndex.read(ours)
        for octets in standing:
            try:
                found = CrlIndex.read(octets)
            except Refusal:
                continue
            alike = (found.scope, found.base is None) == (own.scope, own.base is None)
            if alike and older(own, found) and self._same_issuer(own, found):
                return octets
        return ours

    def _same_issuer(self, own: CrlIndex, found: CrlIndex) -> bool:
        return any(own.names(one) and found.names(one) and found.signed_by(one) for one in self._authorities)

    def _remove(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """Delete entries; one that others have put something beneath is left bare."""
        gone = sorted(keys, key=_depth_of, reverse=True)
        if not gone:
            return {}
        outcomes = dict(zip(gone, self._server.delete_all(map(self._tree.dn, gone)), strict=True))
        self._there.difference_update(gone)
        above = {key for key, outcome in outcomes.items() if outcome is Outcome.NOT_A_LEAF}
        bare = {key: self._tree.bare(key) for key in above}
        outcomes |= self._amend(bare) if bare else {}
        fine = {Outcome.DONE, Outcome.ABSENT}
        return {key: outcome for key, outcome in outcomes.items() if outcome not in fine}


def _above(key: str) -> tuple[str, ...]:
    """The keys that an entry stands beneath, the top (an empty key) among them."""
    parts = key.split(",")
    return tuple(",".join(parts[at:]) for at in range(1, len(parts) + 1))


def _depth_of(key: str) -> int:
    return key.count(",") + 1 if key else 0
