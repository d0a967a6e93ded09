"""What a sealed PSE file holds, in octets: its directory, and a section for each fresh key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
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
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey, kind_of
from e2s.crypto.suites import sealing_suites_of, signature_suite_of
from e2s.security.keys import container
from e2s.security.keys.container import Container, Cost, Unlocked
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.pse import FRESH

_DIRECTORY: Final = ""
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
class Card:
    """What is known of one label while the PSE is open; ``key`` is None for a fresh one."""

    certificate: Certificate
    chain: tuple[Certificate, ...]
    key: PrivateKey | None = field(repr=False)


def cards_of(entries: Mapping[str, Entry]) -> dict[str, Card]:
    """What an open PSE knows of these entries: no fresh key."""
    return {
        label: Card(entry.certificate, entry.chain, None if is_fresh(label, entry) else entry.private_key)
        for label, entry in entries.items()
    }


def is_fresh(label: str, entry: Entry) -> bool:
    """Whether the key stays sealed within the file."""
    return entry.fresh or label in FRESH


def write(
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
                    "key": "" if is_fresh(label, entry) else wire.b64u(_pkcs8(entry.private_key)),
                }
                for label, entry in entries.items()
            ]
        }
    )
    fresh = {label: _pkcs8(one.private_key) for label, one in entries.items() if is_fresh(label, one)}
    octets = container.seal({_DIRECTORY: directory, **fresh}, phrase, cost=cost, random=random)
    replace_file(path, octets)
    return container.read(octets)


def read_file(path: Path) -> bytes:
    """The file's octets, within bounds; raises :class:`Misuse` ``no-pse``."""
    try:
        with path.open("rb") as file:
            return file.read(container.MAX_CONTAINER_BYTES + 1)
    except OSError as error:
        raise Misuse("no-pse", "the PSE file cannot be read", path=str(path)) from error


def directory_in(sealed: Container, keys: Unlocked) -> wire.Document:
    """The directory, as whoever sealed it wrote it."""
    return wire.decode(sealed.open(keys, _DIRECTORY), container.MAX_CONTAINER_BYTES)


def attributes_in(directory: wire.Document) -> dict[str, str]:
    """What the directory says besides; raises :class:`Refusal` ``bad-pse``."""
    found = directory.get("attributes", {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Refusal("bad-pse", "an attribute is text")
    return found


def cards_in(directory: wire.Document) -> dict[str, Card]:
    """The labels; raises :class:`Refusal` ``bad-pse`` where whoever sealed it wrote something else."""
    try:
        cards = {entry["label"]: _card(entry) for entry in directory["entries"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise Refusal("bad-pse", "the directory is not a key container's") from error
    if not all(isinstance(label, str) for label in cards):
        raise Refusal("bad-pse", "a label is text")
    return cards


def _card(entry: wire.Document) -> Card:
    """One entry of the directory; raises anything of what :func:`cards_in` catches."""
    return Card(
        Certificate.read(wire.unb64u(entry["certificate"])),
        tuple(Certificate.read(wire.unb64u(c)) for c in entry["chain"]),
        key_in(wire.unb64u(entry["key"])) if entry["key"] else None,
    )


def entries_in(sealed: Container, phrase: Phrase) -> dict[str, Entry]:
    """Every key in clear, for the moment of sealing the file anew."""
    keys = sealed.unlock(phrase)
    cards = cards_in(directory_in(sealed, keys))
    whole = {
        label: card if card.key is not None else replace(card, key=key_in(sealed.open(keys, label)))
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


def key_in(octets: bytes) -> PrivateKey:
    """A private key, PKCS #8, of a suite; raises :class:`Refusal` ``bad-pse`` or ``suite-unknown``."""
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
