"""The software PSE is one sealed file: one derivation opens it, and a fresh key stays sealed within.

Section ``""`` holds the directory (labels, certificates, chains) and the keys that unlock at opening;
each fresh key has a section of its own, which is decrypted for one signature and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.crypto.openers import KeyOpener
from e2s.crypto.ports import Opener, Signer
from e2s.security.keys import container
from e2s.security.keys.container import Container, Cost, production_cost
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.pse import OnceSigner
from e2s.security.keys.software_file import (
    Card,
    Entry,
    Random,
    attributes_in,
    cards_in,
    cards_of,
    directory_in,
    entries_in,
    key_in,
    read_file,
    write,
)

__all__ = ["NO_ATTRIBUTES", "Entry", "Random", "SoftwarePse"]

NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})


class SoftwarePse:
    """A PSE in a file; made by :meth:`create`, opened by :meth:`open`, written whole and atomically."""

    def __init__(
        self, path: Path, sealed: Container, cards: Mapping[str, Card], attributes: Mapping[str, str]
    ) -> None:
        """Use :meth:`open` or :meth:`create`."""
        self._path = path
        self._sealed = sealed
        self._cards: dict[str, Card] | None = dict(cards)
        self._attributes = dict(attributes)

    @classmethod
    def create(
        cls,
        path: Path,
        phrase: Phrase,
        entries: Mapping[str, Entry],
        *,
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
        cost: Cost | None = None,
        random: Random,
    ) -> SoftwarePse:
        """A new file at ``path``, open; raises :class:`Misuse` ``pse-exists`` rather than lose keys."""
        if path.exists():
            raise Misuse("pse-exists", "there already is a file here", path=str(path))
        held = dict(attributes)
        sealed = write(path, phrase, entries, held, cost or production_cost(), random)
        return cls(path, sealed, cards_of(entries), held)

    @classmethod
    def open(cls, path: Path, phrase: Phrase) -> SoftwarePse:
        """Open the file by one derivation; raises ``wrong-pass-phrase``, ``altered-pse``..."""
        sealed = container.read(read_file(path))
        directory = directory_in(sealed, sealed.unlock(phrase))
        return cls(path, sealed, cards_in(directory), attributes_in(directory))

    def labels(self) -> tuple[str, ...]:
        """The labels of the keys held."""
        return tuple(self._open())

    def certificate(self, label: str) -> Certificate:
        """The key's certificate; raises :class:`Refusal` ``no-such-key``."""
        return self._card(label).certificate

    def chain(self, label: str) -> tuple[Certificate, ...]:
        """The certificates of its issuers, up to below the root."""
        return self._card(label).chain

    def signer(self, label: str, phrase: Phrase | None = None) -> Signer:
        """A signer; a fresh label costs one derivation and gives a signer for one signature."""
        card = self._card(label)
        if card.key is not None:
            return KeySigner(card.certificate, card.chain, card.key)
        if phrase is None:
            raise Refusal(
                "pass-phrase-needed", "each signature with this key needs the pass phrase", label=label
            )
        key = key_in(self._sealed.open(self._sealed.unlock(phrase), label))
        return OnceSigner(KeySigner(card.certificate, card.chain, key))

    def opener(self, label: str) -> Opener:
        """An opener of what was sealed to this key; a fresh key opens nothing."""
        card = self._card(label)
        if card.key is None:
            raise Refusal("wrong-key-use", "this key only signs", label=label)
        return KeyOpener(card.certificate, card.key)

    @property
    def attributes(self) -> Mapping[str, str]:
        """What else the file says of its holder; nothing of it is secret from who may open the file."""
        self._open()
        return dict(self._attributes)

    def is_fresh(self, label: str) -> bool:
        """Whether each signature with this key needs the pass phrase; raises ``no-such-key``."""
        return self._card(label).key is None

    def entries(self, phrase: Phrase) -> dict[str, Entry]:
        """Every key in clear, to be carried elsewhere; costs one derivation."""
        self._open()
        return entries_in(container.read(read_file(self._path)), phrase)

    def change(
        self,
        phrase: Phrase,
        changed: Callable[[dict[str, Entry]], Mapping[str, Entry]],
        *,
        attributes: Mapping[str, str] | None = None,
        random: Random,
    ) -> None:
        """Keep what ``changed`` makes of the entries, and other attributes if given; all or nothing.

        The file as it lies is read anew.  Raises :class:`Refusal` ``wrong-pass-phrase``.
        """
        entries = changed(self.entries(phrase))
        held = self._attributes if attributes is None else dict(attributes)
        self._rewrite(entries, phrase, self._sealed.cost, random, held)

    def change_phrase(self, old: Phrase, new: Phrase, *, cost: Cost | None = None, random: Random) -> None:
        """Seal the file anew under ``new``; the old file stands until the new one is durable."""
        self._open()
        entries = entries_in(container.read(read_file(self._path)), old)
        self._rewrite(entries, new, cost or self._sealed.cost, random)

    def set_certificate(
        self,
        label: str,
        certificate: Certificate,
        chain: tuple[Certificate, ...],
        phrase: Phrase,
        *,
        random: Random,
    ) -> None:
        """Replace a certificate by a newer one of the same key."""
        self._card(label)
        entries = entries_in(container.read(read_file(self._path)), phrase)
        entries[label] = replace(entries[label], certificate=certificate, chain=chain)
        self._rewrite(entries, phrase, self._sealed.cost, random)

    def close(self) -> None:
        """Forget every key."""
        self._cards = None

    def _rewrite(
        self,
        entries: Mapping[str, Entry],
        phrase: Phrase,
        cost: Cost,
        random: Random,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        held = self._attributes if attributes is None else dict(attributes)
        sealed = write(self._path, phrase, entries, held, cost, random)
        self._sealed = sealed
        self._cards = cards_of(entries)
        self._attributes = held

    def _open(self) -> dict[str, Card]:
        if self._cards is None:
            raise Refusal("pse-closed", "the personal security environment was closed")
        return self._cards

    def _card(self, label: str) -> Card:
        card = self._open().get(label)
        if card is None:
            raise Refusal("no-such-key", "there is no key of this label", label=label)
        return card
