"""The software PSE is one sealed file: one derivation opens it, and a fresh key stays sealed within.

Section ``""`` holds the directory (labels, certificates, chains) and the keys that unlock at opening;
each fresh key has a section of its own, which is decrypted for one signature and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner, spki_of
from e2s.crypto.kinds import PrivateKey, kind_of
from e2s.crypto.openers import KeyOpener
from e2s.crypto.ports import Opener, Signer
from e2s.crypto.suites import sealing_suites_of, signature_suite_of
from e2s.security.keys import container
from e2s.security.keys.container import Container, Cost, Unlocked, production_cost
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.pse import FRESH, OnceSigner

_DIRECTORY = ""
NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})
Random = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A private key with the certificate of its public key and the chain below the root.

    A ``fresh`` key stays sealed within the file (:data:`~e2s.security.keys.pse.FRESH` are so by their label).
    """

    private_key: PrivateKey = field(repr=False)
    certificate: Certificate
    chain: tuple[Certificate, ...] = ()
    fresh: bool = False

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``key-mismatch`` unless the certificate is this key's."""
        if spki_of(self.private_key.public_key()) != self.certificate.spki:
            raise Misuse("key-mismatch", "the certificate is not for this private key")


@dataclass(frozen=True)
class _Card:
    """What is known of one label while the PSE is open; ``key`` is None for a fresh one."""

    certificate: Certificate
    chain: tuple[Certificate, ...]
    key: PrivateKey | None = field(repr=False)


class SoftwarePse:
    """A PSE in a file; made by :meth:`create`, opened by :meth:`open`, written whole and atomically."""

    def __init__(
        self, path: Path, sealed: Container, cards: Mapping[str, _Card], attributes: Mapping[str, str]
    ) -> None:
        """Use :meth:`open` or :meth:`create`."""
        self._path = path
        self._sealed = sealed
        self._cards: dict[str, _Card] | None = dict(cards)
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
        sealed = _write(path, phrase, entries, held, cost or production_cost(), random)
        return cls(path, sealed, _held(entries), held)

    @classmethod
    def open(cls, path: Path, phrase: Phrase) -> SoftwarePse:
        """Open the file by one derivation; raises ``wrong-pass-phrase``, ``altered-pse``..."""
        sealed = container.read(_read(path))
        directory = _directory(sealed, sealed.unlock(phrase))
        return cls(path, sealed, _cards(directory), _attributes(directory))

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
        key = _key(self._sealed.open(self._sealed.unlock(phrase), label))
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
        return _entries(container.read(_read(self._path)), phrase)

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
        entries = _entries(container.read(_read(self._path)), old)
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
        entries = _entries(container.read(_read(self._path)), phrase)
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
        sealed = _write(self._path, phrase, entries, held, cost, random)
        self._sealed = sealed
        self._cards = _held(entries)
        self._attributes = held

    def _open(self) -> dict[str, _Card]:
        if self._cards is None:
            raise Refusal("pse-closed", "the personal security environment was closed")
        return self._cards

    def _card(self, label: str) -> _Card:
        card = self._open().get(label)
        if card is None:
            raise Refusal("no-such-key", "there is no key of this label", label=label)
        return card


def _held(entries: Mapping[str, Entry]) -> dict[str, _Card]:
    """What an open PSE knows of these entries: no fresh key."""
    return {
        label: _Card(entry.certificate, entry.chain, None if _fresh(label, entry) else entry.private_key)
        for label, entry in entries.items()
    }


def _fresh(label: str, entry: Entry) -> bool:
    return entry.fresh or label in FRESH


def _write(
    path: Path,
    phrase: Phrase,
    entries: Mapping[str, Entry],
    attributes: Mapping[str, str],
    cost: Cost,
    random: Random,
) -> Container:
    """Seal the entries and put the file in place; gives the container as written."""
    said = {"attributes": dict(attributes)} if attributes else {}
    directory = wire.encode(
        said
        | {
            "entries": [
                {
                    "label": label,
                    "certificate": wire.b64u(entry.certificate.der),
                    "chain": [wire.b64u(c.der) for c in entry.chain],
                    "key": "" if _fresh(label, entry) else wire.b64u(_pkcs8(entry.private_key)),
                }
                for label, entry in entries.items()
            ]
        }
    )
    fresh = {label: _pkcs8(one.private_key) for label, one in entries.items() if _fresh(label, one)}
    octets = container.seal({_DIRECTORY: directory, **fresh}, phrase, cost=cost, random=random)
    replace_file(path, octets)
    return container.read(octets)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(container.MAX_CONTAINER_BYTES + 1)
    except OSError as error:
        raise Misuse("no-pse", "the PSE file cannot be read", path=str(path)) from error


def _directory(sealed: Container, keys: Unlocked) -> wire.Document:
    return wire.decode(sealed.open(keys, _DIRECTORY), container.MAX_CONTAINER_BYTES)


def _attributes(directory: wire.Document) -> dict[str, str]:
    """What the directory says besides; raises :class:`Refusal` ``bad-pse``."""
    found = directory.get("attributes", {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Refusal("bad-pse", "an attribute is text")
    return found


def _cards(directory: wire.Document) -> dict[str, _Card]:
    """The labels; raises :class:`Refusal` ``bad-pse`` where whoever sealed it wrote something else."""
    try:
        cards = {entry["label"]: _card(entry) for entry in directory["entries"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise Refusal("bad-pse", "the directory is not a key container's") from error
    if not all(isinstance(label, str) for label in cards):
        raise Refusal("bad-pse", "a label is text")
    return cards


def _card(entry: wire.Document) -> _Card:
    """One entry of the directory; raises anything of what :func:`_cards` catches."""
    return _Card(
        Certificate.read(wire.unb64u(entry["certificate"])),
        tuple(Certificate.read(wire.unb64u(c)) for c in entry["chain"]),
        _key(wire.unb64u(entry["key"])) if entry["key"] else None,
    )


def _entries(sealed: Container, phrase: Phrase) -> dict[str, Entry]:
    """Every key in clear, for the moment of sealing the file anew."""
    keys = sealed.unlock(phrase)
    cards = _cards(_directory(sealed, keys))
    whole = {
        label: card if card.key is not None else replace(card, key=_key(sealed.open(keys, label)))
        for label, card in cards.items()
    }
    return {
        label: Entry(
            private_key=card.key,
            certificate=card.certificate,
            chain=card.chain,
            fresh=cards[label].key is None,
        )
        for label, card in whole.items()
        if card.key is not None
    }


def _pkcs8(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _key(octets: bytes) -> PrivateKey:
    try:
        key = load_der_private_key(octets, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refusal("bad-pse", "a key cannot be read") from error
    if not kind_of(key.__class__):
        raise Refusal("bad-pse", "a key of an unknown kind")
    known = cast(PrivateKey, key)
    if not sealing_suites_of(known):
        signature_suite_of(known)
    return known
